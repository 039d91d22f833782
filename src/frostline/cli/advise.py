"""What the evidence looks like in the terminal: tables with small plots, the plan, the reasons."""

from __future__ import annotations

from pathlib import Path

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from frostline.cli.console import err, out
from frostline.cli.show import show_left_out
from frostline.files import write_text
from frostline.pipeline import Advice
from frostline.plan import EvidenceSummary, Plan, ShiftEvidence

_WIDTH = 28


def show_advice(advice: Advice, *, source: Path, save: Path | None) -> None:
    """Print size, shift and probes by depth, the candidates, the plan and what to type next."""
    plan, prepared = advice.plan, advice.prepared
    show_left_out(prepared.audit.to_json(prepared.catalog))
    if plan.evidence is not None:
        out.print(_size(plan.evidence, prepared.audit.class_counts))
        for warning in plan.evidence.shift.warnings:
            err.print(Text(warning, style="yellow"))
    for part in advice_parts(plan):
        out.print(part)
    if save is not None:
        write_text(save, plan.to_json())
        err.print(Text(f"Plan written to {save}; edit it and pass it with --plan."))
    out.print(Text(f"Next: frostline fit {source} -o RUN", style="dim"))


def advice_parts(plan: Plan) -> list[Table | Panel]:
    """Return the tables and the panel that show a plan and its evidence."""
    evidence = plan.evidence
    measured = [] if evidence is None else [_shift(evidence.shift), _probes(evidence)]
    return [*measured, _candidates(plan), _plan(plan)]


def bar(value: float, most: float, width: int = _WIDTH) -> str:
    """Return a horizontal bar of block characters for ``value`` on a scale up to ``most``."""
    if most <= 0:
        return ""
    eighths = round(max(0.0, min(1.0, value / most)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def _size(evidence: EvidenceSummary, counts: dict[str, int]) -> Table:
    size = evidence.size
    table = Table(
        title=f"{size.n_images} training images, {size.n_classes} classes: {size.label}",
        title_justify="left",
        box=None,
    )
    table.add_column("class")
    table.add_column("images", justify="right")
    table.add_column("")
    shown = sorted(counts.items(), key=lambda item: -item[1])
    most = max(counts.values(), default=0)
    for name, count in shown[:12]:
        table.add_row(Text(name), str(count), bar(count, most))
    if len(shown) > 12:
        table.add_row(f"and {len(shown) - 12} more", "", "")
    return table


def _shift(shift: ShiftEvidence) -> Table:
    low, high = shift.interval
    table = Table(
        title=f"Shift from the pretraining data: {shift.label} "
        f"({shift.distance:.2f} [{low:.2f}, {high:.2f}], kind: {shift.kind}); no label was used",
        title_justify="left",
        box=None,
    )
    table.add_column("norm layer, by depth")
    table.add_column("shift", justify="right")
    table.add_column("")
    layers = shift.layers
    step = max(1, -(-len(layers) // 14))
    most = max((layer.shift for layer in layers), default=0.0)
    for layer in layers[::step]:
        table.add_row(Text(layer.layer), f"{layer.shift:.2f}", bar(layer.shift, most))
    return table


def _probes(evidence: EvidenceSummary) -> Table:
    table = Table(
        title="What frozen features can do, by depth (exact leave-one-out)",
        title_justify="left",
        box=None,
    )
    for name in ("tap", "accuracy", "±", "balanced"):
        table.add_column(name, justify="left" if name == "tap" else "right")
    table.add_column("")
    for probe in (*evidence.probes, evidence.all_taps):
        mark = " (best)" if probe.tap == evidence.best_tap else ""
        table.add_row(
            Text(("all together" if probe.tap == "all" else probe.tap) + mark),
            f"{probe.accuracy:.1%}",
            f"{probe.standard_error:.1%}",
            f"{probe.balanced_accuracy:.1%}",
            bar(probe.accuracy, 1.0),
        )
    return table


def _candidates(plan: Plan) -> Table:
    table = Table(title="Options", title_justify="left", box=None)
    for name in ("option", "score", "nominal s", "verdict"):
        table.add_column(name, justify="left" if name in ("option", "verdict") else "right")
    for candidate in plan.candidates:
        score = "" if candidate.score is None else f"{candidate.score:.1%}"
        table.add_row(
            Text(candidate.name), score, f"{candidate.seconds:.0f}", Text(candidate.stopped)
        )
    return table


def _plan(plan: Plan) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Plan", Text(f"{plan.chosen} (case {plan.case}; textbook: {plan.prior})"))
    grid.add_row("Why", Text("\n".join(plan.explanation)))
    for label in ("removed", "frozen", "trained", "new"):
        names: list[str] = getattr(plan, label)
        if names:
            grid.add_row(label.capitalize(), Text(", ".join(names)))
    return Panel(grid, title="Advice", border_style="cyan")
