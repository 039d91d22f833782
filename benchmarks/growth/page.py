"""The page of docs that quotes benchmarks/results/growth.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.growth.laws import exponents, line

PAGE = Path(__file__).parents[2] / "docs" / "growth.md"
#: steeper growth than this between two sizes is pointed out ...
STEEP = 1.15
#: ... where the larger one takes at least so many seconds
WORTH_SECONDS = 1.0
#: what took less cannot be compared
TOO_SHORT = 0.05

Result = dict[str, Any]


def write_page(found: dict[str, Result]) -> None:
    """Write docs/growth.md."""
    lines = [
        "# How time and memory grow",
        "",
        "Written by `python -m benchmarks.growth` from `benchmarks/results/growth.json`.",
        "",
    ]
    images = sorted((r for k, r in found.items() if k.startswith("images, ")), key=_n)
    steps: dict[str, list[Result]] = {}
    for result in found.values():
        if "step" in result:
            steps.setdefault(result["step"], []).append(result)
    lines += _images(images) if images else []
    lines += _rows({step: sorted(results, key=_n) for step, results in steps.items()})
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _n(result: Result) -> int:
    return int(result["n"])


def _images(runs: list[Result]) -> list[str]:
    lines = [
        "## Whole fits",
        "",
        "Generated JPEG files in 10 classes, 128 pixels wide; the whole cold process",
        "`frostline fit --effort fast` with an empty cache, decision, evaluation, export and",
        f"report included ({runs[-1]['machine']['cores']} cores). The taps are the features that",
        "a fit rests on, 4,192 numbers for each image.",
        "",
        "| images | wall, s | processor, s | peak memory, GB | of it taps, GB "
        "| store, GB | report, kB | accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['n']:,} | {r['wall']:.0f} | {r['cpu']:.0f} | {r['peak_memory'] / 1e9:.2f} | "
        f"{r['taps_bytes'] / 1e9:.2f} | {r['store_bytes'] / 1e9:.2f} | "
        f"{r['report_bytes'] / 1e3:.0f} | {r['accuracy']:.3f} |"
        for r in runs
    ]
    if len(runs) >= 2:
        lines += ["", *_laws(runs)]
    phases = [name for name in runs[-1]["seconds"] if name != "total"]
    lines += [
        "",
        "Seconds by phase:",
        "",
        f"| phase | {' | '.join(format(_n(r), ',') for r in runs)} |",
        f"|---|{'---|' * len(runs)}",
    ]
    lines += [
        f"| {name} | {' | '.join(format(r['seconds'].get(name, 0.0), '.1f') for r in runs)} |"
        for name in phases
    ]
    return [*lines, ""]


def _laws(runs: list[Result]) -> list[str]:
    sizes = [r["n"] for r in runs]
    lines = ["Straight lines through these (least squares, relative to the values):", ""]
    for name, what in (("wall", "wall"), ("cpu", "processor")):
        law = line(sizes, [r[name] for r in runs])
        lines.append(
            f"- {what} seconds = {law['intercept']:.1f} + {1000 * law['slope']:.2f} for every "
            f"thousand images; R² {law['r_squared']:.4f}, largest residual "
            f"{law['largest_residual']:.0%}."
        )
    beyond = [r["peak_memory"] - r["taps_bytes"] for r in runs]
    per_image = (beyond[-1] - beyond[-2]) / (sizes[-1] - sizes[-2])
    lines.append(
        f"- memory beyond the taps: {', '.join(f'{b / 1e9:.2f}' for b in beyond)} GB; from "
        f"{sizes[-2]:,} to {sizes[-1]:,} images {per_image / 1e3:.1f} kB an image "
        f"(the taps of one take {runs[0]['taps_bytes'] / runs[0]['n'] / 1e3:.1f} kB)."
    )
    return lines


def _rows(steps: dict[str, list[Result]]) -> list[str]:
    if not steps:
        return []
    sizes = sorted({r["n"] for results in steps.values() for r in results})
    lines = [
        "## Every step that touches all rows",
        "",
        "A simulated catalog in 20 classes with groups and copies, thumbnails, and taps of 256",
        "numbers; every step in a process of its own, on one thread. Growth is the power of the",
        "number of rows that processor seconds grow with from one size to the next: 1 is in",
        f"proportion. Powers above {STEEP} are marked where a step takes a second or more. Memory",
        "is what the step adds to its input at its peak.",
        "",
        f"| step | {' | '.join(f'{n:,} rows, s' for n in sizes)} | growth "
        f"| memory at {sizes[-1]:,}, MB | bytes a row |",
        f"|---|{'---|' * len(sizes)}---|---|---|",
    ]
    steep = []
    for step, results in steps.items():
        by_size = {r["n"]: r for r in results}
        seconds = [f"{by_size[n]['cpu']:.1f}" if n in by_size else "" for n in sizes]
        own = [r["n"] for r in results]
        powers = exponents(own, [r["cpu"] for r in results])
        shown = []
        for power, smaller, larger in zip(powers, results, results[1:], strict=False):
            marked = power > STEEP and larger["cpu"] >= WORTH_SECONDS
            told = "–" if smaller["cpu"] < TOO_SHORT else f"{power:.2f}"
            shown.append(f"**{told}**" if marked else told)
            steep += [step] if marked else []
        last = results[-1]
        whole = last["n"] == sizes[-1]
        lines.append(
            f"| {step} | {' | '.join(seconds)} | {', '.join(shown)} | "
            + (f"{last['memory_added'] / 1e6:,.0f} | " if whole else " | ")
            + (f"{last['memory_added'] / last['n']:,.0f} |" if whole else " |")
        )
    said = "No step grows faster."
    if steep:
        said = (
            f"Steeper: {', '.join(dict.fromkeys(steep))}. These walk over Python objects, which "
            "leave the processor's caches on the way to a million; the number of operations is in "
            "proportion (tests count them)."
        )
    lines += ["", said, ""]
    return lines + _told(steps)


def _told(steps: dict[str, list[Result]]) -> list[str]:
    """Say what the largest sizes found, so that it shows that the work was done."""
    lines = []
    near = steps.get("near-duplicates", [])
    if near:
        shares = ", ".join(f"{r['found']['share_found']:.1%} of {r['n'] // 100:,}" for r in near)
        wrong = sum(int(r["found"]["others"]) for r in near)
        lines.append(f"Planted near-duplicates that were found: {shares}; wrong sets: {wrong}.")
    report = steps.get("audit.json, report", [])
    if report:
        sizes = ", ".join(f"{r['found']['bytes of report.html'] / 1e3:.0f} kB" for r in report)
        lines.append(f"The report takes {sizes}.")
    store = steps.get("store of features", [])
    if store:
        shares = ", ".join(
            f"{r['found']['bytes'] / (2 * 256 * r['n']):.0%} of its limit" for r in store
        )
        lines.append(f"The store, allowed half of what was written, ended at {shares}.")
    return [*lines, ""] if lines else []
