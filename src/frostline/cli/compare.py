"""Compare two models on the same images, in the terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.page_output import check_page_output, write_page_output
from frostline.cli.streams import write_json
from frostline.comparing.compare import compare
from frostline.core.cancel import CancelToken
from frostline.core.comparison_record import ComparisonRecord, Flip
from frostline.core.errors import ANSWER_IS_NO
from frostline.core.task import Task
from frostline.data.naming import visible
from frostline.wording.comparison import (
    answer_words,
    change_words,
    comparison_caveat,
    correction_sentence,
    flips_sentence,
    interval_words,
    judged_sentence,
    lean_sentence,
    non_inferiority_sentence,
    part_words,
    score_words,
    unused_words,
    value_words,
    verdict_sentence,
)
from frostline.wording.numbers import number, plural, size

#: flipped images that are named each way, and parts that differ
_NAMED, _PARTS = 5, 8


@dataclass(frozen=True)
class Wanted:
    """What is to be compared, and where it is said."""

    on: Path | None
    metric: str | None
    no_worse_than: float | None
    speed: bool
    output: Path | None
    as_json: bool


def show_comparison(a: Path, b: Path, wanted: Wanted, cancel: CancelToken) -> None:
    """Print what a comparison found, and end with 3 where the second model is worse than allowed.

    Raises what :func:`frostline.compare` does, and RunFolderError if the file cannot be written.
    """
    check_page_output(wanted.output)
    found = compare(
        a,
        b,
        wanted.on,
        metric=wanted.metric,
        no_worse_than=wanted.no_worse_than,
        speed=wanted.speed,
        progress=TerminalProgress(),
        cancel=cancel,
    )
    write_page_output(wanted.output, found)
    for one in found.record.unreadable:
        err.print(Text(f"Left out: {visible(one.path)}: {one.reason}", style="yellow"))
    if wanted.as_json:
        write_json(found.to_json())
    else:
        _show(found.record)
    if found.passed is False:
        sys.exit(ANSWER_IS_NO)


def _show(record: ComparisonRecord) -> None:
    out.print(Text(visible(f"A: {_model(record, 'a')}")))
    out.print(Text(visible(f"B: {_model(record, 'b')}")))
    out.print(Text(visible(judged_sentence(record))))
    for caveat in record.caveats:
        out.print(Text(visible(comparison_caveat(caveat)), style="yellow"))
    out.print(Text(verdict_sentence(record), style="bold"))
    if record.non_inferiority is not None:
        passed = record.non_inferiority.passed
        said = non_inferiority_sentence(record.non_inferiority)
        out.print(Text(said, style="bold green" if passed else "bold red"))
    out.print(_scores(record))
    differing = [one for one in record.parts if one.verdict != "neither"]
    for one in sorted(differing, key=lambda part: part.p_value)[:_PARTS]:
        better = "B is better" if one.verdict == "b" else "B is worse"
        style = "green" if one.verdict == "b" else "red"
        out.print(Text(visible(f"{better}: {part_words(one, record.task)}"), style=style))
    if len(differing) > _PARTS:
        rest = plural(len(differing) - _PARTS, "more part differs", "more parts differ")
        out.print(Text(f"{rest}: -o FILE.html shows all", style="dim"))
    out.print(Text(visible(f"{correction_sentence(record)} {unused_words(record.unused)}".strip())))
    for lean in record.leans:
        if lean.verdict != "neither":
            out.print(Text(visible(lean_sentence(lean)), style="yellow"))
    out.print(Text(flips_sentence(record)))
    _show_flips("Right in A, wrong in B", record.lost, record.task)
    _show_flips("Right in B, wrong in A", record.won, record.task)
    for fact in record.differences:
        out.print(Text(visible(f"{fact.name}: A {fact.a}, B {fact.b}"), style="dim"))


def _model(record: ComparisonRecord, which: str) -> str:
    model = record.a if which == "a" else record.b
    speed = model.images_a_second
    measured = "" if speed is None else f", {number(speed, 1)} images a second here"
    return (
        f"{model.name} ({model.backbone} at {model.input_size} px, {size(model.bytes)}, "
        f"{plural(model.n_train, 'training image')}{measured})"
    )


def _scores(record: ComparisonRecord) -> Table:
    table = Table(box=None)
    table.add_column("score", overflow="fold")
    for name in ("A", "B", "B less A", "95 %"):
        table.add_column(name, justify="right")
    for one in record.scores:
        table.add_row(
            score_words(one.score),
            value_words(one.score, one.a),
            value_words(one.score, one.b),
            change_words(one.score, one.difference),
            interval_words(one.score, one.interval),
        )
    found = record.calibration
    if found is not None:
        table.add_row(
            "Expected calibration error",
            f"{found.a:.3f}",
            f"{found.b:.3f}",
            f"{found.b - found.a:+.3f}",
            "",
        )
    return table


def _show_flips(title: str, flips: tuple[Flip, ...], task: Task) -> None:
    if not flips:
        return
    out.print(Text(f"{title}:"))
    for one in flips[:_NAMED]:
        truth, a, b = (answer_words(said, task) for said in (one.truth, one.a, one.b))
        out.print(Text(visible(f"  {one.path}: is {truth}, A {a}, B {b}")))
    if len(flips) > _NAMED:
        out.print(Text(f"  and {len(flips) - _NAMED:,} more", style="dim"))
