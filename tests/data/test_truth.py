"""What is true of the images of a catalog: one label each, several, or numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frostline.core.errors import InputError, SettingsError
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.data.splitting.split import make_split
from frostline.fitting.wanted import check_task

NAN = float("nan")


def catalog(values: list[tuple[float, ...]]) -> Catalog:
    rows = tuple(
        ImageRow(Path(f"/{i}.png"), f"{i}.png", -1, values=each) for i, each in enumerate(values)
    )
    names = tuple("abcdef"[: len(values[0])])
    digests = tuple(f"{i:064x}" for i in range(len(rows)))
    return replace(Catalog("x", names, rows, digests), task="multilabel")


def test_a_problem_of_labels_has_their_target() -> None:
    given = catalog([(1.0, 0.0), (0.0, NAN), (1.0, 1.0), (0.0, 0.0)])
    given.check()
    problem = Problem.of(given)
    assert problem.target.task == "multilabel"
    np.testing.assert_array_equal(problem.labels, [[1, 0], [0, NAN], [1, 1], [0, 0]])
    assert problem.metric.name == "log_loss"
    assert problem.labelled(np.array([1, 2])).truth.shape == (2, 2)
    with pytest.raises(InputError, match="not 3"):
        Problem.of(catalog([(3.0, 0.0), (0.0, 1.0)]))
    with pytest.raises(InputError, match="Nothing is known of 'b'"):
        catalog([(1.0, NAN), (0.0, NAN)]).check()


def test_splits_keep_the_share_of_rare_labels() -> None:
    rng = np.random.default_rng(0)
    values = [tuple(map(float, each)) for each in rng.random((1000, 4)) < [0.5, 0.3, 0.1, 0.02]]
    given = catalog(values)
    split = make_split(given, np.arange(1000), test_size=0.2, seed=0)
    held, whole = given.truth[split.test].sum(axis=0), given.truth.sum(axis=0)
    assert len(split.test) == pytest.approx(200, abs=5)
    assert held[3] == pytest.approx(0.2 * whole[3], abs=1.0)
    assert held[2] == pytest.approx(0.2 * whole[2], abs=5.0)


def test_settings_for_classes_are_refused_for_labels() -> None:
    given = catalog([(1.0, 0.0), (0.0, 1.0)])
    check_task(Settings(), given)
    with pytest.raises(SettingsError, match="'macro_f1' is for one label an image"):
        check_task(Settings(metric="macro_f1"), given)
    with pytest.raises(SettingsError, match="'balanced' is for one label an image"):
        check_task(Settings(class_weight="balanced"), given)
    with pytest.raises(SettingsError, match="Costs of mistakes are for one class"):
        check_task(Settings(costs={"a": {"b": 2.0}}), given)
    check_task(Settings(at_most_wrong=0.1), given)
    numbers = replace(given, task="regression")
    with pytest.raises(SettingsError, match="not for numbers"):
        check_task(Settings(at_most_wrong=0.1), numbers)
    assert Settings(target="a, b").target == ("a", "b")
    with pytest.raises(SettingsError, match="named twice"):
        Settings(target="a,a")
    with pytest.raises(SettingsError, match="at least one character"):
        Settings(label_separator="")
