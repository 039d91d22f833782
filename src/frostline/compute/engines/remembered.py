"""Which engine was fastest for a part on this machine, from one run to the next."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from frostline.compute.cache.locations import cache_root, key_of, read_checked, write_checked
from frostline.core.errors import StoreError

_PACKAGES = ("torch", "onnxruntime", "openvino")


def recall(part_key: str, threads: int, precision: str, names: Sequence[str]) -> str | None:
    """Return the engine that was fastest, if it is still among ``names``."""
    kept = read_checked(_file(part_key, threads, precision))
    if kept is None:
        return None
    found = json.loads(kept)
    name = found.get("fastest") if isinstance(found, dict) else None
    return name if name in names else None


def remember(
    part_key: str, threads: int, precision: str, fastest: str, seconds: dict[str, float]
) -> None:
    """Keep the seconds of a batch; where nothing can be written they are measured again."""
    content = json.dumps({"fastest": fastest, "seconds": seconds}).encode()
    with contextlib.suppress(StoreError):
        write_checked(_file(part_key, threads, precision), content)


def _file(part_key: str, threads: int, precision: str) -> Path:
    machine = (platform.machine(), platform.processor(), _processor())
    key = key_of(part_key, str(threads), precision, *machine, *map(_version, _PACKAGES))
    return cache_root() / "choices" / f"{key}.json"


def _processor() -> str:
    """Return the processor's model where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
