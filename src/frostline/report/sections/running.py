"""How the run went: time, memory, settings; and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.core.aliases import under_current_names
from frostline.core.run_record import RunRecord


@dataclass(frozen=True)
class RunningView:
    """What the section shows; phases are (name, seconds, share of the longest)."""

    phases: list[tuple[str, float, float]]
    total: float | None
    memory: int | None
    engine: str
    settings: dict[str, Any]
    command: str
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str]
    seed: int
    run: str
    run_literal: str


def running(record: RunRecord) -> RunningView:
    """Arrange time, settings and provenance."""
    metrics, provenance = record.metrics, record.provenance
    engine, reason = metrics.engine, metrics.engine_reason
    return RunningView(
        phases=phases(metrics.seconds),
        total=metrics.seconds.get("total"),
        memory=metrics.peak_memory_bytes,
        engine=f"{engine} ({reason})" if engine and reason else engine,
        settings=flat(record.settings),
        command=provenance.command,
        versions=provenance.versions,
        fingerprints=provenance.fingerprints,
        seed=record.plan.seed,
        run=shlex.quote(record.run),
        run_literal=repr(record.run),
    )


def phases(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Phases with their seconds and their share of the longest, without the total."""
    single = {k: v for k, v in seconds.items() if k != "total"}
    longest = max(single.values(), default=0.0) or 1.0
    return [(name, value, value / longest) for name, value in single.items()]


def flat(settings: Mapping[str, Any], *, before: str = "") -> dict[str, Any]:
    """Settings name by name: ``{"resolved": {"threads": 2}}`` becomes ``resolved threads``."""
    found: dict[str, Any] = {}
    for name, value in under_current_names(settings, quiet=True).items():
        if isinstance(value, Mapping):
            found |= flat(value, before=f"{before}{name} ")
        else:
            found[before + name] = "not set" if value is None else value
    return found
