"""Mixing and noise: what they do to a batch, that they are keyed, and that training uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from frostline.compute.activation_cache import ActivationCache
from frostline.compute.frozen import Frozen
from frostline.core.actions import Recipe, SuffixTraining
from frostline.training.mixing import mixed
from frostline.training.result import Trained

Fit = Callable[..., Trained]


def recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
        "augment": "none",
    }
    return Recipe.model_validate(values | changes)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 5, 6, 6, generator=generator), torch.arange(64) % 7


def test_without_either_the_batch_is_untouched(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    found = mixed(*batch, recipe(), seed=0, epoch=1, step=2)
    assert found.inputs is batch[0]
    assert found.share == 1.0


def test_inputs_and_losses_are_shared_alike(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    inputs, labels = batch
    found = mixed(inputs, labels, recipe(mixup=1.0), seed=0, epoch=1, step=2)
    assert 0 < found.share < 1
    # every mixed input is its own part plus that of an input of its partner's class
    rest = (found.inputs - found.share * inputs) / (1 - found.share)
    partners = [int((inputs - one).abs().flatten(1).sum(1).argmin()) for one in rest]
    assert sorted(partners) == list(range(64))
    assert torch.equal(labels[partners], found.partners)
    logits = torch.randn(64, 7, generator=torch.Generator().manual_seed(1))
    targets = torch.nn.functional.one_hot(labels, 7) * found.share
    targets = targets + torch.nn.functional.one_hot(found.partners, 7) * (1 - found.share)
    soft = torch.nn.functional.cross_entropy(logits, targets)
    ours = found.loss(torch.nn.functional.cross_entropy, logits)
    torch.testing.assert_close(ours, soft)


def test_noise_has_the_spread_that_was_asked_for(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    scaled = batch[0] * torch.tensor([0.1, 1.0, 10.0, 5.0, 0.5]).view(1, 5, 1, 1)
    found = mixed(scaled, batch[1], recipe(noise=0.3), seed=0, epoch=1, step=2)
    ratio = (found.inputs - scaled).std(dim=(0, 2, 3)) / scaled.std(dim=(0, 2, 3))
    torch.testing.assert_close(ratio, torch.full((5,), 0.3), rtol=0.1, atol=0)


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"noise": 0.2}, {"mixup": 0.4, "noise": 0.2}])
def test_equal_keys_give_equal_batches(
    batch: tuple[torch.Tensor, torch.Tensor], changes: dict[str, float]
) -> None:
    one, same, other = (
        mixed(*batch, recipe(**changes), seed=0, epoch=1, step=step).inputs for step in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"noise": 0.2}])
def test_training_mixes_stored_activations(fit: Fit, changes: dict[str, float]) -> None:
    plain = fit(SuffixTraining(freeze_to="blocks.2", recipe=recipe()))
    action = SuffixTraining(freeze_to="blocks.2", recipe=recipe(**changes))
    first, again = fit(action), fit(action)
    np.testing.assert_array_equal(first.out_of_fold_logits, again.out_of_fold_logits)
    assert [h["train_loss"] for h in first.history] != [h["train_loss"] for h in plain.history]
    assert first.frozen_verified


def test_eight_bits_train_nearly_alike(fit: Fit, digits_store: Frozen) -> None:
    action = SuffixTraining(freeze_to="blocks.2", recipe=recipe())
    plain = fit(action)
    images, digests = digits_store.runner.images, digits_store.catalog.digests
    own = ActivationCache(digits_store.network, images, digests)
    store = replace(digits_store, activations=own)
    rounded = fit(action, store=store, activation_dtype="uint8")
    assert not np.array_equal(rounded.out_of_fold_logits, plain.out_of_fold_logits)
    bound = 0.1 * float(plain.out_of_fold_logits.std())
    np.testing.assert_allclose(rounded.out_of_fold_logits, plain.out_of_fold_logits, atol=bound)
