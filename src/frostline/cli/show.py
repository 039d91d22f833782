"""What a finished fit looks like in the terminal."""

from __future__ import annotations

from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from frostline.cli.console import err, out
from frostline.cli.depth import layer_strip, spark_rows
from frostline.cli.plots import BLOCKS, Letters, dot, letters
from frostline.core.audit_record import AuditRecord
from frostline.core.run_record import Metrics, RunRecord
from frostline.core.score_record import Baseline
from frostline.fitting.run_result import RunResult
from frostline.wording.cases import case_in_brackets
from frostline.wording.kept_features import kept_features_words
from frostline.wording.metrics import metric_words
from frostline.wording.numbers import number, percent, plural
from frostline.wording.operating import (
    abstention_sentences,
    interval_sentences,
    label_sentences,
)
from frostline.wording.refit import refit_sentence
from frostline.wording.resizing import resize_sentences
from frostline.wording.scores import METHODS_BRIEFLY
from frostline.wording.sources import left_out_words, read_words
from frostline.wording.tasks import TASKS, TaskWords, task_judged
from frostline.wording.why import headline, three_sentences

#: letters between 0 and 100 %
_GAUGE = 50
#: what metrics say of sets, intervals and abstention
_TOLD = ("sets", "abstention", "label_sets", "label_abstention", "intervals")


def show_result(result: RunResult) -> None:
    """Print the decision, why, how good, where the files are and what to type next."""
    show_left_out(result.record.audit, TASKS[task_judged(result.record.metrics.test)])
    out.framed(result_panel(result, letters(out)))


def result_panel(result: RunResult, kind: Letters = BLOCKS) -> Panel:
    """Return the panel that ends a fit."""
    record = result.record
    metrics, plan = record.metrics, record.plan
    test = metrics.test
    head = test.headline
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    if record.audit.understood is not None:
        grid.add_row("Images", Text(read_words(record.audit.understood, TASKS[task_judged(test)])))
    if seen := resize_sentences(plan.resizes):
        grid.add_row("Pictures", Text("\n".join(seen)))
    grid.add_row(
        "Decision",
        Text.assemble((plan.chosen, "bold"), f"{case_in_brackets(plan)}\n{headline(plan)}"),
    )
    judged = f"{metrics.n_test:,} images, {METHODS_BRIEFLY[test.method]}"
    if head.value is not None and head.interval is not None:
        low, high = head.interval
        said = f"(95 %: {low:.1%} to {high:.1%}; {judged})\n"
        said += _gauge(head.value, (low, high), kind)
        grid.add_row(head.name, f"[bold green]{head.value:.1%}[/]  {said}")
    else:
        grid.add_row(head.name, f"[bold green]{percent(head.value)}[/]  ({judged})")
    if test.metric_score is not None:
        name, score, more = metric_words(test)
        grid.add_row("Made for", Text.assemble((score, "bold"), f" {name} ({more})"))
    if test.method == "cross-validation" and test.expected_interval is not None:
        least, most = test.expected_interval
        grid.add_row(
            "Expected",
            f"{test.expected_accuracy:.1%}  (95 %: {least:.1%} to {most:.1%}): the model you "
            "get learned from all images, those judged from fewer",
        )
    if test.without_leaks is not None:
        grid.add_row(
            "Without leaks",
            f"{percent(test.without_leaks.headline.value)} on the {test.without_leaks.n} test "
            "images that have no copy among the training images",
        )
    for name, words in operating_rows(metrics):
        grid.add_row(name, words)
    if test.balanced_accuracy is not None:
        grid.add_row("Balanced", f"{test.balanced_accuracy:.1%}, macro F1 {test.macro_f1:.1%}")
    if test.micro_f1 is not None:
        grid.add_row("F1", f"micro {test.micro_f1:.1%}, macro {percent(test.macro_f1)}")
    if test.qwk is not None:
        grid.add_row("Kappa", f"{test.qwk:.3f}, quadratically weighted")
    if test.mean_error is not None:
        grid.add_row("Mean error", number(test.mean_error))
    if test.baseline is not None:
        grid.add_row("Baseline", _baseline(test.baseline))
    for i, caveat in enumerate(metrics.caveats):
        grid.add_row("" if i else "Careful", Text(caveat, style="yellow"))
    grid.add_row("Why", Text("\n".join(three_sentences(plan))))
    sparks = spark_rows(plan, kind)
    width = 1 + max((len(name) for name, _, _ in sparks), default=0)
    for i, (name, plot, said) in enumerate(sparks):
        line = Text.assemble(name.ljust(width), (plot, "cyan"), f" {said}")
        grid.add_row("" if i else "By depth", line)
    grid.add_row("Layers", layer_strip(plan, kind) + Text(" ") + layers_in_words(record))
    grid.add_row("Time", _seconds(metrics))
    if metrics.refit is not None:
        grid.add_row("Refit", Text(refit_sentence(metrics.refit)))
    if metrics.kept_features is not None:
        grid.add_row("Kept", Text(kept_features_words(metrics.kept_features)))
    grid.add_row("Files", Text(f"{result.folder}/ (report.html, plan.json, model/)"))
    grid.add_row(
        "Next",
        Text(
            f"open {result.folder}/report.html\n"
            f"frostline predict {result.folder} IMAGE...\n"
            f"frostline evaluate {result.folder} OTHER_FOLDER"
        ),
    )
    return Panel(grid, title="Frostline", border_style="cyan")


def operating_rows(metrics: Metrics) -> list[tuple[str, Text]]:
    """Return what there is to say of prediction sets and abstention, by name."""
    found = {name: value for name in _TOLD if (value := getattr(metrics, name))}
    return told_rows(found, TASKS[task_judged(metrics.test)])


def told_rows(found: dict[str, Any], task: TaskWords) -> list[tuple[str, Text]]:
    """Return the same for records by the names that :class:`Metrics` has.

    ``task``: the words of what is predicted.
    """
    rows, sets, abstention = [], found.get("sets"), found.get("abstention")
    if sets is not None and sets.coverage is not None and sets.mean_size is not None:
        size = f"{sets.mean_size:.2f} {task.many} on average"
        said = f"{sets.coverage:.1%} hold the true {task.one}; {size}"
        rows.append(("95 % sets", Text(said)))
    if abstention is not None:
        style = "" if abstention.chosen is not None else "yellow"
        told = abstention_sentences(abstention)
        rows += [("Answers", Text(sentence, style)) for sentence in told]
    told = label_sentences(found.get("label_sets", ()), found.get("label_abstention", ()))
    rows += [("Labels", Text(sentence)) for sentence in told]
    rows += [("Intervals", Text(said)) for said in interval_sentences(found.get("intervals", ()))]
    return rows


def _baseline(found: Baseline) -> Text:
    return Text(f"{found.accuracy:.1%} by always naming '{found.always}'")


def _gauge(value: float, ends: tuple[float, float], kind: Letters) -> str:
    """Draw an accuracy and its interval between 0 and 100 %."""
    reach = (ends[1] - ends[0]) / 2
    centre = (ends[0] + ends[1]) / 2
    interval = dot(centre, reach, (0.0, 1.0), _GAUGE, kind).replace(kind.dot, kind.reach)
    place = round(value * (_GAUGE - 1))
    return f"0% {interval[:place]}{kind.dot}{interval[place + 1 :]} 100%"


def layers_in_words(record: RunRecord) -> Text:
    """Count what was removed, frozen, trained and new."""
    plan = record.plan
    parts = (("removed", plan.removed), ("frozen", plan.frozen), ("trained", plan.trained))
    said = [f"{len(names)} {label}" for label, names in parts if names]
    said.append(f"new: {', '.join(plan.new)}")
    text = "; ".join(said)
    if plan.frozen:
        same = "yes" if record.metrics.frozen_verified else "NO"
        # measuring statistics anew changes what is frozen then
        since = " since norm statistics were measured" if plan.action.adapts_statistics else ""
        text += f" (frozen ones bit-identical{since}: {same})"
    return Text(text)


def show_left_out(audit: AuditRecord, words: TaskWords) -> None:
    """Name what was skipped, and say what looks wrong; ``words``: of what is predicted."""
    unreadable = audit.unreadable.items
    if unreadable:
        were = "was" if len(unreadable) == 1 else "were"
        images = plural(len(unreadable), "image")
        err.print(f"[yellow]{images} could not be read and {were} left out:[/]")
        for entry in unreadable[:10]:
            err.print(Text(f"  {entry.path}: {entry.reason}"))
        if len(unreadable) > 10:
            err.print(f"  and {len(unreadable) - 10} more, all listed in audit.json")
    if audit.understood is not None and (rest := left_out_words(audit.understood.left_out)):
        err.print(Text(f"Left out: {rest}."))
    for count, label, style in (
        (audit.exact_duplicates.total, "group$ of identical files", "dim"),
        (audit.near_duplicates.total, "group$ of near-duplicates", "dim"),
        (audit.altered_copies.total, "group$ of mirrored, turned or cropped copies", "dim"),
        (audit.label_conflicts.total, f"picture$ {words.conflict}", "yellow"),
        (audit.leaks.total, "picture$ in two given parts", "yellow"),
    ):
        if count:
            said = label.replace("$", "" if count == 1 else "s")
            names = "names it" if count == 1 else "names them"
            err.print(f"[{style}]{count} {said} (audit.json {names})[/]")


def _seconds(metrics: Metrics) -> Text:
    seconds, times = metrics.seconds, metrics.frozen_pass
    limited_by = "" if times is None else times.limited_by
    phases = [f"{name} {s:.1f}" for name, s in seconds.items() if name != "total" and s >= 0.05]
    limit = f"; the pass over the images was limited by {limited_by}" if limited_by else ""
    return Text(f"{seconds['total']:.1f} s: " + ", ".join(phases) + limit)
