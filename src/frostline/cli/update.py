"""What an update looks like in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.text import Text

from frostline.cli.console import out
from frostline.cli.show import show_result
from frostline.compute.cache.purge import Purged
from frostline.core.errors import ANSWER_IS_NO, SettingsError
from frostline.data.naming import counted, shorten, visible
from frostline.run.replacement import next_folder, previous_folder
from frostline.updating.update import Updated
from frostline.wording.comparison import (
    non_inferiority_sentence,
    part_words,
    verdict_sentence,
)
from frostline.wording.numbers import percent


def check_place(output: Path | None, *, in_place: bool) -> None:
    """Make sure that an update has one place. Raises SettingsError."""
    if in_place == (output is not None):
        said = "both -o and --in-place were given" if in_place else "no folder was given"
        raise SettingsError(
            f"The new run needs one place; {said}.",
            hint="Give a folder with -o, or --in-place to keep the old run as RUN.previous.",
        )


def show_update(found: Updated, run: Path) -> None:
    """Print what changed, then the new run as a fit shows it.

    Ends with 3 where the new run did not take the place that it was to have.
    """
    told = [
        counted(number, "image") + words
        for number, words in (
            (found.added, " added"),
            (found.removed, " removed"),
            (found.relabelled, " relabelled"),
            (found.already, " of those given were there already"),
        )
        if number
    ]
    out.print(Text(f"Changed: {', '.join(told) or 'the parts of the images'}."))
    if found.new_classes:
        out.print(Text(f"New: {shorten([visible(name) for name in found.new_classes])}."))
    if found.purged is not None:
        out.print(Text(purged_sentence(found.purged)))
    show_result(found.result)
    if found.comparison is None:
        if found.before is not None:
            out.print(Text(f"Before it was {percent(found.before)}, on the images of then."))
        return
    record = found.comparison.record
    out.print(Text(f"On images that both judged: {verdict_sentence(record)}"))
    if found.replaced:
        out.print(Text(f"The run of before is kept as {previous_folder(run)}."))
        return
    if record.non_inferiority is not None:
        out.print(Text(non_inferiority_sentence(record.non_inferiority)))
    for one in record.parts:
        if one.verdict == "a":
            out.print(Text(f"Worse: {part_words(one, record.task)}."))
    out.print(
        Text(
            f"Not replaced: {run} is as it was, and the new run is {next_folder(run)}. "
            f"'frostline compare {run} {next_folder(run)} -o comparison.html' shows every image "
            "that they judge otherwise."
        )
    )
    sys.exit(ANSWER_IS_NO)


def purged_sentence(purged: Purged) -> str:
    """Say what left the store of features."""
    held = f"it had {counted(purged.images, 'image')} of those removed"
    if purged.files:
        held += f", and {counted(purged.files, 'file')} went or were written anew without them"
    results = counted(purged.results, "kept result")
    return f"Store of features: {held}; {results} of whole runs went."
