"""What a finished fit looks like in the terminal."""

from __future__ import annotations

from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from frostline.cli.console import err, out
from frostline.cli.depth import layer_strip, spark_rows
from frostline.cli.plots import BLOCKS, Letters, dot, letters
from frostline.data.understood import Understood
from frostline.fitting.publish import RunResult
from frostline.wording.numbers import plural
from frostline.wording.why import headline, three_sentences

#: letters between 0 and 100 %
_GAUGE = 50

_METHODS = {
    "given": "the given test part",
    "held-out": "held out and looked at once",
    "cross-validation": "by cross-validation of the whole procedure",
}


def show_result(result: RunResult) -> None:
    """Print the decision, why, how good, where the files are and what to type next."""
    show_left_out(result.audit)
    out.framed(result_panel(result, letters(out)))


def result_panel(result: RunResult, kind: Letters = BLOCKS) -> Panel:
    """Return the panel that ends a fit."""
    test, metrics, plan = result.metrics["test"], result.metrics, result.plan
    low, high = test["accuracy_interval"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Images", Text(understood(result.audit).read))
    grid.add_row(
        "Decision",
        Text.assemble((plan.chosen, "bold"), f" (case {plan.case})\n{headline(plan)}"),
    )
    grid.add_row(
        "Accuracy",
        f"[bold green]{test['accuracy']:.1%}[/]  (95 %: {low:.1%} to {high:.1%}; "
        f"{metrics['n_test']:,} images, {_METHODS[test['method']]})\n"
        f"{_gauge(test['accuracy'], (low, high), kind)}",
    )
    if test["method"] == "cross-validation":
        least, most = test["expected_interval"]
        grid.add_row(
            "Expected",
            f"{test['expected_accuracy']:.1%}  (95 %: {least:.1%} to {most:.1%}): the model you "
            "get learned from all images, those judged from fewer",
        )
    without = test.get("without_leaks")
    if without:
        grid.add_row(
            "Without leaks",
            f"{without['accuracy']:.1%} on the {without['n']} test images "
            "that have no copy among the training images",
        )
    grid.add_row("Balanced", f"{test['balanced_accuracy']:.1%}, macro F1 {test['macro_f1']:.1%}")
    grid.add_row("Baseline", _baseline(test))
    for i, caveat in enumerate(metrics["caveats"]):
        grid.add_row("" if i else "Careful", Text(caveat, style="yellow"))
    grid.add_row("Why", Text("\n".join(three_sentences(plan))))
    for i, (name, plot, said) in enumerate(spark_rows(plan, kind)):
        grid.add_row(
            "" if i else "By depth", Text.assemble(f"{name:9}", (plot, "cyan"), f" {said}")
        )
    grid.add_row("Layers", layer_strip(plan, kind) + Text(" ") + layers_in_words(result))
    grid.add_row("Time", _seconds(metrics["seconds"], metrics["pass"]["limited_by"]))
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


def _baseline(test: dict[str, Any]) -> Text:
    always = test["baseline"]
    return Text(f"{always['accuracy']:.1%} by always naming '{always['always']}'")


def _gauge(value: float, ends: tuple[float, float], kind: Letters) -> str:
    """Draw an accuracy and its interval between 0 and 100 %."""
    reach = (ends[1] - ends[0]) / 2
    centre = (ends[0] + ends[1]) / 2
    interval = dot(centre, reach, (0.0, 1.0), _GAUGE, kind).replace(kind.dot, kind.reach)
    place = round(value * (_GAUGE - 1))
    return f"0% {interval[:place]}{kind.dot}{interval[place + 1 :]} 100%"


def layers_in_words(result: RunResult) -> Text:
    """Count what was removed, frozen, trained and new."""
    plan = result.plan
    parts = (("removed", plan.removed), ("frozen", plan.frozen), ("trained", plan.trained))
    said = [f"{len(names)} {label}" for label, names in parts if names]
    said.append(f"new: {', '.join(plan.new)}")
    text = "; ".join(said)
    if plan.frozen:
        same = result.metrics["frozen_verified"]
        text += " (frozen ones bit-identical: " + ("yes)" if same else "NO)")
    return Text(text)


def understood(audit: dict[str, Any]) -> Understood:
    """Return what was made of the source."""
    return Understood.from_json(audit["understood"])


def show_left_out(audit: dict[str, Any]) -> None:
    """Name what was skipped, and say what looks wrong with the images."""
    unreadable = audit["unreadable"]
    if isinstance(unreadable, list) and unreadable:
        were = "was" if len(unreadable) == 1 else "were"
        images = plural(len(unreadable), "image")
        err.print(f"[yellow]{images} could not be read and {were} left out:[/]")
        for entry in unreadable[:10]:
            err.print(Text(f"  {entry['path']}: {entry['reason']}"))
        if len(unreadable) > 10:
            err.print(f"  and {len(unreadable) - 10} more, all listed in audit.json")
    if rest := understood(audit).rest:
        err.print(Text(f"Left out: {rest}."))
    for key, label in (
        ("exact_duplicates", "groups of identical files"),
        ("near_duplicates", "groups of near-duplicates"),
        ("altered_copies", "groups of mirrored, turned or cropped copies"),
        ("label_conflicts", "images that appear under two labels"),
        ("leaks", "images that appear in two given parts"),
    ):
        found = audit[key]
        if isinstance(found, list) and found:
            style = "yellow" if key in ("label_conflicts", "leaks") else "dim"
            err.print(f"[{style}]{len(found)} {label} (audit.json names them)[/]")


def _seconds(seconds: dict[str, float], limited_by: str) -> Text:
    phases = [f"{name} {s:.1f}" for name, s in seconds.items() if name != "total" and s >= 0.05]
    limit = f"; the pass over the images was limited by {limited_by}" if limited_by else ""
    return Text(f"{seconds['total']:.1f} s: " + ", ".join(phases) + limit)
