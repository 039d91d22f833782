"""What a part found, kept in a file of its own so that a stopped study goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.accuracy_and_time import machine

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "reliability"


def read(part: str) -> dict[str, Any]:
    """The figures of ``part``; empty before its first run."""
    path = RESULTS / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(part: str, found: dict[str, Any]) -> None:
    """Replace the figures of ``part`` whole."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{part}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({**found, "machine": machine()}, indent=1) + "\n")
    partial.replace(path)


def bugs() -> list[dict[str, str]]:
    """Every bug: ``found`` (one line), ``by`` (the part) and ``test`` (what guards it now)."""
    return [
        bug
        for path in sorted((RESULTS / "bugs").glob("*.json"))
        for bug in json.loads(path.read_text())
    ]
