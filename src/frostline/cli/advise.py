"""What the evidence looks like in the terminal: tables with small plots, the plan, the reasons."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from frostline.cli.console import err, out
from frostline.cli.depth import depth_table, layer_strip
from frostline.cli.plots import BLOCKS, Letters, axis, bar, dot, letters
from frostline.cli.show import show_left_out
from frostline.core.files import write_text
from frostline.core.plan import CandidateResult, EvidenceSummary, Plan, ShiftEvidence
from frostline.core.reasons import Fate
from frostline.fitting.pipeline import Advice
from frostline.wording.cases import case_in_brackets
from frostline.wording.metrics import METRICS
from frostline.wording.operating import expected_sentence
from frostline.wording.shift import compared_with, shift_label
from frostline.wording.sources import read_words
from frostline.wording.tasks import TASKS

_WIDTH, _SCORE = 28, 16
_MOST_CLASSES = 12
#: half of a 95 % interval, in standard errors
_Z95 = 1.96


def show_advice(advice: Advice, *, source: Path, save: Path | None) -> None:
    """Print size, shift and probes by depth, the candidates, the plan and what to type next."""
    plan, prepared = advice.plan, advice.prepared
    kind = letters(out)
    found = prepared.audit.record(prepared.catalog)
    words = TASKS[prepared.catalog.task]
    show_left_out(found, words)
    if found.understood is not None:
        out.print(Text(f"Images: {read_words(found.understood, words)}"))
    if plan.evidence is not None:
        out.print(_size(plan.evidence, prepared.audit.class_counts, kind))
        out.print()
        for warning in plan.evidence.shift.warnings:
            err.print(Text(warning, style="yellow"))
    for part in advice_parts(plan, kind):
        if isinstance(part, Panel):
            out.framed(part)
        else:
            out.print(part)
    asked = prepared.inputs.settings.at_most_wrong
    if asked is not None:
        single = prepared.inputs.problem.target.exclusive
        things = "images" if single else "labels of images"
        out.print(Text(expected_sentence(asked, plan.answering, things=things)))
    if save is not None:
        write_text(save, plan.to_json())
        err.print(Text(f"Plan written to {save}; edit it and pass it with --plan."))
    out.print(Text(f"Next: frostline fit {source} -o RUN", style="dim"))


def advice_parts(plan: Plan, kind: Letters = BLOCKS) -> list[RenderableType]:
    """Return the tables and the panel that show a plan and its evidence."""
    parts: list[RenderableType] = []
    if plan.evidence is not None:
        parts += [_shift(plan.evidence.shift), ""]
    depth = depth_table(plan, kind)
    if depth is not None:
        parts += [depth, ""]
    if plan.candidates:
        parts += [_candidates(plan, kind), ""]
    return [*parts, _plan(plan, kind)]


def _size(evidence: EvidenceSummary, counts: dict[str, int], kind: Letters) -> Table:
    size, words = evidence.size, TASKS[evidence.task]
    table = Table(
        title=f"{size.n_images:,} training images, {words.count(size.n_classes)}: {size.label}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column(words.one, overflow="ellipsis", no_wrap=True)
    table.add_column("images", justify="right")
    table.add_column("", min_width=_WIDTH)
    shown = sorted(counts.items(), key=lambda item: -item[1])
    most = max(counts.values(), default=0)
    for name, count in shown[:_MOST_CLASSES]:
        table.add_row(Text(name), f"{count:,}", bar(count, most, _WIDTH, kind))
    if len(shown) > _MOST_CLASSES:
        table.add_row(f"and {len(shown) - _MOST_CLASSES} more", "", "")
    return table


def _shift(shift: ShiftEvidence) -> Text:
    low, high = shift.interval
    source = compared_with(shift) if shift.n_reference else "the pretraining data"
    said = [(f"Shift from {source}: ", "italic"), (shift_label(shift), "bold")]
    if not shift.layers:
        return Text.assemble(*said, "; nothing could be measured, so it decided nothing")
    kind = "" if shift.label == "unknown" else f", kind: {shift.kind}"
    measured = f" ({shift.distance:.2f} [{low:.2f}, {high:.2f}]{kind})"
    return Text.assemble(*said, measured, "; no label was used")


def _candidates(plan: Plan, kind: Letters) -> Table:
    candidates = plan.candidates
    table = Table(
        title=f"Options ({METRICS[plan.metric]} on left-out training images, 95 % intervals)",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    ends = _ends(candidates)
    table.add_column("option", overflow="fold", ratio=3)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column(axis(ends, _SCORE), no_wrap=True, min_width=_SCORE)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", ratio=2)
    for one in candidates:
        style = "bold" if one.fate is Fate.CHOSEN else ""
        score = plot = ""
        if one.score is not None:
            score = f"{one.score:.1%}"
            plot = dot(one.score, _Z95 * (one.standard_error or 0.0), ends, _SCORE, kind)
        seconds = f"{one.seconds:.0f} s" if one.seconds else ""
        table.add_row(Text(one.name), score, plot, seconds, Text(one.stopped), style=style)
    return table


def _ends(candidates: list[CandidateResult]) -> tuple[float, float]:
    scored = [
        (c.score, _Z95 * (c.standard_error or 0.0)) for c in candidates if c.score is not None
    ]
    low = min((score - reach for score, reach in scored), default=0.0)
    high = max((score + reach for score, reach in scored), default=1.0)
    return max(0.0, (low * 20) // 1 / 20), min(1.0, -((-high * 20) // 1) / 20)


def _plan(plan: Plan, kind: Letters) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Plan", Text.assemble((plan.chosen, "bold"), case_in_brackets(plan)))
    if plan.prior:
        grid.add_row("Textbook", Text(plan.prior))
    grid.add_row("Why", Text("\n".join(plan.explanation)))
    grid.add_row("Layers", layer_strip(plan, kind))
    for label in ("frozen", "trained", "new", "removed"):
        names: list[str] = getattr(plan, label)
        if names:
            grid.add_row(label.capitalize(), Text(", ".join(names)))
    return Panel(grid, title="Advice", border_style="cyan")
