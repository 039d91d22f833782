"""How training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.run_record import Epoch, LossName
from frostline.report.charts.axis import Scale, below, beside
from frostline.report.charts.svg import WIDTH, Chart, Dot, Hit, Line, Mark, Path, Text
from frostline.wording.numbers import is_number, number, percent

_LEFT, _TOP, _BOTTOM = 46.0, 44.0, 176.0
_CURVES: tuple[tuple[LossName, str, str], ...] = (
    ("train_loss", "training images", "trained"),
    ("val_nll", "left-out images", "frozen"),
)


def history_chart(history: Sequence[Epoch], score: str = "accuracy") -> Chart | None:
    """Lay out the losses by epoch; None where there are fewer than two epochs with a loss.

    ``score``: what left-out images are scored by.
    """
    curves = {
        key: [(i, loss) for i, epoch in enumerate(history) if is_number(loss := epoch.loss(key))]
        for key, _, _ in _CURVES
    }
    values = [value for curve in curves.values() for _, value in curve]
    if len(history) < 2 or max(map(len, curves.values())) < 2:
        return None
    up = Scale(0.0, max(*values, 1e-9) * 1.05, _BOTTOM, _TOP)
    across = Scale(0.0, len(history) - 1, _LEFT + 6, WIDTH - 6)
    marks: list[Mark] = beside(
        up, _LEFT, "loss (nats an image)", lambda v: number(v, 2), right=WIDTH
    )
    marks += below(across, _BOTTOM, "epoch (number)", lambda v: f"{v:g}", top=_BOTTOM)
    for i, (key, name, kind) in enumerate(_CURVES):
        if not curves[key]:
            continue
        points = [(across.at(place), up.at(value)) for place, value in curves[key]]
        x = _LEFT + i * 150
        marks += [
            Path(points, f"curve {kind}"),
            *(Dot(*point, 3, f"dot {kind}") for point in points if len(points) <= 40),
            Line(x, 26, x + 18, 26, f"curve {kind}"),
            Text(x + 24, 30, name, "dim"),
        ]
    step = (WIDTH - _LEFT) / len(history)
    marks += [
        Hit(across.at(i) - step / 2, _TOP, step, _BOTTOM - _TOP, _tip(i, epoch, score))
        for i, epoch in enumerate(history)
    ]
    return Chart(
        name="Loss by epoch",
        summary=f"{len(history)} epochs. {_tip(len(history) - 1, history[-1], score)}.",
        width=WIDTH,
        height=_BOTTOM + 36,
        marks=marks,
        columns=("epoch", "stage", "training loss", "left-out loss", f"left-out {score}"),
        rows=[
            (
                str(i),
                epoch.stage,
                number(epoch.train_loss),
                number(epoch.val_nll),
                percent(epoch.val_accuracy),
            )
            for i, epoch in enumerate(history)
        ],
    )


def _tip(place: int, epoch: Epoch, score: str) -> str:
    said = [f"Epoch {place}"]
    for key, name, _ in _CURVES:
        if is_number(loss := epoch.loss(key)):
            said.append(f"{name} {number(loss)}")
    if is_number(epoch.val_accuracy):
        said.append(f"{score} on left-out images {percent(epoch.val_accuracy)}")
    return ", ".join(said)
