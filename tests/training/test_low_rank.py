"""Low-rank adapters: where they sit, what moves, and what is left when they are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.compute.engines.torch_runtime import Compute
from frostline.compute.frozen import Frozen
from frostline.core.actions import Adapters, FullTraining, Recipe
from frostline.core.errors import PlanError
from frostline.training.assembly import assemble
from frostline.training.low_rank import (
    LowRankUpdate,
    adaptable_layers,
    add_adapters,
    merge_adapters,
)
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]

CPU = Compute(torch.device("cpu"), half=False)
RANK = 3
RECIPE = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=3e-3,
    head_learning_rate=1e-3,
    augment="none",
    norm_mode="eval",
    patience=9,
)
ACTION = FullTraining(part=Adapters(rank=RANK, alpha=6.0), recipe=RECIPE)
# without a validation part the last epoch is kept, so the trained weights are
LAST = ACTION.model_copy(update={"recipe": RECIPE.model_copy(update={"validation_fraction": 0.0})})


def layers() -> Any:
    return nn.ModuleDict(
        {
            "pointwise": nn.Conv2d(8, 6, 1),
            "spatial": nn.Conv2d(8, 6, 3, stride=2, padding=1, bias=False),
            "grouped": nn.Conv2d(8, 8, 3, groups=2),
            "linear": nn.Linear(8, 5),
        }
    )


def adapted(seed: int = 0) -> Any:
    torch.manual_seed(1)
    module = layers()
    add_adapters(module, Adapters(rank=2, alpha=4.0), seed=seed)
    return module


def stir(module: nn.Module) -> None:
    """Move everything that trains."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.1)


def example(name: str) -> torch.Tensor:
    shape = (4, 8) if name == "linear" else (4, 8, 7, 7)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def test_depthwise_and_shared_weights_are_left_out() -> None:
    module = layers()
    module["depthwise"] = nn.Conv2d(8, 16, 3, groups=8)
    module["norm"] = nn.BatchNorm2d(8)
    module["table"] = nn.Embedding(5, 8)
    module["tied"] = nn.Linear(8, 5)
    module["tied"].weight = module["table"].weight
    module["bare"] = nn.utils.parametrizations.weight_norm(nn.Linear(8, 5))
    module["stem"] = nn.Conv2d(1, 8, 3)
    assert adaptable_layers(module) == ["pointwise", "spatial", "grouped", "linear", "stem"]


@pytest.mark.parametrize("name", list(layers()))
def test_an_adapter_changes_nothing_until_it_has_learned(name: str) -> None:
    module = adapted()
    expected = without_adapters(module)[name](example(name))
    assert torch.equal(module[name](example(name)), expected)
    stir(module)
    assert not torch.equal(module[name](example(name)), expected)


def without_adapters(module: Any) -> Any:
    """The same layers without adapters, on the weights below the adapters."""
    plain = layers()
    for name, layer in module.items():
        plain[name].weight = layer.parametrizations.weight.original
        if layer.bias is not None:
            plain[name].bias = layer.bias
    return plain


@pytest.mark.parametrize("name", list(layers()))
def test_merging_keeps_every_number_and_name(name: str) -> None:
    module = adapted()
    stir(module)
    expected = module[name](example(name))
    update = module[name].weight - module[name].parametrizations.weight.original
    assert torch.linalg.matrix_rank(update.detach().flatten(1)) == 2
    merge_adapters(module)
    assert torch.equal(module[name](example(name)), expected)
    assert list(module.state_dict()) == list(layers().state_dict())
    assert type(module[name]) is type(layers()[name])
    assert not parametrize.is_parametrized(module[name])


@pytest.mark.parametrize("name", list(layers()))
def test_only_rank_times_in_and_out_values_train(name: str) -> None:
    layer = adapted()[name]
    rows, columns = layer.weight.shape[0], layer.weight[0].numel()
    trainable = [p for p in layer.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trainable) == 2 * (rows + columns) < layer.weight.numel() * 2
    assert all(not p.requires_grad for n, p in layer.named_parameters() if "weight.0." not in n)


def test_no_rank_is_higher_than_the_weight_can_have() -> None:
    update = LowRankUpdate(torch.randn(4, 6, 1, 1), rank=64, alpha=64.0)
    assert update.up.shape == (4, 4)
    assert update.down.shape == (4, 6)
    with torch.no_grad():
        update.up.copy_(torch.eye(4))
    found = update(torch.zeros(4, 6, 1, 1))
    torch.testing.assert_close(found.flatten(1), 16.0 * update.down)


@pytest.mark.parametrize("name", list(layers()))
def test_gradients_are_those_of_the_dense_weight_seen_through_the_update(name: str) -> None:
    module = adapted().double()
    stir(module)
    layer, x = module[name], example(name).double()
    pair = layer.parametrizations.weight[0]
    found = torch.autograd.grad(layer(x).square().sum(), [pair.up, pair.down])
    dense = layer.weight.detach().clone().requires_grad_(True)
    if name == "linear":
        y = functional.linear(x, dense, layer.bias)
    else:
        options = (layer.stride, layer.padding, layer.dilation, layer.groups)
        y = functional.conv2d(x, dense, layer.bias, *options)
    (whole,) = torch.autograd.grad(y.square().sum(), [dense])
    matrix, scale = whole.flatten(1), 4.0 / 2
    torch.testing.assert_close(found[0], scale * matrix @ pair.down.T)
    torch.testing.assert_close(found[1], scale * pair.up.T @ matrix)


def test_seeds_decide_where_adapters_start() -> None:
    one, same, other = (adapted(seed)["linear"].parametrizations.weight[0] for seed in (0, 0, 1))
    assert torch.equal(one.down, same.down)
    assert not torch.equal(one.down, other.down)


def test_half_precision_does_not_round_what_is_merged() -> None:
    module = adapted()
    stir(module)
    expected = module["linear"].weight
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module["linear"].weight, expected)
        assert module["linear"](example("linear")).dtype == torch.bfloat16


def test_a_network_without_a_place_for_adapters_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.BatchNorm2d(3))
    with pytest.raises(PlanError, match="no kept layer"):
        add_adapters(module, Adapters(rank=1, alpha=1.0), seed=0)
    assert all(p.requires_grad for p in module.parameters())


# ---------------------------------------------------------------- in a training


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_resnet", "test_vit"])
def test_the_first_step_sees_the_pretrained_network(architecture: str) -> None:
    torch.manual_seed(4)
    network = Network.load(timm.create_model(architecture, pretrained=False).eval())
    size = network.preprocessing.size
    images = torch.randn(2, 3, size, size).contiguous(memory_format=torch.channels_last)
    with_adapters, plain = (
        assemble(action, network, n_outputs=3, seed=0, compute=CPU)
        for action in (ACTION, FullTraining(recipe=RECIPE))
    )
    for training in (False, True):
        with torch.no_grad():
            torch.manual_seed(5)
            found = with_adapters.classifier.train(training)(images)
            torch.manual_seed(5)
            expected = plain.classifier.train(training)(images)
        assert torch.equal(found, expected)
    stir(with_adapters.classifier.eval().kept)
    with torch.no_grad():
        expected = with_adapters.classifier(images)
        merged = with_adapters.merged()
        assert torch.equal(merged.classifier(images), expected)
    assert list(merged.classifier.state_dict()) == list(plain.classifier.state_dict())


def test_the_probe_is_where_training_starts(fit: Fit) -> None:
    starts = [fit(action).history[0] for action in (ACTION, FullTraining(recipe=RECIPE))]
    # plain convolutions carry their norm layers meanwhile: the last digits may differ
    assert starts[0]["val_nll"] == pytest.approx(starts[1]["val_nll"], rel=1e-5)
    assert starts[0]["val_accuracy"] == starts[1]["val_accuracy"]


def test_each_weight_moves_by_the_rank_and_all_else_stays(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(LAST)
    source = trainable(digits_store.network).feature_module.state_dict()
    places = adaptable_layers(trainable(digits_store.network).feature_module)
    weights = {f"kept.{name}.weight" for name in places}
    assert len(weights) > 5
    state = trained.module.state_dict()
    for name, tensor in state.items():
        if not name.startswith("kept."):
            continue
        before = source[name.removeprefix("kept.")]
        if name in weights:
            update = (tensor - before).double().flatten(1)
            values = torch.linalg.svdvals(update)
            assert values[0] > 0, name
            # single precision leaves some dust behind
            assert (values[RANK:] < 1e-4 * values[0]).all(), name
        else:
            assert torch.equal(tensor, before), name
    assert set(trained.trained) == weights
    assert set(trained.frozen) == {n for n in state if n.startswith("kept.")} - weights
    assert set(trained.new_layers) == {"head.weight", "head.bias"}
    assert [n.removeprefix("kept.") for n in state if n.startswith("kept.")] == list(source)
    assert trained.frozen_verified


def test_statistics_follow_the_images_if_they_shall(fit: Fit, digits_store: Frozen) -> None:
    recipe = LAST.recipe.model_copy(update={"norm_mode": "train"})
    trained = fit(LAST.model_copy(update={"recipe": recipe}))
    source = trainable(digits_store.network).feature_module.state_dict()
    norms = digits_store.network.norm_layers()
    for name in norms:
        state = trained.module.get_submodule(f"kept.{name}").state_dict()
        assert not torch.equal(state["running_mean"], source[f"{name}.running_mean"])
        assert torch.equal(state["weight"], source[f"{name}.weight"])
    assert {f"kept.{name}.running_mean" for name in norms} <= set(trained.trained)
    assert {f"kept.{name}.weight" for name in norms} <= set(trained.frozen)


def test_adapters_learn(fit: Fit) -> None:
    trained = fit(LAST.model_copy(update={"recipe": LAST.recipe.model_copy(update={"epochs": 6})}))
    losses = [entry["train_loss"] for entry in trained.history[1:]]
    assert losses[-1] < 0.8 * losses[0]


def test_the_delivered_network_is_plain(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(ACTION.model_copy(update={"keep_to": "blocks.2"}))
    assert not any(parametrize.is_parametrized(layer) for layer in trained.module.modules())
    pixels = digits_store.runner.pixels(trained.out_of_fold_rows)
    normalise = digits_store.network.preprocessing.normalise
    with torch.no_grad():
        logits = trained.module(torch.from_numpy(normalise(pixels)))
    np.testing.assert_allclose(logits.numpy(), trained.out_of_fold_logits, atol=1e-4)


# ---------------------------------------------------------------- three projections in one tensor


class Attending(nn.Module):
    """Attention as timm writes it, and as PyTorch does."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)
        self.torch = nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        found: torch.Tensor = self.torch(q, k, v)[0] + self.torch(x, x, x)[0]
        return found


def attending() -> Attending:
    torch.manual_seed(6)
    return Attending()


def test_queries_keys_and_values_each_get_an_update_of_the_whole_rank() -> None:
    module, plain = attending(), attending()
    assert adaptable_layers(module) == ["qkv", "torch", "torch.out_proj"]
    add_adapters(module, Adapters(rank=2, alpha=4.0), seed=0)
    x = torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(3))
    for training in (True, False):
        assert torch.equal(module.train(training)(x), plain.train(training)(x))
    stir(module)
    for training in (True, False):
        with torch.no_grad():
            assert not torch.allclose(module.train(training)(x), plain.train(training)(x))
    with torch.no_grad():
        expected = module(x)
        merge_adapters(module)
        assert torch.equal(module(x), expected)
    state, before = module.state_dict(), plain.state_dict()
    assert list(state) == list(before)
    for name in ("qkv.weight", "torch.in_proj_weight"):
        for now, then in zip(state[name].chunk(3), before[name].chunk(3), strict=True):
            assert torch.linalg.matrix_rank(now - then, rtol=1e-4) == 2, name
    assert {n for n in state if not torch.equal(state[n], before[n])} == {
        "qkv.weight",
        "torch.in_proj_weight",
        "torch.out_proj.weight",
    }


def test_queries_of_another_width_than_keys_are_left_out() -> None:
    assert adaptable_layers(nn.MultiheadAttention(12, 2, kdim=8, vdim=6)) == ["out_proj"]
