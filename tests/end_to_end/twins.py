"""What two runs of the same images, settings and seed must share to the last bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frostline.core.progress import NullProgress, Task

#: they tell about the machine, its clock, where images lie, and what was known before
_OF_THE_MACHINE = {
    "source",
    "checksum",
    *("seconds", "peak_memory_bytes", "pass", "images_computed"),
    *("engine", "engine_reason"),
}


def outcome(run: Path) -> dict[str, str]:
    """Every file that decides something, by name."""
    tables = ("predictions.csv", "predictions.safetensors", "catalog.csv")
    names = ("plan.json", "metrics.json", "audit.json", *tables)
    files = [*(run / name for name in names), *sorted((run / "model").iterdir())]
    return {str(path.relative_to(run)): fingerprint(path) for path in files}


def fingerprint(path: Path) -> str:
    """The digest of a file; of JSON its text without times."""
    if path.suffix == ".json":
        return json.dumps(timeless(json.loads(path.read_text())), sort_keys=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in _OF_THE_MACHINE}
    return [timeless(v) for v in value] if isinstance(value, list) else value


class OneBar(NullProgress):
    """Progress that refuses a second bar while one is shown, as a terminal may."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self._shown: str | None = None

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        assert self._shown is None, f"{label!r} opened inside {self._shown!r}"
        self._shown = label
        self.labels.append(label)
        try:
            with super().task(label, total) as bar:
                yield bar
        finally:
            self._shown = None
