"""What files that were left out really are: images under odd names, and kinds that are not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from frostline.core.files import UnfitFileError, open_regular
from frostline.data.decoding.file_kinds import HEAD_BYTES, kind_of
from frostline.data.decoding.resource_limits import FILE_BYTES
from frostline.data.sources.folder_notes import OddEndings
from frostline.data.sources.left_out import LeftOut

#: how files of the kinds that are read begin
_BEGINNINGS: dict[bytes, str] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
#: endings of files that lie beside images in great numbers and are none
_TEXT = frozenset((".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md", ".html"))
#: files that are looked at, so that listing stays quick
_MOST = 400


def odd_endings(left_out: Iterable[LeftOut]) -> OddEndings | None:
    """Return how many files begin like images that could be read, but are called otherwise.

    At most a few hundred files are looked at.
    """
    looked_at = 0
    kinds: Counter[str] = Counter()
    example = ""
    for one in left_out:
        if one.kind != "not an image" or one.ending in _TEXT:
            continue
        for name, path in one.files[: _MOST - looked_at]:
            looked_at += 1
            kind = _kind(Path(path))
            if kind:
                kinds[kind] += 1
                example = example or name
    if not kinds:
        return None
    return OddEndings(sum(kinds.values()), tuple(kinds), example)


def told(left_out: Iterable[LeftOut]) -> Iterator[LeftOut]:
    """Say of each ending that was left out what its first file really is, by its bytes."""
    for one in left_out:
        if one.kind != "not an image" or one.ending in _TEXT or not one.files:
            yield one
            continue
        kind = kind_of(_start(Path(one.files[0][1]), HEAD_BYTES))
        missed = kind is not None and (kind.picture or kind.remedy)
        yield replace(one, really=kind.reason) if kind is not None and missed else one


def _kind(path: Path) -> str | None:
    start = _start(path, 16)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for begin, kind in _BEGINNINGS.items() if start.startswith(begin)), None)


def _start(path: Path, n_bytes: int) -> bytes:
    try:
        with open_regular(path, at_most=FILE_BYTES) as stream:
            return stream.read(n_bytes)
    except (UnfitFileError, OSError):
        return b""
