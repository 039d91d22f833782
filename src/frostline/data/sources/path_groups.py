"""Groups of images by a regular expression on their paths."""

from __future__ import annotations

import re
from dataclasses import replace

from frostline.core.errors import InputError, SettingsError
from frostline.core.progress import TypedProgress
from frostline.data.listing import Listing


def compiled(group_by: str | None) -> re.Pattern[str] | None:
    """Return the expression, made sure that it is one."""
    if group_by is None:
        return None
    try:
        return re.compile(group_by)
    except re.error as error:
        raise SettingsError(
            f"groups={group_by!r} is no regular expression: {error}.",
            hint="For a folder it is searched in each relative path, for instance 'patient(\\d+)'.",
        ) from None


def grouped(listing: Listing, pattern: re.Pattern[str], progress: TypedProgress) -> Listing:
    """Return the listing with the group of every path."""
    found = [replace(item, group=_group(item.name, pattern)) for item in listing.found]
    alone = sum(item.group is None for item in found)
    if alone == len(found):
        raise InputError(
            f"groups={pattern.pattern!r} matches none of {alone:,} paths, "
            f"the first of which is {found[0].name!r}."
        )
    if alone:
        progress.note(
            f"groups matches {len(found) - alone:,} of {len(found):,} images; "
            "each of the others is a group of its own."
        )
    return replace(listing, found=found)


def _group(name: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(name)
    if match is None:
        return None
    # an empty name would tie together images that have nothing in common
    return (match.group(1) if pattern.groups else match.group()) or None
