"""How the run went: time, memory, settings; and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.report.data import ReportData


@dataclass(frozen=True)
class RunningView:
    """What the section shows; phases are (name, seconds, share of the longest)."""

    phases: list[tuple[str, float, float]]
    total: Any
    memory: Any
    engine: str
    settings: dict[str, Any]
    command: str
    versions: Mapping[str, str]
    fingerprints: Mapping[str, str]
    seed: int
    run: str
    run_literal: str


def running(data: ReportData) -> RunningView:
    """Arrange time, settings and provenance."""
    seconds = data.metrics.get("seconds") or {}
    engine = str(data.metrics.get("engine") or "")
    reason = str(data.metrics.get("engine_reason") or "")
    return RunningView(
        phases=phases(seconds),
        total=seconds.get("total"),
        memory=data.metrics.get("peak_memory_bytes"),
        engine=f"{engine} ({reason})" if engine and reason else engine,
        settings=flat(data.settings),
        command=str(data.provenance.get("command") or ""),
        versions=data.provenance.get("versions") or {},
        fingerprints=data.provenance.get("fingerprints") or {},
        seed=data.plan.seed,
        run=shlex.quote(data.run),
        run_literal=repr(data.run),
    )


def phases(seconds: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Phases with their seconds and their share of the longest, without the total."""
    single = {k: float(v) for k, v in seconds.items() if k != "total" and v is not None}
    longest = max(single.values(), default=0.0) or 1.0
    return [(name, value, value / longest) for name, value in single.items()]


def flat(settings: Mapping[str, Any], *, before: str = "") -> dict[str, Any]:
    """Settings name by name: ``{"resolved": {"threads": 2}}`` becomes ``resolved threads``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, before=f"{before}{name} ")
        else:
            found[before + name] = "not set" if value is None else value
    return found
