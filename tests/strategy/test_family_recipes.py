"""Transformers train by what was published for them; networks with BatchNorm as the study found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from frostline.backbones.description import shipped
from frostline.backbones.families import RECIPES, UNKNOWN, Family, family_of
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network
from frostline.core.actions import LayerTraining, Recipe
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.candidates.cut_and_train import choose_cut
from frostline.strategy.context import Context
from frostline.strategy.cost import Span, training_seconds
from frostline.strategy.decide import decide, every_option
from tests.strategy.test_decide import context_of, summary

VIT = RECIPES["vision_transformer"]


@pytest.fixture(scope="module")
def vit() -> Network:
    return Network.load("test_vit", pretrained=False)


@pytest.fixture(scope="module")
def resnet() -> Network:
    return Network.load("test_resnet", pretrained=False)


def context(network: Network, *, known: bool = True, **found: Any) -> Context:
    settings = {name: found.pop(name) for name in ("strategy", "budget") if name in found}
    made = context_of(network, summary(network, **found), **settings)
    return replace(made, family=family_of(network.module) if known else UNKNOWN)


def recipes(context: Context) -> dict[str, Recipe]:
    return {
        option.name: option.action.recipe
        for option in every_option(context)
        if isinstance(option.action, LayerTraining)
    }


def test_networks_with_batch_norm_train_as_ever(resnet: Network) -> None:
    by_family, by_default = (recipes(context(resnet, known=known)) for known in (True, False))
    assert by_family == by_default
    usual = by_family["fine-tune the whole network"]
    assert (usual.learning_rate, usual.layer_decay, usual.weight_decay) == (3e-4, 0.75, 1e-4)
    firm = by_family["fine-tune the whole network firmly"]
    assert (firm.learning_rate, firm.layer_decay, firm.norm_mode) == (3e-3, 1.0, "train")
    assert {recipe.warmup_share for recipe in by_family.values()} == {0.1}


def test_transformers_train_at_published_rates(vit: Network) -> None:
    found = recipes(context(vit, n=300))
    usual = found["fine-tune the whole network"]
    assert usual.learning_rate == pytest.approx(VIT.learning_rate * math.sqrt(32 / 256))
    assert usual.head_learning_rate == pytest.approx(usual.learning_rate / 3)
    assert {recipe.weight_decay for recipe in found.values()} == {VIT.weight_decay}
    # every block of a plain transformer is a stage
    cuts = context(vit).network.feature_cuts
    stages = sum(cut.stage_end for cut in cuts)
    assert usual.layer_decay == pytest.approx(VIT.layer_decay ** (len(cuts) / stages))
    assert all(0.1 <= recipe.warmup_share <= 0.25 for recipe in found.values())
    firm = found["fine-tune the whole network firmly"]
    assert firm.learning_rate == pytest.approx(4 * usual.learning_rate)
    assert firm.layer_decay == usual.layer_decay


@pytest.mark.parametrize(
    ("family", "rate_at_256", "decay_of_three_blocks"),
    [
        ("vision_transformer", 5e-4, 0.65**3),
        ("beit", 5e-4, 0.75**3),
        ("eva", 3.54e-5, 0.8**3),
        ("swin_transformer_v2", 1.41e-5, 1.0),
        ("convnext", 3.54e-5, 0.8),
    ],
)
def test_published_rates_belong_to_their_batch(
    vit: Network, family: str, rate_at_256: float, decay_of_three_blocks: float
) -> None:
    published = RECIPES[family]
    made = context(vit, n=6000)
    made = replace(made, family=replace(made.family, recipe=published))
    made = replace(made, settings=replace(made.settings, batch_size=256))
    usual = recipes(made)["fine-tune the whole network"]
    assert usual.learning_rate == pytest.approx(rate_at_256, rel=1e-2)
    assert published.layer_decay**3 == pytest.approx(decay_of_three_blocks)


def test_statistics_are_estimated_anew_only_where_there_are_some(
    vit: Network, resnet: Network
) -> None:
    assert {recipe.norm_mode for recipe in recipes(context(vit, n=6000)).values()} == {"eval"}
    assert {recipe.norm_mode for recipe in recipes(context(resnet, n=6000)).values()} == {"train"}


def test_a_rate_that_was_asked_for_is_taken(vit: Network) -> None:
    made = context(vit)
    asked = replace(made, settings=replace(made.settings, learning_rate=7e-5))
    assert recipes(asked)["fine-tune the whole network"].learning_rate == 7e-5


def test_adapters_race_where_layers_attend(vit: Network, resnet: Network) -> None:
    for network, expected in ((vit, True), (resnet, False)):
        raced = {option.name for option in decide(context(network, n=600)).challengers}
        assert (ADAPTERS in raced) == expected


def test_a_cut_keeps_a_block(vit: Network) -> None:
    first = vit.taps[0]
    network = context(vit).network
    bare = [cut.name for cut in network.cuts if cut.macs_before <= network.cuts[0].macs_before]
    for name in (first, *bare):
        if name not in vit.taps:
            continue
        kept = choose_cut(context(vit, accuracies={name: 0.9}))
        assert kept.macs_before > network.cuts[0].macs_before, name


def test_the_same_work_takes_less_time_in_matrix_products(vit: Network) -> None:
    def seconds(work: Any, device: str = "cpu") -> float:
        return training_seconds(
            replace(context(vit).network, work=work),
            Span(),
            n_images=100,
            epochs=3,
            device=device,
        )

    assert seconds("depthwise") == pytest.approx(1.5 * seconds("products"))
    assert seconds("depthwise") > 2 * seconds("convolutions")
    assert seconds("depthwise", "cuda") == seconds("convolutions", "cuda")


@pytest.mark.parametrize(
    ("family", "work"),
    [
        (UNKNOWN, "depthwise"),
        (Family(norm_kind="batch", depthwise=False), "convolutions"),
        (Family(norm_kind="layer", running_statistics=False), "products"),
        (Family(attention=True, depthwise=False), "products"),
    ],
)
def test_kinds_of_work(family: Family, work: str) -> None:
    assert family.work == work


def attending(**norm: Any) -> nn.Module:
    return nn.Sequential(
        nn.MultiheadAttention(8, 2), nn.BatchNorm1d(8) if norm else nn.LayerNorm(8)
    )


@pytest.mark.parametrize(
    ("module", "said", "paper"),
    [
        (attending(), {}, "He et al."),
        (attending(), {"architecture": "vit_small_patch16_224", "tag": "dino"}, "Zhou"),
        (attending(batch=True), {}, None),
        (nn.Conv2d(3, 3, 1), {"tag": "dino"}, None),
    ],
)
def test_transformers_of_no_library_train_as_transformers_do(
    module: nn.Module, said: dict[str, str], paper: str | None
) -> None:
    recipe = family_of(module, said).recipe
    assert (recipe is None) == (paper is None)
    assert recipe is None or (paper is not None and recipe.paper.startswith(paper))


@pytest.mark.parametrize("name", list(BUNDLED))
def test_bundled_networks_are_planned_as_ever(name: str) -> None:
    family = shipped(name)[0].family
    assert (family.work, family.recipe, family.attention, family.patch) == (
        UNKNOWN.work,
        UNKNOWN.recipe,
        UNKNOWN.attention,
        UNKNOWN.patch,
    )
    assert family.running_statistics
