"""Losses of several labels and of numbers, and what an average of models makes of them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error

from frostline.core.arrays import FloatArray, Truth
from frostline.stats.sigmoids import sigmoid
from frostline.targets.choose import target_of
from frostline.targets.links import LINKS, averaged
from frostline.training.losses import judged_loss, training_loss, uninformed

CPU = torch.device("cpu")


def cells() -> tuple[FloatArray, Truth]:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(50, 3))
    truth = (rng.random(outputs.shape) < sigmoid(outputs)).astype(np.float64)
    truth[rng.random(truth.shape) < 0.3] = np.nan
    truth[0] = np.nan
    return outputs, truth


@pytest.mark.parametrize("name", ["binary_cross_entropy", "squared_error"])
def test_unknown_cells_play_no_part(name: str) -> None:
    outputs, truth = cells()
    each = []
    for row, own in zip(outputs, truth, strict=True):
        known = ~np.isnan(own)
        if name == "squared_error":
            each.append(mean_squared_error(own[known], row[known]) / 2 if known.any() else 0.0)
        else:
            p = sigmoid(row[known])
            each.append(log_loss(own[known], p, labels=[0, 1]) if known.any() else 0.0)
    loss = training_loss(name, None, label_smoothing=0.1, device=CPU)
    logits = torch.tensor(outputs, dtype=torch.float32, requires_grad=True)
    value = loss(logits, torch.tensor(truth, dtype=torch.float32))
    assert float(value.detach()) == pytest.approx(np.mean(each), rel=1e-5)
    value.backward()
    assert logits.grad is not None
    np.testing.assert_array_equal(logits.grad.numpy()[np.isnan(truth)], 0.0)
    # an image of which nothing is known does not dilute what is judged
    told = ~np.isnan(truth).all(axis=1)
    assert judged_loss(name, outputs, truth) == pytest.approx(np.mean(np.array(each)[told]))
    weights = np.linspace(0.5, 1.5, len(truth))
    both = torch.tensor(np.column_stack([truth, weights]), dtype=torch.float32)
    weighted = float(loss(torch.tensor(outputs, dtype=torch.float32), both))
    assert weighted == pytest.approx(np.mean(weights * each), rel=1e-5)


def test_who_looks_at_no_image_names_shares_and_means() -> None:
    outputs, truth = cells()
    named = uninformed("binary_cross_entropy", truth, None)
    np.testing.assert_allclose(sigmoid(named), np.nanmean(truth, axis=0))
    np.testing.assert_allclose(uninformed("squared_error", outputs, None), outputs.mean(axis=0))


def test_an_average_of_models_is_that_of_their_predictions() -> None:
    from frostline.backbones.heads.classifiers import BlendClassifier

    rng = np.random.default_rng(1)
    each = [rng.normal(size=(6, 3)) for _ in range(2)]
    shares, temperatures = [0.25, 0.75], [0.5, 2.0]
    for task in ("single", "multilabel", "regression"):
        link = target_of(cast(Any, task), 3).link_name
        predictions = [LINKS[link](z, t) for z, t in zip(each, temperatures, strict=True)]
        if link == "identity":
            temperatures = [1.0, 1.0]
        mean = averaged(link, predictions, shares)
        np.testing.assert_allclose(
            LINKS[link](mean, 1.0), np.average(predictions, axis=0, weights=shares)
        )
        members = torch.nn.ModuleList([Named(one) for one in each])
        blend = BlendClassifier(cast(Any, members), temperatures, shares, link=link)
        found = blend(torch.zeros(1)).double().detach().numpy()
        np.testing.assert_allclose(LINKS[link](found, 1.0), LINKS[link](mean, 1.0), atol=1e-6)


class Named(torch.nn.Module):
    """Gives the same outputs whatever it sees."""

    def __init__(self, outputs: FloatArray) -> None:
        super().__init__()
        self.outputs = torch.tensor(outputs, dtype=torch.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return self.outputs


def test_labels_that_few_images_tell_of_stay_as_they_were_trained() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 2)) < [0.5, 0.01]).astype(np.float64)
    logits = 0.3 * (2.0 * truth - 1.0) + rng.normal(size=truth.shape) * 0.1
    found = target_of("multilabel", 2).touch_up(logits, truth)
    assert found is not None
    assert found.scale[0] > 3.0
    assert (found.scale[1], found.bias[1]) == (1.0, 0.0)
