"""Depth by depth in the terminal: shift, what frozen features can do, and the frost line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from frostline.cli.plots import BLOCKS, Letters, axis, bar, dot, spark
from frostline.core.plan import EvidenceSummary, LayerShift, Plan, ProbeEvidence
from frostline.report.depth import Depths, depths
from frostline.targets.choose import target_of
from frostline.wording.tasks import TASKS

_SHIFT, _ACCURACY, _NAME = 10, 22, 20
#: half of a 95 % interval, in standard errors
_Z95 = 1.96
_STYLES = {"frozen": "cyan", "inner": "yellow", "trained": "yellow", "removed": "dim"}


def depth_table(plan: Plan, kind: Letters = BLOCKS) -> Table | None:
    """Return one row a depth with shift and accuracy; None for a plan without evidence."""
    evidence = plan.evidence
    if evidence is None:
        return None
    probes = [*evidence.probes, evidence.all_taps]
    ends, words = span(probes), TASKS[evidence.task]
    table = Table(
        title="Frozen features by depth (exact leave-one-out, 95 % intervals)",
        title_justify="left",
        caption=f"best single depth, the deepest not clearly worse than {words.top}: "
        f"{evidence.best_tap}; chance, {words.guess.replace('naming ', '')}: "
        f"{evidence.chance:.1%}",
        caption_justify="left",
        box=None,
        pad_edge=False,
    )
    shifts = shift_of_taps(evidence)
    most = max((s for s in shifts if s is not None), default=0.0)
    measured = any(s is not None for s in shifts)
    table.add_column("depth", overflow="ellipsis", no_wrap=True, max_width=_NAME)
    if measured:
        table.add_column("shift", justify="right")
        table.add_column("", min_width=_SHIFT)
    table.add_column(words.short, justify="right")
    table.add_column(axis(ends, _ACCURACY), no_wrap=True, min_width=_ACCURACY)
    balanced = target_of(evidence.task, evidence.size.n_classes).exclusive
    if balanced:
        table.add_column("balanced", justify="right")
    found = depths(plan)
    line = found.above_line([probe.tap for probe in evidence.probes])
    for i, (probe, shift) in enumerate(zip(probes, [*shifts, None], strict=True)):
        if line and i == line < len(evidence.probes):
            table.add_row(Text("~ frost line", style="bold cyan"))
        cells: list[Text | str] = [_name(probe, evidence, found)]
        if measured:
            cells += ["", ""] if shift is None else [f"{shift:.2f}", bar(shift, most, _SHIFT, kind)]
        reach = _Z95 * probe.standard_error
        cells += [
            f"{probe.accuracy:.1%}",
            dot(probe.accuracy, reach, ends, _ACCURACY, kind),
            *([f"{probe.balanced_accuracy:.1%}"] if balanced else []),
        ]
        table.add_row(*cells)
    return table


def span(probes: Sequence[ProbeEvidence]) -> tuple[float, float]:
    """Return the ends of an axis that holds all intervals, at whole 5 %."""
    low = min(p.accuracy - _Z95 * p.standard_error for p in probes)
    high = max(p.accuracy + _Z95 * p.standard_error for p in probes)
    return max(0.0, (low * 20) // 1 / 20), min(1.0, -((-high * 20) // 1) / 20)


def shift_of_taps(evidence: EvidenceSummary) -> list[float | None]:
    """Return the mean shift of the norm layers that lie at each tap or lead up to it."""
    layers = list(evidence.shift.layers)
    means: list[float | None] = []
    for probe in evidence.probes:
        last = _last_at(layers, probe.tap)
        part, layers = layers[: last + 1], layers[last + 1 :]
        means.append(sum(one.shift for one in part) / len(part) if part else None)
    return means


def _last_at(layers: Sequence[LayerShift], tap: str) -> int:
    """Return the position of the last norm layer within ``tap``; -1 if there is none."""
    inside = [
        i for i, one in enumerate(layers) if one.layer == tap or one.layer.startswith(f"{tap}.")
    ]
    return inside[-1] if inside else -1


def _name(probe: ProbeEvidence, evidence: EvidenceSummary, found: Depths) -> Text:
    if probe.tap == "all":
        return Text("all together", style="bold")
    style = _STYLES.get(found.fate(probe.tap), "")
    if probe.tap == evidence.best_tap:
        return Text(f"{probe.tap} *", style=f"bold {style}")
    return Text(probe.tap, style=style)


def layer_strip(plan: Plan, kind: Letters = BLOCKS, most: int = 40) -> Text:
    """Return one letter a layer, first to last, with the frost line between them."""
    found = depths(plan)
    marks = {
        "frozen": kind.frozen,
        "inner": kind.trained,
        "trained": kind.trained,
        "removed": kind.removed,
    }
    kept = [layer for layer in found.old if layer.fate != "removed"]
    removed = len(found.old) - len(kept)
    # a very deep network is drawn with every k-th layer
    step = -(-len(found.old) // most) or 1
    pieces: list[tuple[str, str]] = []
    for i, layer in enumerate(kept):
        if i == found.line and not found.scattered:
            pieces.append((kind.line, "bold cyan"))
        if i % step == 0:
            pieces.append((marks[layer.fate], _STYLES[layer.fate]))
    if kept and found.line == len(kept):
        pieces.append((kind.line, "bold cyan"))
    pieces += [(kind.new, "green")] * len(found.new)
    if removed:
        pieces.append(("  " + kind.removed * max(1, removed // step), "dim"))
    # one run a style, so that nothing comes between the letters of a run
    runs = groupby(pieces, key=lambda piece: piece[1])
    return Text.assemble(*(("".join(text for text, _ in run), style) for style, run in runs))


def spark_rows(plan: Plan, kind: Letters = BLOCKS) -> list[tuple[str, str, str]]:
    """Return the score and shift by depth as one line each: a name, the plot, its ends in words."""
    evidence = plan.evidence
    if evidence is None:
        return []
    first, last = evidence.probes[0], evidence.probes[-1]
    rows = [
        (
            TASKS[evidence.task].short,
            spark([probe.accuracy for probe in evidence.probes], kind),
            f"{first.accuracy:.0%} at {first.tap} to {last.accuracy:.0%} at {last.tap}",
        )
    ]
    shifts = [shift for shift in shift_of_taps(evidence) if shift is not None]
    if shifts:
        # from 0, where nothing is shifted: equal shifts look equal
        plot = spark(shifts, kind, lowest=0.0)
        rows.append(("shift", plot, f"{shifts[0]:.2f} to {shifts[-1]:.2f}"))
    return rows
