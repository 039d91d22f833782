"""Watch what comes in, in the terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.page_output import check_page_output, write_page_output
from frostline.cli.streams import write_json
from frostline.core.cancel import CancelToken
from frostline.core.errors import ANSWER_IS_NO
from frostline.core.watch_record import WatchRecord
from frostline.data.naming import visible
from frostline.watching.watch import watch
from frostline.wording.numbers import number, percent
from frostline.wording.watching import (
    alarm_sentence,
    caveats,
    counted_sentence,
    onset_sentence,
    outputs_sentence,
    p_words,
    share_words,
    unknown_sentence,
)

#: outputs that are listed
_LISTED = 20


@dataclass(frozen=True)
class Wanted:
    """How it is to be watched, and where it is said."""

    false_alarms: float
    max_pixels: int
    output: Path | None
    as_json: bool


def show_watch(run: Path, source: Path, wanted: Wanted, cancel: CancelToken) -> None:
    """Print what a watch found, and end with 3 where it raised an alarm.

    Raises what :func:`frostline.watch` does, and RunFolderError if the file cannot be written.
    """
    check_page_output(wanted.output)
    found = watch(
        run,
        source,
        false_alarms=wanted.false_alarms,
        max_pixels=wanted.max_pixels,
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
    if found.alarmed:
        sys.exit(ANSWER_IS_NO)


def _show(record: WatchRecord) -> None:
    style = "bold green" if record.alarm is None else "bold red"
    out.print(Text(visible(alarm_sentence(record)), style=style))
    out.print(Text(visible(onset_sentence(record)), style="bold"))
    out.print(Text(visible(counted_sentence(record))))
    for said in caveats(record):
        out.print(Text(said, style="yellow"))
    out.print(_depths(record))
    out.print(Text(visible(outputs_sentence(record))))
    if record.outputs:
        out.print(_outputs(record))
    out.print(Text(unknown_sentence(record)))


def _depths(record: WatchRecord) -> Table:
    table = Table(box=None)
    table.add_column("depth", overflow="fold")
    for name in ("below it", "distance", "by chance", "p"):
        table.add_column(name, justify="right")
    for one in record.depths:
        table.add_row(
            visible(one.name),
            percent(one.depth, 0),
            number(one.distance, 2),
            number(one.by_chance, 2),
            p_words(one.p_adjusted),
        )
    return table


def _outputs(record: WatchRecord) -> Table:
    table = Table(box=None)
    table.add_column("", overflow="fold")
    for name in ("training", "now", "95 %"):
        table.add_column(name, justify="right")
    ordered = sorted(record.outputs, key=lambda one: one.p_adjusted)
    for one in ordered[:_LISTED]:
        style = "" if one.verdict == "as before" else "bold"
        said = share_words(one, numbers=record.task == "regression")
        table.add_row(visible(one.name), *said, style=style)
    return table
