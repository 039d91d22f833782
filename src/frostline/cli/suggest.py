"""Suggest images to label, in the terminal, as a table and as a contact sheet."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.streams import write_json
from frostline.core.cancel import CancelToken
from frostline.core.errors import RunFolderError, UnreadableImageError
from frostline.core.suggestion_record import Suggestions
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.naming import visible
from frostline.fitting.suggest import suggest
from frostline.model.inputs import to_rgb
from frostline.model_format.model_folder import find_model_folder
from frostline.report.contact_sheet import SIDE, picture_of, write_contact_sheet
from frostline.run.suggestion_table import SHEET, SUGGESTIONS, write_suggestions
from frostline.wording.suggesting import (
    forecast_sentences,
    found_sentences,
    sheet_title,
    why_sentence,
)

#: suggestions that the terminal shows
_SHOWN = 10


def suggest_images(
    run: Path,
    pool: Path | None,
    *,
    n: int,
    doubtful: bool,
    output: Path | None,
    sheet: bool,
    as_json: bool,
    max_pixels: int,
    cancel: CancelToken,
) -> None:
    """Write ``suggestions.csv`` and its sheet, and say what labels are expected to bring.

    Raises what :func:`frostline.suggest` does; RunFolderError if a file cannot be written.
    """
    table = _table_path(run, output)
    found = suggest(
        run,
        pool,
        n=n,
        doubtful=doubtful,
        max_pixels=max_pixels,
        progress=TerminalProgress(),
        cancel=cancel,
    )
    for path, reason in found.unreadable:
        err.print(Text(f"Left out: {visible(path)}: {reason}", style="yellow"))
    said = found_sentences(found)
    if found.forecast is not None:
        said += forecast_sentences(found.forecast)
    write_suggestions(table, found, why_sentence)
    written = [table]
    if sheet and (found.chosen or found.apart):
        page = table.with_suffix(".html")
        write_contact_sheet(
            page,
            found,
            _pictures(found, max_pixels),
            title=sheet_title(found),
            sentences=said,
            why=why_sentence,
            command=f"frostline label {run} answers.json",
        )
        written.append(page)
    if as_json:
        write_json({**found.to_json(), "files": [str(path) for path in written]})
    else:
        for sentence in said:
            out.print(Text(visible(sentence)))
        _show(found)
    err.print(Text(f"Wrote {', '.join(map(str, written))}"))
    if len(written) > 1:
        err.print(Text(f"Open {written[1]} to answer, then: frostline label {run} answers.json"))


def _table_path(run: Path, output: Path | None) -> Path:
    if output is None:
        return find_model_folder(run).resolve().parent / SUGGESTIONS
    if output.suffix.lower() != ".csv":
        raise RunFolderError(
            f"{output} is no table.",
            hint=f"Give a name that ends in .csv; the sheet ({SHEET}) is written beside it.",
        )
    return output


def _pictures(found: Suggestions, max_pixels: int) -> dict[str, bytes]:
    every = (*found.chosen, *found.apart)

    def load(at: int) -> bytes:
        one = every[at]
        image = to_rgb(Path(one.path), name=one.name, max_pixels=max_pixels, at_least=SIDE)
        return picture_of(image)

    read = read_in_order(range(len(every)), load, workers=2)
    pairs = zip(every, read, strict=True)
    return {
        one.digest: picture
        for one, picture in pairs
        if not isinstance(picture, UnreadableImageError)
    }


def _show(found: Suggestions) -> None:
    if not found.chosen:
        return
    table = Table(box=None)
    table.add_column("", justify="right")
    table.add_column("image", overflow="fold")
    table.add_column("predicted", overflow="fold")
    table.add_column("sure", justify="right")
    table.add_column("why", overflow="fold")
    for one in found.chosen[:_SHOWN]:
        table.add_row(
            str(one.rank),
            Text(visible(one.name)),
            Text(visible(one.predicted)),
            f"{one.confidence:.0%}",
            Text(visible(why_sentence(one))),
        )
    out.print(table)
    if len(found.chosen) > _SHOWN:
        out.print(f"and {len(found.chosen) - _SHOWN:,} more in the table")
