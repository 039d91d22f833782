"""What an update looks like in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from frostline.cli.console import out
from frostline.cli.show import show_result
from frostline.core.errors import SettingsError
from frostline.data.naming import counted, shorten, visible
from frostline.fitting.update import Updated
from frostline.wording.numbers import percent


def check_place(output: Path | None, *, in_place: bool) -> None:
    """Make sure that an update has one place. Raises SettingsError."""
    if in_place == (output is not None):
        said = "both -o and --in-place were given" if in_place else "no folder was given"
        raise SettingsError(
            f"The new run needs one place; {said}.",
            hint="Give a folder with -o, or --in-place to keep the old run as RUN.previous.",
        )


def show_update(found: Updated) -> None:
    """Print what changed, then the new run as a fit shows it."""
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
    show_result(found.result)
    if found.accuracy_before is not None:
        out.print(Text(f"Before it was {percent(found.accuracy_before)}, on the images of then."))
