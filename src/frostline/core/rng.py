"""Random numbers by name: they depend on the seed, the name and a key alone.

Never on workers, batch order or what ran before. Every use has a name of its own, so no two draw
the same numbers, whatever their keys are.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

#: every stream of random numbers that a run draws from its seed; each is drawn at one place
Stream = Literal[
    "adapters",
    "balanced accuracy",
    "compared networks",
    "confound cuts",
    "confound facts",
    "confound parts",
    "confound shuffles",
    "dropout",
    "flip fits",
    "flip halves",
    "graph check",
    "halves of the curve",
    "landmarks",
    "mixing",
    "new layers",
    "order",
    "random start",
    "rows to compare",
    "rows to mirror",
    "mirrored sample",
    "shift",
    "ties of a watch",
    "view",
]

#: these drew from ``[seed, *key]`` before streams had names and keep their numbers; they cannot
#: meet, as the one has no key and that of the other is a number of images
_BARE = ("balanced accuracy", "shift")


def keyed_number(name: Stream, *key: str | int) -> int:
    """Return a number in [0, 2**63) that is as good as random, but always the same for a key."""
    text = "\x1f".join(str(part) for part in (name, *key)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(name: Stream, seed: int, *key: int) -> np.random.Generator:
    """Return a generator at the start of a stream; the same name, seed and key start alike."""
    return np.random.default_rng([seed, *key] if name in _BARE else keyed_number(name, seed, *key))


def keyed_bytes(*key: str | int) -> bytes:
    """Return 16 bytes that are as good as random, but always the same for a key.

    For ranks and views that must stay what they are from one release to the next: splits and
    augmented images rest on them.
    """
    return hashlib.blake2b(":".join(map(str, key)).encode(), digest_size=16).digest()
