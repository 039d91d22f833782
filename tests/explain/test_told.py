"""What tiles say of classes, of several labels and of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.task import Task
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.explain.told import doubts_told, mistakes_told
from frostline.stats.out_of_fold import OutOfFold

Array = npt.NDArray[Any]
N = 80


def problem(task: Task, classes: tuple[str, ...], truth: Array) -> Problem:
    single = truth.ndim == 1
    rows = tuple(
        ImageRow(
            Path(f"/x/{i}.png"),
            f"{i}.png",
            int(truth[i]) if single else -1,
            values=() if single else tuple(truth[i].tolist()),
        )
        for i in range(len(truth))
    )
    digests = tuple(f"{i:064x}" for i in range(len(truth)))
    return Problem.of(Catalog("x", classes, rows, digests, task=task))


def test_labels_are_told_by_what_was_added_or_missed() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((N, 3)) < 0.5).astype(float)
    p = 0.1 + 0.8 * truth
    truth[3], p[3] = [1.0, 0.0, np.nan], [0.02, 0.97, 0.5]
    truth[4], p[4] = [0.0, 0.0, 0.0], [0.03, 0.1, 0.9]
    own = problem("multilabel", ("cat", "dog", "owl"), truth)
    judged = OutOfFold(np.arange(N), p, (p >= 0.5).astype(float))
    first, second, third = mistakes_told(own, judged, 10)
    assert (first.row, first.label, first.prediction) == (3, "cat", "without cat")
    assert first.confidence == 0.98
    assert first.output == 0
    assert (second.row, second.prediction, second.output) == (3, "with dog", 1)
    assert (third.row, third.label, third.prediction) == (4, "none of the labels", "with owl")
    assert third.note == "90 % for the label owl."
    doubts = doubts_told(own, [judged], 2)
    assert {(one.row, one.prediction) for one in doubts} == {(3, "without cat"), (3, "with dog")}
    assert all(one.note.startswith("Strong disagreement") for one in doubts)
    # without what was decided, labels are given from one half on
    assert mistakes_told(own, OutOfFold(np.arange(N), p), 10) == [first, second, third]


def test_numbers_are_told_by_how_far_off_they_are() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(N, 2)) * [1.0, 100.0]
    p = truth + rng.normal(size=truth.shape) * [0.1, 5.0]
    truth[7, 1] += 400.0
    truth[8, 0] = np.nan
    own = problem("regression", ("angle", "mass"), truth)
    judged = OutOfFold(np.arange(N), p, p)
    worst = mistakes_told(own, judged, 3)
    assert worst[0].row == 7
    assert worst[0].label == f"mass {truth[7, 1]:.4g}"
    assert worst[0].prediction == f"{p[7, 1]:.4g}"
    assert worst[0].confidence == 0.0
    assert "standard deviations off" in worst[0].note
    (doubt,) = [one for one in doubts_told(own, [judged], 5) if one.row == 7]
    assert "times as far off as usual" in doubt.note


def test_classes_are_told_by_what_was_answered() -> None:
    truth = np.arange(N) % 2
    p = np.where(np.eye(2)[truth] == 1, 0.9, 0.1)
    p[5] = [0.99, 0.01]
    own = problem("single", ("a", "b"), truth)
    (told,) = mistakes_told(own, OutOfFold(np.arange(N), p), 5)
    assert (told.row, told.label, told.prediction, told.output) == (5, "b", "a", 0)
    assert told.confidence == 0.99
    assert told.note == "1 % for its own label."
