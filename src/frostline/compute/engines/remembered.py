"""Which engine was fastest for a part on this machine, from one run to the next."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.compute.engines.processor import processor_name


@dataclass(frozen=True)
class Choice:
    """The engine that was fastest, and how.

    ``batch``: images of a call. ``lanes``: calls at the same time. ``rates``: images a second of
    each engine.
    """

    engine: str
    batch: int
    lanes: int
    rates: Mapping[str, float]


CHOICE = Memo(name="engine choice", version=2, libraries=NETWORKS, result=Choice, folder="choices")


def recall_choice(shape: str, threads: int, precision: str, names: Sequence[str]) -> Choice | None:
    """Return what was fastest, if that engine is still among ``names``.

    ``shape``: :attr:`FrozenPart.shape_key` of the part.
    """
    found = recall(CHOICE, _key(shape, threads, precision))
    return found if found is not None and found.engine in names else None


def remember_choice(shape: str, threads: int, precision: str, choice: Choice) -> None:
    """Keep what was measured; where nothing can be written it is measured again."""
    remember(CHOICE, _key(shape, threads, precision), choice)


def _key(shape: str, threads: int, precision: str) -> str:
    machine = (platform.machine(), platform.processor(), processor_name())
    return CHOICE.key(
        {"part": shape, "threads": threads, "precision": precision, "machine": machine}
    )
