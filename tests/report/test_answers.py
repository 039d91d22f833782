"""What the report says of prediction sets and abstention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from frostline.core.operating_record import AbstentionScores, CasesNeeded, SetScores
from frostline.report import ReportData
from frostline.report.sections.answers import answers
from frostline.report.write import render

MakeData = Callable[..., ReportData]
CLASSES = ("sound", "cracked", "broken", "<dirty>")


def changed(data: ReportData, **metrics: Any) -> ReportData:
    """The same report with other metrics."""
    record = data.record
    update = {"metrics": record.metrics.model_copy(update=metrics)}
    return replace(data, record=record.model_copy(update=update))


def test_the_section_tells_coverage_sizes_and_what_a_bound_costs(make_data: MakeData) -> None:
    data = make_data(CLASSES)
    page = render(data)
    section = page[page.index('<section id="answers"') :]
    section = section[: section.index("</section>")]
    assert "95.1% had their class in the set (95% interval 93.0 to 96.7%)" in section
    assert "At most 5% wrong: 62.0% of images answered" in section
    assert "in 1,990 groups" in section
    assert "&lt;dirty&gt; (93.0%)" in section
    found = answers(data.record.metrics, CLASSES)
    assert found is not None
    assert [row.size for row in found.sizes] == [*range(1, 9), 9]
    assert sum(row.images for row in found.sizes) == sum(data.record.metrics.sets.sizes)  # type: ignore[union-attr]
    assert found.sizes[-1].more
    assert found.chart is not None
    # a bound under which nothing is answered has a row, and no dot
    assert len(found.chart.rows) == 4
    assert 'href="#answers"' in page


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (
            {"sets": SetScores(too_few=CasesNeeded(needed=19, found=12))},
            "There are no prediction sets: 95% takes 19 independent images",
        ),
        (
            {
                "abstention": AbstentionScores(
                    at_most_wrong=0.01, too_few=CasesNeeded(needed=99, found=40)
                )
            },
            "At most 1% wrong cannot be promised: 99% takes 99 independent images",
        ),
        (
            {"abstention": AbstentionScores(at_most_wrong=0.01, lowest=0.034)},
            "even the surest answers are expected to be wrong for 3.4%",
        ),
    ],
)
def test_what_cannot_be_promised_is_said(
    make_data: MakeData, metrics: dict[str, Any], said: str
) -> None:
    assert said in render(changed(make_data(CLASSES), **metrics))


def test_a_run_of_an_earlier_version_has_no_such_section(make_data: MakeData) -> None:
    page = render(make_data(CLASSES, given=True))
    assert "answers-title" not in page
