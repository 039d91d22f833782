"""What the report shows of intervals of numbers, and of sets and bounds of labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from frostline.core.operating_record import (
    AbstentionPoint,
    CasesNeeded,
    IntervalScores,
    LabelAbstentionScores,
    LabelSetScores,
    SetScores,
)
from frostline.report import ReportData
from frostline.report.charts.scatter import scatter_chart
from frostline.report.charts.svg import Line
from frostline.report.write import render


def with_metrics(data: ReportData, **metrics: Any) -> ReportData:
    record = data.record
    changed = record.metrics.model_copy(update={"sets": None, "abstention": None, **metrics})
    return replace(data, record=record.model_copy(update={"metrics": changed}))


def section(page: str, name: str) -> str:
    found = page[page.index(f'<section id="{name}"') :]
    return found[: found.index("</section>")]


def test_intervals_have_a_band_a_row_and_their_coverage(numbers_data: ReportData) -> None:
    few = CasesNeeded(needed=9, found=4)
    held = {"coverage": 0.893, "coverage_interval": (0.853, 0.924)}
    angle = IntervalScores(column="angle (degrees)", radius=14.8, n_images=700, **held)
    page = render(
        with_metrics(numbers_data, intervals=(angle, IntervalScores(column="mass", too_few=few)))
    )
    own = section(page, "numbers")
    assert own.count('class="band"') == 2
    assert "±14.8 around angle (degrees) holds the true number for 90% by 700 images" in own
    assert "here it held 89.3% (85.3 to 92.4%)" in own
    assert "There is no interval for mass: 90% takes 9 independent images" in own
    without = section(render(with_metrics(numbers_data)), "numbers")
    assert 'class="band"' not in without
    assert "90% interval" not in without


def test_the_band_is_as_wide_as_the_interval(numbers_data: ReportData) -> None:
    one = numbers_data.record.metrics.test.per_column[0]
    marks = scatter_chart(one, 20.0).marks
    bands = [mark for mark in marks if isinstance(mark, Line) and mark.kind == "band"]
    values = [value for point in one.points for value in point]
    spread = max(values) - min(values)
    drawn = 318.0 - 26.0
    # both lines are parallel to the diagonal, 20 above and below it
    slopes = {round((b.y2 - b.y1) / (b.x2 - b.x1), 6) for b in bands}
    assert len(bands) == 2
    assert len(slopes) == 1
    first, second = (b.y1 - next(iter(slopes)) * b.x1 for b in bands)
    assert np.isclose(abs(first - second), 40.0 * drawn / (1.06 * spread), rtol=0.01)


def test_labels_have_a_row_each_and_those_with_too_few_say_so(labels_data: ReportData) -> None:
    point = AbstentionPoint(at_most_wrong=0.05, answered=0.814, answered_interval=(0.7, 0.9))
    sets = (
        LabelSetScores(
            label="tag 0", coverage=0.957, coverage_interval=(0.93, 0.97), sizes=(0, 150, 50)
        ),
        LabelSetScores(label="never", too_few=CasesNeeded(needed=19, found=0)),
    )
    kept = (
        LabelAbstentionScores(
            label="tag 0", at_most_wrong=0.05, chosen=point.model_copy(update={"wrong": 0.037})
        ),
        LabelAbstentionScores(label="never", at_most_wrong=0.05, lowest=0.2),
    )
    page = render(with_metrics(labels_data, label_sets=sets, label_abstention=kept))
    own = section(page, "answers")
    assert "over 1 label it held for 95.7%, least often for 95.7%, and 25.0% were either" in own
    assert "Too few images with the label, or without it: 1 label" in own
    kept_to = (
        "At most 5% wrong: 81.4% of the labels answered, 3.7% of these wrong; never on 1 label"
    )
    assert kept_to in own
    assert "0 of 19 cases needed" in own
    assert 'href="#answers"' in page


def test_numbers_are_used_by_outputs_of_their_own(numbers_data: ReportData) -> None:
    found = IntervalScores(column="mass", radius=3.0, n_images=50, n_groups=50)
    own = section(render(with_metrics(numbers_data, intervals=(found,))), "use")
    assert "output <code>values</code>" in own
    assert "interval (N, columns, 2)" in own
    assert "predict_proba" not in own


def test_grades_are_never_called_classes(make_data: Callable[..., ReportData]) -> None:
    data = make_data(("0", "1", "2"))
    metrics = data.record.metrics
    graded = metrics.test.model_copy(update={"within_one": 0.9, "qwk": 0.5, "mae": 0.2})
    sets = SetScores(coverage=0.94, coverage_interval=(0.9, 0.97), mean_size=1.5, sizes=(0, 50, 50))
    page = render(with_metrics(data, test=graded, sets=sets))
    for name in ("errors", "answers"):
        words = re.sub("<[^>]+>", " ", section(page, name)).lower()
        assert "class" not in words
        assert "grade" in words


def test_a_mean_over_columns_of_other_units_is_not_told(numbers_data: ReportData) -> None:
    test = numbers_data.record.metrics.test
    assert len(test.per_column) > 1 and test.mae is not None
    assert "mean absolute error" not in section(render(numbers_data), "result")
    one = test.model_copy(update={"per_column": test.per_column[:1]})
    assert "mean absolute error" in section(render(with_metrics(numbers_data, test=one)), "result")
