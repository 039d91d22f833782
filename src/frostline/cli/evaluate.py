"""Score a fitted model on labelled images, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.show import told_rows
from frostline.cli.streams import write_json
from frostline.core.cancel import CancelToken
from frostline.core.score_record import HeldOutScores
from frostline.data.naming import visible
from frostline.fitting.evaluate import Acquainted, Evaluation, evaluate
from frostline.run.run_folder import MANIFEST
from frostline.wording.numbers import interval, number, percent
from frostline.wording.sources import left_out_words, read_words
from frostline.wording.tasks import TASKS, TaskWords, task_judged

_SHARES = ("precision", "recall", "F1")
_OF_LABELS = ("with it", "known", *_SHARES, "average precision")
#: scores beside the one that stands for all, as they are said
_SCORES = {
    "micro_f1": "F1 of all labels together",
    "macro_f1": "F1, mean over outputs",
    "exact_match": "All labels right",
    "qwk": "Quadratically weighted kappa",
    "mae": "Mean absolute error",
    "within_one": "At most one grade off",
}


def show_evaluation(
    run: Path, source: Path, *, as_json: bool, max_pixels: int, cancel: CancelToken
) -> None:
    """Print the score of the task with its interval, and every class, label or column."""
    result = evaluate(
        run, source, max_pixels=max_pixels, progress=TerminalProgress(), cancel=cancel
    )
    found = result.to_json()
    err.print(Text(f"Images: {read_words(result.understood, _words(result))}"))
    if rest := left_out_words(result.understood.left_out):
        err.print(Text(f"Left out: {rest}.", style="yellow"))
    for row in result.unreadable:
        err.print(Text(f"Left out: {visible(row.path)}: {row.reason}", style="yellow"))
    if as_json:
        unreadable = [{"path": r.path, "reason": r.reason} for r in result.unreadable]
        notes = list(result.notes)
        known = _known(result.acquainted)
        write_json({**found, "unreadable": unreadable, **known, "notes": notes})
        return
    if isinstance(result.scores, HeldOutScores):
        _show_values(result.scores, result, run)
        return
    low, high = result.scores.accuracy_interval
    out.print(
        f"Accuracy [bold green]{result.scores.accuracy:.1%}[/] "
        f"(95 %: {low:.1%} to {high:.1%}) on {result.scores.n} images; "
        f"balanced {result.scores.balanced_accuracy:.1%}, macro F1 {result.scores.macro_f1:.1%}"
    )
    if result.scores.expected_cost is not None:
        out.print(f"Expected cost {result.scores.expected_cost:.4g} an image")
    for line in told(result, run):
        out.print(line)
    _show_operating(result)
    table = Table(box=None)
    table.add_column("class", overflow="fold")
    for name in ("images", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for row in found["per_class"]:
        table.add_row(
            Text(visible(row["class"])),
            str(row["support"]),
            *("" if row[k] is None else f"{row[k]:.1%}" for k in ("precision", "recall", "f1")),
        )
    out.print(table)


def _show_values(scores: HeldOutScores, result: Evaluation, run: Path) -> None:
    """Print the scores of several labels, grades or numbers, and of every output."""
    head = scores.headline
    ends = "" if head.interval is None else f" (95 %: {interval(head.interval)})"
    out.print(f"{head.name} [bold green]{percent(head.value)}[/]{ends} on {scores.n} images")
    for name, said in _SCORES.items():
        value = scores.mean_error if name == "mae" else getattr(scores, name)
        if value is not None:
            out.print(f"{said} {number(value)}{_ends(getattr(scores, f'{name}_interval'))}")
    for line in told(result, run):
        out.print(line)
    _show_operating(result)
    out.print(_columns(scores) if scores.per_column else _outputs(scores))


def _ends(bounds: Sequence[float | None] | None) -> str:
    if bounds is None or None in bounds:
        return ""
    return f" (95 %: {number(bounds[0])} to {number(bounds[1])})"


def _table(first: str, *names: str) -> Table:
    table = Table(box=None)
    table.add_column(first, overflow="fold")
    for name in names:
        table.add_column(name, justify="right")
    return table


def _outputs(scores: HeldOutScores) -> Table:
    """Every label or grade."""
    labels = any(one.known for one in scores.per_class)
    if labels:
        table = _table(
            "label", "with it", "known", "precision", "recall", "F1", "average precision"
        )
    else:
        table = _table("grade", "images", *_SHARES)
    for one in scores.per_class:
        counts = (one.positives, one.known) if labels else (one.support,)
        shares = [one.precision, one.recall, one.f1, *([one.average_precision] if labels else [])]
        table.add_row(Text(visible(one.label)), *map(str, counts), *map(percent, shares))
    return table


def _columns(scores: HeldOutScores) -> Table:
    """Every column of numbers, in its own unit."""
    table = _table("column", "images", "R2", "mean absolute error", "95 %")
    for one in scores.per_column:
        ends = _ends(one.mae_interval).removeprefix(" (95 %: ").removesuffix(")")
        shown = (str(one.n), percent(one.r2), number(one.mae), ends)
        table.add_row(Text(visible(one.column)), *shown)
    return table


def _show_operating(result: Evaluation) -> None:
    """Say how often sets, intervals and answers under the model's bound hold here."""
    for name, text in told_rows(result.operating, _words(result)):
        out.print(Text(f"{name}: ").append(text))


def told(result: Evaluation, run: Path) -> list[Text]:
    """Say which of the images the run has used before."""
    known = result.acquainted
    if known is None:
        return [
            Text(
                "Whether the model was trained on any of these images cannot be told: "
                f"{visible(str(run))} has no {MANIFEST} of its run.",
                style="dim",
            )
        ]
    lines = []
    if known.taught:
        images = "image" if known.taught == 1 else "images"
        lines.append(f"Left out: {known.taught:,} {images} that the model was trained on.")
    if known.validation:
        were = "image is" if known.validation == 1 else "images are"
        lines.append(f"Left out: {known.validation:,} {were} of the validation part of the run.")
    if known.own_test:
        are = "is" if known.own_test == 1 else "are"
        lines.append(
            f"{known.own_test:,} of them {are} the run's own test part."
            if known.own_test < result.scores.n
            else "All of them are the run's own test part."
        )
    return [Text(line, style="yellow") for line in lines]


def _words(result: Evaluation) -> TaskWords:
    held_out = isinstance(result.scores, HeldOutScores)
    return TASKS[task_judged(result.scores) if held_out else "single"]


def _known(acquainted: Acquainted | None) -> dict[str, object]:
    """Which images the run has used before; null where that cannot be told."""
    if acquainted is None:
        return {"left_out": None, "own_test": None}
    counts = asdict(acquainted)
    return {"own_test": counts.pop("own_test"), "left_out": counts}
