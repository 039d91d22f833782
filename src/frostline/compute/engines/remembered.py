"""Which engine was fastest for a part on this machine, from one run to the next."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, recall, remember


@dataclass(frozen=True)
class Choice:
    """The engine that was fastest, and the seconds that each took for a batch."""

    fastest: str
    seconds: Mapping[str, float]


CHOICE = Memo(name="engine choice", version=1, libraries=NETWORKS, result=Choice, folder="choices")


def recall_choice(part_key: str, threads: int, precision: str, names: Sequence[str]) -> str | None:
    """Return the engine that was fastest, if it is still among ``names``."""
    found = recall(CHOICE, _key(part_key, threads, precision))
    return found.fastest if found is not None and found.fastest in names else None


def remember_choice(part_key: str, threads: int, precision: str, choice: Choice) -> None:
    """Keep what was measured; where nothing can be written it is measured again."""
    remember(CHOICE, _key(part_key, threads, precision), choice)


def _key(part_key: str, threads: int, precision: str) -> str:
    machine = (platform.machine(), platform.processor(), _processor())
    return CHOICE.key(
        {"part": part_key, "threads": threads, "precision": precision, "machine": machine}
    )


def _processor() -> str:
    """Return the processor's model where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
