"""A training that learned nothing runs again, slower; one that learned anything does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frostline.compute.frozen import Frozen
from frostline.core.actions import FullTraining, Recipe
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]

#: so fast that the network is destroyed in a few steps
RATE = 0.03


def full(rate: float, *, epochs: int = 6) -> FullTraining:
    recipe = Recipe(
        epochs=epochs,
        batch_size=16,
        learning_rate=rate,
        head_learning_rate=rate,
        augment="none",
        flip=False,
        patience=epochs,
    )
    return FullTraining(recipe=recipe, head_init="random")


def loss(trained: Trained) -> float:
    return min(float(entry["val_nll"]) for entry in trained.history)


def test_a_rate_that_destroys_the_network_is_lowered(fit: Fit, tmp_path: Path) -> None:
    alone = fit(full(RATE), retry=False)
    assert loss(alone) > 0.97 * np.log(3)
    trained = fit(full(RATE), checkpoint_dir=tmp_path)
    assert loss(trained) < loss(alone)
    assert trained.action == full(RATE / 10)
    assert f"With a rate of {RATE:g} the training learned nothing" in trained.notes[-1]
    assert "helped" in trained.notes[-1]
    # both are continued from their own states
    assert (tmp_path / "slower").is_dir()
    again = fit(full(RATE), checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(again.out_of_fold_logits, trained.out_of_fold_logits)


@pytest.mark.parametrize(("rate", "epochs"), [(0.003, 6), (RATE, 2)])
def test_what_learns_or_had_no_time_runs_once(fit: Fit, rate: float, epochs: int) -> None:
    trained = fit(full(rate, epochs=epochs))
    assert trained.action == full(rate, epochs=epochs)
    assert not any("learned nothing" in note for note in trained.notes)


def test_labels_by_lot_are_not_taken_for_a_rate_that_is_too_high(
    fit: Fit, digits_store: Frozen
) -> None:
    lots = np.random.default_rng(0).permutation(digits_store.catalog.labels)
    trained = fit(full(0.003, epochs=10), labels=lots)
    assert trained.action == full(0.003, epochs=10)
