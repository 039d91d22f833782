"""Move labels to another class, and count what the list of doubtful labels finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.label_errors import SEEDS, SHOWN, search
from frostline.fitting.procedure import Task

RATES = (0.05, 0.10, 0.20)


def fill(task: Task, found: dict[str, Any], keep: Callable[[], None]) -> None:
    """Search the digits with the features that a run has."""
    blocks = list(task.store.slices.values())
    for rate in RATES:
        if f"{rate}" not in found:
            found[f"{rate}"] = [
                search(task.store.taps, blocks, task.problem.labels, rate=rate, seed=seed)
                for seed in SEEDS
            ]
            keep()


def table(found: dict[str, Any]) -> list[str]:
    """Precision and recall: of all labels in doubt, and of those that a report shows."""
    lines = [
        f"| labels moved | planted | found | wrongly in doubt | right among the {SHOWN} shown |",
        "|---|---|---|---|---|",
    ]
    for rate, runs in found.items():
        total = {key: int(np.sum([run[key] for run in runs])) for key in runs[0] if key != "seed"}
        recall = total["planted_in_doubt"] / total["planted"]
        wrong = total["in_doubt"] - total["planted_in_doubt"]
        lines.append(
            f"| {float(rate):.0%} of the digits | {total['planted']} | "
            f"{total['planted_in_doubt']} ({recall:.1%}) | {wrong} | "
            f"{total['planted_shown']} of {total['shown']} |"
        )
    return lines
