"""Heads on a network that is known by its description are those on the network of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.described import DescribedNetwork
from frostline.backbones.heads.linear_on_taps import LinearOnTaps
from frostline.backbones.network import Network
from frostline.backbones.trainable import _LOADED
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import Blend, Recipe, SuffixTraining, TapsHead
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.problem import Problem
from frostline.fitting.train import logits_of
from frostline.training.ood import fit_ood, ood_scores_of
from frostline.training.result import Trained

Fit = Callable[..., Trained]

RECIPE = Recipe(epochs=1, batch_size=16, learning_rate=1e-2, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def described_store(
    small_network: Network, digits_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Frozen]:
    """The frozen work on the digits, by the description of the small network."""
    module = small_network.module
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    network = DescribedNetwork(describe(small_network), graph_of(small_network), state)
    # no file has the weights of this network
    _LOADED[network] = small_network
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield run_frozen(network, digits_catalog, Runtime())


@pytest.mark.parametrize("statistics", ["source", "target"])
def test_a_head_is_that_on_the_network_of_pytorch(
    fit: Fit, digits_store: Frozen, described_store: Frozen, statistics: str
) -> None:
    taps = list(digits_store.network.taps)
    action = TapsHead(taps=taps, statistics=statistics, alpha=1.0)
    rows, others = np.arange(0, 60, 2), np.arange(1, 60, 2)
    found = fit(action, store=described_store, rows=rows)
    expected = fit(action, rows=rows)
    assert isinstance(found.classifier, LinearOnTaps)
    assert (found.frozen, found.new_layers) == (expected.frozen, expected.new_layers)
    assert found.frozen_verified
    np.testing.assert_allclose(found.out_of_fold_logits, expected.out_of_fold_logits, atol=5e-3)
    logits = logits_of(found, described_store, others)
    np.testing.assert_allclose(logits, logits_of(expected, digits_store, others), atol=5e-3)
    # and what is delivered computes them
    pixels = described_store.runner.pixels(others)
    preprocessing = described_store.network.preprocessing
    right = found.classifier.reference(pixels, preprocessing).logits
    np.testing.assert_allclose(logits, right, atol=1e-3)
    problem, runtime = Problem.of(described_store.catalog), Runtime()
    ood = fit_ood(problem, described_store, found, rows, runtime)
    assert ood is not None
    scores = ood_scores_of(ood, found, described_store, others, runtime)
    features = found.classifier.head_inputs([pixels], preprocessing)
    np.testing.assert_allclose(scores, ood.scorer.scores(features), rtol=1e-2)


@pytest.mark.slow
def test_an_average_with_trained_layers_is_a_module(fit: Fit, described_store: Frozen) -> None:
    network = described_store.network
    head = TapsHead(taps=list(network.taps))
    layers = SuffixTraining(freeze_to="blocks.1", recipe=RECIPE)
    found = fit(Blend(members=[layers, head]), store=described_store)
    assert [member.action for member in found.members] == [layers, head]
    assert found.frozen_leader is found.members[1]
    rows = np.arange(60)
    expected = found.classifier.run([described_store.runner.pixels(rows)], network.preprocessing)
    logits = logits_of(found, described_store, rows)
    np.testing.assert_allclose(np.exp(logits), np.exp(expected), atol=2e-3)
    assert set(found.frozen) | set(found.trained) | set(found.new_layers) == (
        set(found.classifier.tensors()) - {"temperatures"}
    )
