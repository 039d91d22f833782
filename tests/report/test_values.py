"""Sections of several labels and of numbers: what they show, and that others do not show it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from frostline.core.score_record import HeldOutScores
from frostline.report import ReportData
from frostline.report.sections.labels import labels
from frostline.report.sections.numbers import numbers
from frostline.report.write import render
from frostline.stats.multilabel_scores import score_labels


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    assert found, f"no section {name}"
    return found[0]


def test_every_label_has_a_row_and_the_hardest_a_curve(labels_data: ReportData) -> None:
    page = render(labels_data)
    own = section(page, "labels")
    test = labels_data.record.metrics.test
    ranked = [row for row in test.per_class if row.average_precision is not None]
    ranked.sort(key=lambda row: row.average_precision or 0.0)
    names = re.findall(r'<tr><th scope="row">(.*?)</th>', own.split("labels-table")[-1])
    assert names[: len(ranked)] == [row.label for row in ranked]
    # what nothing could be judged on comes last
    assert names[len(ranked)] == "never"
    assert own.count('class="curve"') == 6
    assert f"{ranked[0].label}: precision and recall" in own
    assert 'href="#labels"' in page
    assert 'id="errors"' not in page
    assert "mean average precision of the labels (%)" in section(page, "evidence")


def test_labels_that_come_together_and_mistaken_sets_are_listed(labels_data: ReportData) -> None:
    view = labels(labels_data.record.metrics.test)
    assert view is not None
    assert view.pairs[0].pair.labels == ("tag 0", "tag 1")
    assert view.pairs[0].lift > 1.5
    counts = [one.images for one in view.mistakes]
    assert counts == sorted(counts, reverse=True)
    assert len(view.mistakes) == 15
    assert view.more_mistakes == 25


def test_numbers_have_a_row_and_dots_on_one_scale(numbers_data: ReportData) -> None:
    page = render(numbers_data)
    own = section(page, "numbers")
    assert re.findall(r'<tr><th scope="row">(.*?)</th><td', own)[:3] == [
        "angle (degrees)", "mass", "constant",
    ]  # fmt: skip
    assert own.count('class="point"') == 3 * 300
    assert "% of the variance explained" in section(page, "evidence")
    assert 'id="labels"' not in page
    view = numbers(numbers_data.record.metrics.test)
    assert view is not None
    # a column that does not vary has an error, but explains nothing
    assert view.rows[2].scores.r2 is None
    assert view.rows[2].scores.mae


#: said of images that have one class each
OF_CLASSES = re.compile(
    r"right\b|accura|rightly|largest class|\bclass(es|ified)?\b|under (two|more)|balanced",
    re.IGNORECASE,
)


@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_nothing_is_said_that_fits_classes_alone(
    kind: str, labels_data: ReportData, numbers_data: ReportData
) -> None:
    page = render(labels_data if kind == "labels" else numbers_data)
    for name in ("result", "evidence", "more", "images"):
        shown = re.sub(r"<[^>]*>", " ", section(page, name))
        found = [shown[max(0, m.start() - 60) : m.end() + 40] for m in OF_CLASSES.finditer(shown)]
        assert not found, name
    assert f"made for these {kind}" in section(page, "network")
    assert ("30 labels" if kind == "labels" else "3 columns of numbers") in page


def test_one_class_an_image_has_neither(make_data: Callable[..., ReportData]) -> None:
    page = render(make_data(("a", "b")))
    assert 'id="labels"' not in page
    assert 'id="numbers"' not in page
    assert "leave-one-out accuracy (% of the training images)" in page


@pytest.mark.parametrize("wrong", [False, True])
def test_perfect_labels_have_no_list_of_mistakes(wrong: bool) -> None:
    truth = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(float)
    p = 0.1 + 0.8 * truth
    p[0] = 1.0 - p[0] if wrong else p[0]
    names = ["a", "b", "c"]
    scores = score_labels(p, truth).to_json(names)
    view = labels(HeldOutScores.model_validate({**scores, "method": "given"}))
    assert view is not None
    assert bool(view.mistakes) is wrong
