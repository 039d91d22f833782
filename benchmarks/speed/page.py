"""The page of docs that quotes benchmarks/results/speed.json."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"
_PEERS = {
    "fastai": "fastai `fine_tune(4)`",
    "lightning": "Lightning `BackboneFinetuning`, 1 + 4 epochs",
    "plain": "plain PyTorch loop, head only, 10 epochs",
}


def write_page(found: dict[str, Any]) -> None:
    """Write docs/speed.md."""
    lines = [
        "# How fast",
        "",
        "Written by `python -m benchmarks.speed` from `benchmarks/results/speed.json`: processes",
        "one after another on an otherwise idle machine, the same weights (EfficientNet-Lite0),",
        f"split, 224 pixels and threads ({_cores(found)} cores). Peers ran once, Frostline three",
        "times with an empty cache each, decision, evaluation, export and report included. The",
        "tables were measured on different days, and a machine is faster on some than on others:",
        "compare the rows of one table, not the tables.",
        "",
    ]
    for name in ("solar cells", "photos", "clip art"):
        lines += _jobs(found, name)
    lines += _epochs(found) + _views() + _limits(found) + _start(found)
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _cores(found: dict[str, Any]) -> int:
    return max((run["machine"]["cores"] for run in found.values()), default=0)


def _jobs(found: dict[str, Any], name: str) -> list[str]:
    ours = [run for key, run in found.items() if key.startswith(f"{name}, whole job, frostline")]
    if not ours:
        return []
    wall = statistics.median(run["wall"] for run in ours)
    accuracy = statistics.mean(run["accuracy"] for run in ours)
    cpu = statistics.median(run["cpu"] for run in ours)
    memory = max(run["peak_memory"] for run in ours) / 1e9
    limits = found.get(f"{name}, limits")
    number = "" if limits is None else f", {limits['images']:.0f} images"
    lines = [
        f"## The whole job: {name}{number}",
        "",
        "| who | wall seconds | processor seconds | peak memory, GB | accuracy | times slower |",
        "|---|---|---|---|---|---|",
        f"| Frostline `--effort fast` | {wall:.0f} | {cpu:.0f} | {memory:.1f} | {accuracy:.3f} | |",
    ]
    for peer, said in _PEERS.items():
        run = found.get(f"{name}, whole job, {peer}")
        if run is not None:
            lines.append(
                f"| {said} | {run['wall']:.0f} | {run['cpu']:.0f} | "
                f"{run['peak_memory'] / 1e9:.1f} | {run['accuracy']:.3f} | "
                f"{run['wall'] / wall:.1f} |"
            )
    phases = ", ".join(f"{p} {s:.1f}" for p, s in ours[0]["seconds"].items() if p != "total")
    return [*lines, "", f"Frostline's first run by phase, in seconds: {phases}.", ""]


def _start(found: dict[str, Any]) -> list[str]:
    run = found.get("start")
    if run is None:
        return []
    return [
        "",
        "## Single commands",
        "",
        "Whole fresh processes, median of five; importing PyTorch and timm, which `predict` does",
        "without, stands beside them.",
        "",
        "| command | seconds |",
        "|---|---|",
        *(f"| `{said}` | {seconds:.2f} |" for said, seconds in run["seconds"].items()),
    ]


def _epochs(found: dict[str, Any]) -> list[str]:
    runs = {
        who: run
        for who in ("frostline", "fastai", "plain")
        if (run := found.get(f"solar cells, epochs, {who}"))
    }
    if not runs:
        return []
    lines = [
        "## One epoch of 600 images",
        "",
        "| who | what trains | median seconds |",
        "|---|---|---|",
    ]
    for who, run in runs.items():
        lines += [f"| {who} | {kind} | {s:.1f} |" for kind, s in run["median_epoch"].items()]
    ours = runs.get("frostline")
    if ours:
        losses = "; ".join(
            f"{kind}: {', '.join(f'{loss:.3f}' for loss in values)}"
            for kind, values in ours["losses"].items()
            if kind != "full"
        )
        median = ours["median_epoch"]
        ratios = ", ".join(
            f"{part} {median[f'{part}, not stored'] / median[f'{part}, stored']:.1f} times"
            for part in (kind.removesuffix(", stored") for kind in median)
            if f"{part}, stored" in median and f"{part}, not stored" in median
        )
        lines += [
            "",
            f"Training loss by epoch with and without the store: {losses}. The store makes an "
            f"epoch faster: {ratios}. It takes away decoding and the work below the cut; what "
            "trains above it costs the same with it or without, about three forward passes. Where "
            "half of the work lies below the cut, three of four parts of it remain; where nearly "
            "all of it lies below, the store takes nearly all.",
        ]
    return [*lines, ""]


def _views() -> list[str]:
    """What other views of stored images bring, from benchmarks/results/views.json."""
    path = Path(__file__).parents[1] / "results" / "views.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    lines = [
        "## Which views pay",
        "",
        f"Layers above a cut trained on stored activations of {len(found['rows'])} small sets "
        "(`python -m benchmarks.views`).",
        "",
        "| views of an image | accuracy | points over the default | processor seconds |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['accuracy']:.1%} | {row['points_over_default']:+.2f} ± "
        f"{row['error']:.2f} | {row['cpu_seconds']:.1f} |"
        for name, row in found["summary"].items()
    ]
    return [*lines, ""]


def _limits(found: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name in ("solar cells", "photos", "clip art"):
        run = found.get(f"{name}, limits")
        if run:
            lines.append(
                f"| {name} | {run['images']:.0f} | {run['decoding_cpu']:.1f} | "
                f"{run['computing_cpu']:.1f} | {run['limit']:.1f} | {run['pass_wall']:.1f} | "
                f"{run['over_the_limit']:.2f} |"
            )
    if lines:
        head = [
            "## Distance to the limit",
            "",
            "The limit is (processor seconds of decoding + those of the engine alone) / cores.",
            "",
            "| images | number | decoding | computing | limit, s | pass, s | pass / limit |",
            "|---|---|---|---|---|---|---|",
        ]
        lines = [*head, *lines, ""]
    again = found.get("solar cells, again")
    if again:
        share = again["warm"]["wall"] / again["cold"]["wall"]
        lines += [
            "## A second run",
            "",
            f"With a warm store the same fit of the solar cells takes {again['warm']['wall']:.1f} "
            f"seconds instead of {again['cold']['wall']:.1f} ({share:.0%}).",
        ]
    return lines
