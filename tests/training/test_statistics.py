"""Re-estimated norm statistics, and networks that forget their pretraining."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from frostline.backbones.batchnorm_statistics import with_statistics_of
from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen
from frostline.core.actions import FullTraining, Recipe, TapsHead
from frostline.core.errors import PlanError
from frostline.core.runtime import Runtime
from frostline.training.assembly import reset_parameters
from frostline.training.result import Trained

Fit = Callable[..., Trained]

RECIPE = Recipe(
    epochs=1,
    batch_size=20,
    learning_rate=1e-9,
    head_learning_rate=1e-9,
    augment="none",
    validation_fraction=0.0,
)


def normalised(store: Frozen, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(store.network.preprocessing.normalise(store.runner.pixels(rows)))


def first_norm(module: nn.Module) -> nn.Module:
    return next(m for m in module.modules() if isinstance(m, nn.BatchNorm2d))


def test_statistics_are_those_of_the_images_and_no_weight_moves(digits_store: Frozen) -> None:
    network = trainable(digits_store.network)
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    images = normalised(digits_store, np.arange(40))
    adapted = with_statistics_of(network, images.split(20))  # type: ignore[no-untyped-call]
    for name, tensor in network.module.state_dict().items():
        assert torch.equal(tensor, before[name]), f"{name} of the given network changed"
    for name, parameter in adapted.module.named_parameters():
        assert torch.equal(parameter, before[name]), f"weight {name} changed"
    stem = adapted.module.conv_stem
    with torch.no_grad():
        inputs = stem(images)  # type: ignore[operator]
    norm = first_norm(adapted.module)
    means = [part.mean(dim=(0, 2, 3)) for part in inputs.split(20)]
    spreads = [part.var(dim=(0, 2, 3)) for part in inputs.split(20)]
    torch.testing.assert_close(norm.running_mean, torch.stack(means).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack(spreads).mean(0))
    assert norm.momentum == first_norm(network.module).momentum
    assert not any(m.training for m in adapted.module.modules())
    assert adapted.weights_id != network.weights_id


def test_a_head_on_adapted_taps_is_what_its_module_computes(fit: Fit, digits_store: Frozen) -> None:
    rows = np.arange(len(digits_store.catalog))
    taps = list(digits_store.network.taps)
    trained = fit(TapsHead(taps=taps, statistics="target"))
    plain = fit(TapsHead(taps=taps))
    images = normalised(digits_store, rows)
    with torch.no_grad():
        found = trained.module(images).numpy()
        other = plain.module(images).numpy()
    adapted = digits_store.runner.adapted(rows, Runtime())
    head = trained.module.get_submodule("head")
    with torch.no_grad():
        expected = head(torch.from_numpy(adapted.features.tap(taps, rows))).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(found - other).max() > 0.01, "statistics made no difference"
    assert trained.frozen_verified
    assert (trained.out_of_fold_logits.argmax(axis=1) == digits_store.catalog.labels).mean() > 0.8


def test_taps_of_other_rows_cannot_be_taken_for_known(digits_store: Frozen) -> None:
    adapted = digits_store.runner.adapted(np.arange(30), Runtime())
    taps = list(digits_store.network.taps)
    assert np.isfinite(adapted.features.tap(taps, np.arange(30))).all()
    assert np.isnan(adapted.features.tap(taps, np.arange(30, 60))).all()


def test_learning_norms_start_from_the_training_images(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(FullTraining(recipe=RECIPE.model_copy(update={"norm_mode": "train"})))
    images = normalised(digits_store, np.arange(len(digits_store.catalog)))
    with torch.no_grad():
        inputs = trainable(digits_store.network).module.conv_stem(images)  # type: ignore[operator]
    found = first_norm(trained.module).running_mean
    stored = first_norm(trainable(digits_store.network).module).running_mean
    target = inputs.mean(dim=(0, 2, 3))
    assert (found - target).abs().mean() < 0.2 * (stored - target).abs().mean()


def test_scratch_knows_nothing_of_the_pretrained_weights(fit: Fit, digits_store: Frozen) -> None:
    action = FullTraining(start="random", head_init="random", recipe=RECIPE)
    first, again = fit(action), fit(action)
    source = trainable(digits_store.network).module.state_dict()
    for name, tensor in first.module.state_dict().items():
        if name.startswith("kept.") and name.endswith("weight") and tensor.ndim == 4:
            assert not torch.allclose(tensor, source[name[5:]], atol=1e-4), name
            assert torch.equal(tensor, again.module.state_dict()[name]), "seeds decide"


def test_a_layer_that_cannot_forget_is_named() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(PlanError, match="'1' \\(Own\\) cannot be drawn anew"):
        reset_parameters(nn.Sequential(nn.Linear(2, 2), Own()))
