"""Find the pictures that feedback on a service is about: it may tell only their digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frostline.core.errors import InputError, UnreadableImageError
from frostline.data.decoding.image_refs import content_of
from frostline.data.naming import counted
from frostline.fitting.run_pool import LabelledRun
from frostline.run.answers import GivenAnswer
from frostline.run.feedback_log import PICTURES

#: digests that an error names
_NAMED = 3


def with_pictures(
    answers: Sequence[GivenAnswer], run: LabelledRun, below: Path
) -> tuple[GivenAnswer, ...]:
    """Give answers that have no path the picture with their digest.

    It is looked for among the images of the run, and in the folder ``images`` below ``below``,
    where a file may have any name. Raises InputError if some are found nowhere.
    """
    if all(one.path for one in answers):
        return tuple(answers)
    places = {one.digest: str(one.row.path) for one in run.known if one.row.path.is_file()}
    places |= _pictures(below / PICTURES)
    needed = [one.digest for one in answers if not one.path and one.digest not in places]
    if needed:
        more = f" and {len(needed) - _NAMED:,} more" if len(needed) > _NAMED else ""
        raise InputError(
            f"{counted(len(needed), 'picture')} that the feedback is about cannot be found: it "
            f"tells only the SHA-256 of their files, {', '.join(needed[:_NAMED])}{more}.",
            hint=f"Nothing was taken. Put them into {below / PICTURES}, under any names; "
            "'frostline serve --keep-images' does so by itself.",
        )
    return tuple(one if one.path else replace(one, path=places[one.digest]) for one in answers)


def _pictures(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in files:
        try:
            found.setdefault(content_of(path, name=path.name).digest, str(path.absolute()))
        except UnreadableImageError:
            # whatever else lies there
            continue
    return found
