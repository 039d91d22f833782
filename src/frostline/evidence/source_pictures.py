"""Pictures that a network was pretrained on: where they lie, and which of them are shown to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from frostline.core.errors import InputError
from frostline.core.files import UnfitFileError, digest_regular
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.decoding.image_refs import decode_unchanged
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.decoding.resource_limits import FILE_BYTES

#: pictures of a card, at least and at most
FEWEST, MOST = 8, 64
_AHEAD = 4


@dataclass(frozen=True)
class SourcePictures:
    """At most 64 pictures of a folder, evenly spread over its sorted names."""

    folder: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The pictures. Raises InputError if there is no such folder, or if it holds too few."""
        if not self.folder.is_dir():
            raise InputError(
                f"There is no folder {str(self.folder)!r} with pictures of the pretraining.",
                hint="Name a folder of pictures that the network learned from, or 'photos'.",
            )
        found = [
            Path(folder) / name
            for folder, _, names in os.walk(self.folder)
            for name in names
            if Path(name).suffix.lower() in EXTENSIONS
        ]
        if len(found) < FEWEST:
            raise InputError(
                f"{str(self.folder)!r} holds {len(found)} pictures; at least {FEWEST} tell what a "
                "network was pretrained on."
            )
        found.sort(key=lambda file: file.relative_to(self.folder).as_posix())
        # the first few of these are spread as evenly as all
        order = _spread(len(found), min(MOST, len(found)))
        return tuple(found[i] for i in order)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of every picture. Raises InputError if a file cannot be read."""
        return tuple(_digest(file) for file in self.files)

    def pixels(self, preprocessing: Preprocessing, n: int, runtime: Runtime) -> UInt8Array:
        """Return the first ``n`` pictures as a network takes them, (n, size, size, 3), uint8.

        Raises UnreadableImageError if one cannot be read.
        """

        def load(both: tuple[Path, str]) -> UInt8Array:
            file, digest = both
            image = decode_unchanged(
                file,
                digest,
                name=file.name,
                max_pixels=runtime.max_pixels,
                at_least=preprocessing.decode_at_least,
                rules=preprocessing.reading,
            )
            return preprocessing.apply(image)

        pairs: Sequence[tuple[Path, str]] = list(zip(self.files, self.digests, strict=True))[:n]
        found = []
        window = _AHEAD * runtime.workers
        for one in read_in_order(pairs, load, workers=runtime.workers, window=window):
            if not isinstance(one, np.ndarray):
                raise one
            found.append(one)
        return np.stack(found)


def _spread(n: int, most: int) -> list[int]:
    """Return ``most`` of ``n`` positions, evenly apart, in an order of which every start is so."""
    every = [int(i * n / most) for i in range(most)]
    step = 1 << max(0, most - 1).bit_length()
    # a dict keeps the order in which positions were met first
    order: dict[int, None] = {}
    while step:
        order |= dict.fromkeys(range(0, most, step))
        step //= 2
    return [every[i] for i in order]


def _digest(file: Path) -> str:
    try:
        return digest_regular(file, at_most=FILE_BYTES).hexdigest
    except (UnfitFileError, OSError) as error:
        raise InputError(f"{file} cannot be read: {error}.") from None
