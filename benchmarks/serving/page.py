"""The figures in docs/serving.md, from benchmarks/results/serving.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import write_between_marks

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def write_figures(found: dict[str, Any]) -> None:
    """Replace the figures of the page."""
    write_between_marks(PAGE, figures(found))


def figures(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    memory, together, clients = found["memory_mb"], found["together"], found["clients"]
    errors = ", ".join(f"{n} × {kind}" for kind, n in found["expected_errors"].items())
    unexpected = found["unexpected"] or "none"
    return "\n".join(
        [
            f"{found['machine']['cores']} core(s), shared with the load itself; "
            f"EfficientNet-Lite0, 224 px; {clients['all']} clients for "
            f"{found['seconds']:.0f} seconds. Processes that wanted a core before it began: "
            f"{found['load_before']:g}.",
            "",
            "| client | answers | p50, ms | p95, ms | p99, ms | longest, ms |",
            "|---|---|---|---|---|---|",
            *(_row(f"alone: {k}", v) for k, v in found["alone"]["latency_ms"].items()),
            *(_row(k, v) for k, v in together["latency_ms"].items()),
            "",
            f"- {together['images']:,} images classified, {together['images_per_second']:.0f} a "
            f"second ({found['alone']['images_per_second']:.0f} with one client alone), "
            f"{found['batches']['mean_images']:.1f} to a batch on average.",
            f"- Answers that were not those of the model for the image: {found['swapped']}.",
            f"- Errors that had to come: {errors}. Other errors: {unexpected}.",
            f"- Memory: {memory['before']} MB before, {memory['highest']} MB at most, "
            f"{memory['after']} MB after; every ten seconds "
            f"{', '.join(map(str, memory['every_10_seconds']))}.",
            "",
        ]
    )


def _row(name: str, found: dict[str, float]) -> str:
    cells = (found["n"], *(f"{found[k]:,.0f}" for k in ("p50", "p95", "p99", "max")))
    return f"| {name} | {' | '.join(map(str, cells))} |"
