"""Marks stand for their numbers, and nothing lies outside its chart."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from frostline.core.actions import Blend, FullTraining, Recipe, TapsHead
from frostline.core.plan import CandidateResult, LayerShift, Plan
from frostline.core.score_record import Bin
from frostline.report import ReportData
from frostline.report.charts.axis import Scale, accuracy_scale, ticks
from frostline.report.charts.column import column_chart
from frostline.report.charts.gauge import gauge_chart
from frostline.report.charts.growth import growth, growth_chart
from frostline.report.charts.history import history_chart
from frostline.report.charts.matrix import matrix_chart
from frostline.report.charts.probes import probe_chart
from frostline.report.charts.race import race_chart
from frostline.report.charts.reliability import joined, reliability_chart
from frostline.report.charts.shift import shift_chart
from frostline.report.charts.svg import Cells, Chart, Dot, Line, Path, Rect, Text
from frostline.report.confused import group
from frostline.report.depth import depths

MakeData = Callable[..., ReportData]


@pytest.fixture
def data(make_data: MakeData) -> ReportData:
    return make_data(tuple(f"class {i}" for i in range(4)))


@pytest.fixture
def plan(data: ReportData) -> Plan:
    return data.record.plan


def inside(chart: Chart) -> None:
    """Every mark lies within the box, and letters have room."""
    for mark in chart.marks:
        match mark:
            case Rect() | Line() | Dot():
                xs = [getattr(mark, k) for k in ("x", "x1", "x2") if hasattr(mark, k)]
                ys = [getattr(mark, k) for k in ("y", "y1", "y2") if hasattr(mark, k)]
            case Path():
                xs, ys = [p[0] for p in mark.points], [p[1] for p in mark.points]
            case Text():
                xs, ys = [mark.x], [mark.y]
            case _:
                continue
        assert min(xs) >= -0.01 and max(xs) <= chart.width + 0.01, mark
        assert min(ys) >= -0.01 and max(ys) <= chart.height + 0.01, mark


def dots(chart: Chart, kind: str = "") -> list[Dot]:
    return [m for m in chart.marks if isinstance(m, Dot) and kind in m.kind]


def test_ticks_are_few_and_round() -> None:
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0.43, 0.87) == [0.5, 0.6, 0.7, 0.8]
    assert ticks(0, 7) == [0, 2, 4, 6]
    assert ticks(-0.1, 0.3) == [-0.1, 0, 0.1, 0.2, 0.3]
    assert ticks(3, 3) == [3]
    for low, high in ((0, 1e-7), (0.999, 1), (0, 123456)):
        assert 2 <= len(ticks(low, high)) <= 5


def test_scales_put_equal_steps_and_equal_factors_side_by_side() -> None:
    even = Scale(10, 30, 0, 100)
    assert [even.at(v) for v in (10, 15, 30, 99, -5)] == [0, 25, 100, 100, 0]
    doubling = Scale(1, 16, 100, 0, doublings=True)
    assert [doubling.at(v) for v in (1, 2, 4, 16)] == [100, 75, 50, 0]
    assert (accuracy_scale([0.62, 0.78], start=0, stop=1).low) == 0.6
    assert (accuracy_scale([0.62, 0.78], start=0, stop=1).high) == 0.8


def test_probe_dots_stand_for_their_numbers(plan: Plan) -> None:
    assert plan.evidence is not None
    chart = probe_chart(plan.evidence, depths(plan))
    inside(chart)
    accuracies = [p.accuracy for p in (*plan.evidence.probes, plan.evidence.all_taps)] + [0.795]
    places = np.array([dot.x for dot in dots(chart)])
    assert len(places) == len(accuracies)
    slope, start = np.polyfit(accuracies, places, 1)
    np.testing.assert_allclose(places, slope * np.array(accuracies) + start)
    assert [dot.kind for dot in dots(chart)] == [
        *["dot one"] * 5,
        *("dot best", "dot one", "dot all", "dot all"),
    ]
    # whiskers reach 1.96 standard errors to each side
    whisker = next(m for m in chart.marks if isinstance(m, Line) and m.kind == "whisker")
    assert whisker.x2 - whisker.x1 == pytest.approx(slope * 2 * 1.96 * 0.011)
    # chance of one in four lies on the axis here, the frost line below blocks.3
    reference = next(m for m in chart.marks if isinstance(m, Line) and m.kind == "reference")
    assert reference.x1 == pytest.approx(slope * 0.25 + start)
    frost = next(m for m in chart.marks if isinstance(m, Path) and "frost" in m.kind)
    rows = [dot.y for dot in dots(chart)]
    assert rows[3] < frost.points[0][1] < rows[4]


def test_chance_that_would_squeeze_the_rows_is_only_named(make_data: MakeData) -> None:
    evidence = make_data(tuple(map(str, range(100)))).record.plan.evidence
    assert evidence is not None
    near = evidence.model_copy(
        update={
            "probes": [p.model_copy(update={"accuracy": 0.97}) for p in evidence.probes],
            "all_taps": evidence.all_taps.model_copy(update={"accuracy": 0.98}),
            "adapted": None,
        }
    )
    chart = probe_chart(near, depths(make_data(("a", "b")).record.plan))
    assert not [m for m in chart.marks if isinstance(m, Line) and m.kind == "reference"]
    assert any(
        "chance, 1%, lies further left" in m.text for m in chart.marks if isinstance(m, Text)
    )


def test_shift_bars_stand_on_zero(plan: Plan) -> None:
    values = [0.5, 2.0, -0.25]
    names = ("blocks.0.bn", "blocks.2.bn", "blocks.5.bn")
    layers = [
        LayerShift(layer=n, shift=v, shift_median=v, kl=v)
        for n, v in zip(names, values, strict=True)
    ]
    chart = shift_chart(layers, depths(plan), measure="batchnorm")
    inside(chart)
    first, second, third = (m for m in chart.marks if isinstance(m, Rect))
    assert second.height == pytest.approx(4 * first.height)
    assert third.height == pytest.approx(first.height / 2)
    assert first.y + first.height == pytest.approx(second.y + second.height)
    assert third.y == pytest.approx(first.y + first.height)
    assert [m.kind for m in (first, second, third)] == ["bar frozen", "bar frozen", "bar trained"]
    (frost,) = (m for m in chart.marks if isinstance(m, Line) and "frost" in m.kind)
    assert second.x + second.width < frost.x1 < third.x
    assert any("squared standard deviations" in m.text for m in chart.marks if isinstance(m, Text))


def test_the_frost_line_runs_below_the_last_frozen_layer(plan: Plan) -> None:
    chart = column_chart(depths(plan), n_outputs=4)
    inside(chart)
    (frost,) = (m for m in chart.marks if isinstance(m, Path) and m.kind == "frost")
    line = min(y for _, y in frost.points)
    boxes = {
        m.kind.split()[1]: [n.y for n in chart.marks if isinstance(n, Rect) and n.kind == m.kind]
        for m in chart.marks
        if isinstance(m, Rect) and m.kind.startswith("layer")
    }
    assert {kind: len(found) for kind, found in boxes.items()} == {
        "frozen": 6,
        "trained": 2,
        "new": 2,
        "removed": 3,
    }
    assert max(boxes["frozen"]) + 22 < line < min(boxes["trained"])
    assert max(boxes["new"]) < min(boxes["removed"])
    assert "between blocks.3 and blocks.4" in chart.summary


def test_a_network_that_trains_as_a_whole_has_its_line_on_top(plan: Plan) -> None:
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=1e-3, head_learning_rate=1e-3)
    layers = [*plan.frozen, *plan.trained]
    whole = plan.model_copy(
        update={"frozen": [], "trained": layers, "action": FullTraining(recipe=recipe)}
    )
    chart = column_chart(depths(whole), n_outputs=4)
    assert "above the first layer" in chart.summary
    norms = plan.model_copy(
        update={
            "frozen": ["conv_stem", "blocks.0"],
            "trained": ["blocks.0.0.bn1"],
            "action": FullTraining(part="norms", recipe=recipe),
        }
    )
    chart = column_chart(depths(norms), n_outputs=4)
    assert not [m for m in chart.marks if isinstance(m, Path) and m.kind == "frost"]
    assert "no frost line" in chart.summary
    assert ("blocks.0", "partly trained", "") in chart.rows
    assert ("conv_stem", "frozen", "") in chart.rows


def test_very_deep_networks_are_folded(plan: Plan) -> None:
    names = [f"layer.{i}" for i in range(200)]
    deep = plan.model_copy(update={"frozen": names})
    chart = column_chart(depths(deep), n_outputs=4)
    assert chart.height < 1200
    assert any("182 more" in m.text for m in chart.marks if isinstance(m, Text))
    assert len(chart.rows) == 200 + 2 + 2 + 3


def test_the_head_is_tied_to_the_layers_it_reads(make_data: MakeData) -> None:
    found = depths(make_data(("a", "b"), head=True).record.plan)
    chart = column_chart(found, n_outputs=2)
    inside(chart)
    assert [layer.name for layer in found.old if layer.read] == ["blocks.2", "blocks.4", "blocks.6"]
    assert len(dots(chart, "tap")) == 3


def test_race_rows_show_scores_intervals_and_what_was_not_tried(plan: Plan) -> None:
    chart = race_chart(plan.candidates, chosen=plan.chosen)
    inside(chart)
    assert len(dots(chart)) == 5
    best = max(dots(chart), key=lambda dot: dot.x)
    assert "chosen" in best.kind and "trained" in best.kind
    texts = [m.text for m in chart.marks if isinstance(m, Text)]
    assert "not scored" in texts
    assert "81.0%, 42 s" in texts


def test_an_average_is_drawn_by_depth_with_what_all_members_share(plan: Plan) -> None:
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=1e-3, head_learning_rate=1e-3)
    members = [TapsHead(taps=["blocks.2"]), plan.action, FullTraining(recipe=recipe)]
    mixed = plan.model_copy(
        update={
            "action": Blend.model_validate({"members": [m.model_dump() for m in members]}),
            # member by member: first what trains above the line, then everything
            "frozen": [],
            "trained": ["blocks.4", "blocks.5", "blocks.0", "blocks.1", "blocks.2", "blocks.3"],
            "removed": [],
        }
    )
    found = depths(mixed)
    assert [layer.name for layer in found.old] == [f"blocks.{i}" for i in range(6)]
    assert [layer.name for layer in found.old if layer.read] == ["blocks.2"]
    average = CandidateResult(
        name="average of 'a' and 'b'",
        kind="blend",
        score=0.9,
        standard_error=0.01,
        seconds=3.0,
        stopped="chosen",
    )
    chart = race_chart([average], chosen=average.name)
    assert len(dots(chart, "chosen")) == 1


def test_growth_is_read_off_the_last_doubling(plan: Plan) -> None:
    assert plan.evidence is not None
    found = growth(plan.evidence)
    assert (found.n, found.whole) == (2099, 0.79)
    assert found.half == pytest.approx(0.769)
    assert found.next == pytest.approx((0.79, 0.811))
    chart = growth_chart(found)
    inside(chart)
    half, whole = dots(chart)
    assert half.y > whole.y and half.x < whole.x
    # a slope below zero is noise and promises nothing
    loss = growth(plan.evidence.model_copy(update={"slope": -0.03}))
    assert loss.half == pytest.approx(0.82)
    assert loss.next == (0.79, 0.79)


def test_history_needs_two_epochs(data: ReportData) -> None:
    history = data.record.metrics.history
    assert history_chart([]) is None
    assert history_chart(history[:1]) is None
    chart = history_chart(history)
    assert chart is not None
    inside(chart)
    curves = [m for m in chart.marks if isinstance(m, Path)]
    assert [len(curve.points) for curve in curves] == [4, 5]
    assert len(chart.rows) == 5


def test_reliability_joins_what_says_too_little() -> None:
    bins = [
        Bin(n=4, confidence=0.3, accuracy=0.5),
        Bin(n=8, confidence=0.6, accuracy=0.75),
        Bin(n=20, confidence=0.90, accuracy=0.8),
        Bin(n=20, confidence=0.92, accuracy=0.9),
        Bin(n=3, confidence=0.99, accuracy=1.0),
    ]
    first, last = joined(bins)
    assert first.n == 12
    assert first.accuracy == pytest.approx(8 / 12)
    assert first.confidence == pytest.approx((4 * 0.3 + 8 * 0.6) / 12)
    assert last.n == 43
    assert last.accuracy == pytest.approx((16 + 18 + 3) / 43)
    chart = reliability_chart([first, last])
    inside(chart)
    low, high = dots(chart)
    # the diagonal leads from the lower left to the upper right
    assert low.x < high.x and low.y > high.y
    assert len(joined([bins[0]])) == 1


def test_the_gauge_holds_its_interval() -> None:
    chart = gauge_chart(0.8, (0.75, 0.84), chance=0.25)
    inside(chart)
    (range_,) = (m for m in chart.marks if isinstance(m, Rect) and m.kind == "range")
    (dot,) = dots(chart)
    assert range_.x < dot.x < range_.x + range_.width
    track = next(m for m in chart.marks if isinstance(m, Rect) and m.kind == "track")
    assert range_.width == pytest.approx(0.09 * track.width)


def test_matrix_cells_lie_at_their_pair() -> None:
    n = 20
    confusion = np.diag(np.full(n, 9))
    confusion[3, 11] = 4
    confusion[11, 3] = 4
    grouping = group(confusion.tolist())
    rank = {c: i for i, c in enumerate(grouping.order)}
    assert abs(rank[3] - rank[11]) == 1
    assert grouping.groups == ((min(rank[3], rank[11]), max(rank[3], rank[11]) + 1),)
    found = matrix_chart([f"class {i}" for i in range(n)], confusion.tolist(), grouping)
    inside(found.chart)
    wrong = [
        corner
        for m in found.chart.marks
        if isinstance(m, Cells) and "wrong" in m.kind
        for corner in m.corners
    ]
    assert sorted(wrong) == sorted(
        (found.left + rank[p] * found.cell, found.top + rank[t] * found.cell)
        for t, p in ((3, 11), (11, 3))
    )
    assert "3,11,4," in found.cells
    assert found.left_out == 0


def test_a_thousand_classes_stay_drawable() -> None:
    random = np.random.default_rng(0)
    confusion = np.diag(np.full(1000, 20)) + random.poisson(0.02, (1000, 1000))
    found = matrix_chart(
        [f"class {i}" for i in range(1000)], confusion.tolist(), group(confusion.tolist())
    )
    assert found.left_out > 0
    assert len(str(found.chart.svg())) < 400_000


def test_no_mistake_keeps_the_order() -> None:
    assert group(np.eye(5, dtype=int).tolist()).order == (0, 1, 2, 3, 4)
    assert group([[3, 2], [0, 5]]).groups == ((0, 2),)


def test_drawings_are_escaped_and_named(plan: Plan) -> None:
    evil = "<b>&\"'"
    drawn = str(Chart(evil, evil, 10, 10, [Text(0, 9, evil), Rect(0, 0, 1, 1, evil)]).svg())
    assert "<b>" not in drawn
    assert drawn.count("&lt;b&gt;&amp;") == 5
    assert plan.evidence is not None
    drawn = str(probe_chart(plan.evidence, depths(plan)).svg())
    assert re.match(r'<svg viewBox="0 0 360 \d+" role="img" aria-label="Probe accuracy by', drawn)
