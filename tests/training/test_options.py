"""Norm layers alone, the pull back to the pretrained weights, and interpolation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen
from frostline.core.actions import FullTraining, Recipe
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]

RECIPE = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=3e-3,
    head_learning_rate=1e-3,
    augment="none",
    norm_mode="eval",
    patience=9,
)


def with_recipe(**changes: object) -> FullTraining:
    return FullTraining(recipe=RECIPE.model_copy(update=changes))


def distance(trained: Trained, store: Frozen) -> float:
    """How far the kept layers have gone from the pretrained ones."""
    source = trainable(store.network).module.state_dict()
    kept = {n[5:]: t for n, t in trained.module.state_dict().items() if n.startswith("kept.")}
    gone = [(kept[n] - source[n]).square().sum() for n in kept if kept[n].is_floating_point()]
    return float(torch.stack(gone).sum().sqrt())


def test_only_norm_layers_and_the_head_train(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(FullTraining(part="norms", recipe=RECIPE.model_copy(update={"epochs": 3})))
    source = trainable(digits_store.network).module.state_dict()
    norms = digits_store.network.norm_layers()
    assert norms
    moved = {
        name[5:]
        for name, tensor in trained.module.state_dict().items()
        if name.startswith("kept.") and not torch.equal(tensor, source[name[5:]])
    }
    if trained.best_epoch:
        assert moved
    assert all(name.rpartition(".")[0] in norms for name in moved)
    assert trained.frozen_verified
    assert "kept.conv_stem.weight" in trained.frozen


def test_the_anchor_keeps_layers_near_their_start(fit: Fit, digits_store: Frozen) -> None:
    # without a validation part the last epoch is kept, so all have gone equally many steps
    free, held, fixed = (
        fit(with_recipe(anchor=anchor, validation_fraction=0.0)) for anchor in (0.0, 1.0, 1.0)
    )
    assert 0 < distance(held, digits_store) < distance(free, digits_store)
    assert distance(held, digits_store) == distance(fixed, digits_store)


def test_interpolation_never_ends_worse_than_training(fit: Fit) -> None:
    plain = fit(with_recipe(learning_rate=0.03))
    mixed = fit(with_recipe(learning_rate=0.03, interpolate=True))
    assert plain.out_of_fold_logits.shape == mixed.out_of_fold_logits.shape
    said = [note for note in mixed.notes if note.startswith("The model lies")]
    if not said:
        np.testing.assert_array_equal(plain.out_of_fold_logits, mixed.out_of_fold_logits)
    else:
        assert not np.array_equal(plain.out_of_fold_logits, mixed.out_of_fold_logits)


@pytest.mark.parametrize("options", [{"anchor": 0.5}, {"interpolate": True}])
def test_a_finished_training_is_read_back_as_it_was(
    fit: Fit, tmp_path: Path, options: dict[str, object]
) -> None:
    whole = fit(with_recipe(**options), checkpoint_dir=tmp_path)
    again = fit(with_recipe(**options), checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(whole.out_of_fold_logits, again.out_of_fold_logits)
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name]), name
