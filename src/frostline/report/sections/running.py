"""How the run went: time, memory, settings; and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from frostline.core.aliases import under_current_names
from frostline.core.run_record import Metrics, RunRecord
from frostline.wording.onnx_outputs import further_outputs
from frostline.wording.tasks import task_judged


@dataclass(frozen=True)
class RunningView:
    """What the section shows; phases are (name, seconds, share of the longest).

    ``outputs``: what the ONNX file tells beside its predictions.
    """

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
    outputs: str


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
        outputs=further_outputs(task_judged(metrics.test), _outputs(metrics)),
    )


def _outputs(metrics: Metrics) -> list[str]:
    """Return which outputs the ONNX file has beside its predictions, by what was found."""
    bounds = [*metrics.label_abstention, *([metrics.abstention] if metrics.abstention else [])]
    there = {
        "unfamiliarity": metrics.unknown is not None,
        "set_95": (metrics.sets is not None and metrics.sets.too_few is None)
        or any(one.too_few is None for one in metrics.label_sets),
        "abstain": any(one.at_most_wrong is not None and one.chosen for one in bounds),
        "interval": any(one.radius is not None for one in metrics.intervals),
    }
    return [name for name, known in there.items() if known]


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
