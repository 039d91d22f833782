"""Taps are what networks were trained to give: a handful of families; the others in tests/soak."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import timm
import torch

from frostline.backbones.heads.pooling import pooled
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.found import at_size
from frostline.backbones.network import Network
from frostline.core.cuts import TokenReading
from tests.backbones import taps_checks as checks
from tests.backbones.graph_checks import check_taps, graph_for
from tests.backbones.shaken import shake


def _vit(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    small = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "patch_size": 8}
    made: torch.nn.Module = timm.create_model("vit_tiny_patch16_224", **{**small, **options})
    return made


def _tried(module: torch.nn.Module, size: int = 32) -> checks.Tried:
    network = Network.load(module.eval(), size=size)
    return checks.Tried(network, torch.randn(2, 3, size, size))


def _checked(found: checks.Tried) -> Network:
    checks.check_last_tap(found)
    checks.check_width(found)
    checks.check_tokens(found)
    return found.network


def test_a_class_token_is_read_as_such_and_registers_never() -> None:
    network = _checked(_tried(_vit(reg_tokens=4)))
    assert network.family.prefix_tokens == 5 and network.family.registers == 4
    assert network.last.name == "pre_logits" and network.last_map.name == "norm"
    assert network.cut("blocks.0").parts == ("class", "mean", "spread")
    assert network.cut("blocks.0").tokens == TokenReading(
        ("class", "mean", "spread"), 5, 1, "layer", 1e-6, (4, 4)
    )
    assert network.cut("norm").tokens == TokenReading(
        ("class", "mean", "spread"), 5, 1, grid=(4, 4)
    )


def test_intermediate_taps_are_those_of_timm_with_its_final_norm() -> None:
    module = _vit(reg_tokens=2)
    network = Network.load(module.eval(), size=32)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = module.forward_intermediates(  # type: ignore[operator]
            x,
            indices=[0],
            norm=True,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        tokens, prefix = expected[0]
        read = network.body(["blocks.0"])(x)
    wanted = torch.cat([prefix[:, 0], tokens.mean(dim=1), tokens.std(dim=1, correction=0)], dim=1)
    assert torch.allclose(read, wanted, atol=1e-5)


def test_every_way_of_pooling_is_the_last_tap() -> None:
    for options in (
        {"global_pool": "avg"},
        {"global_pool": "avg", "class_token": False, "fc_norm": False},
        {"global_pool": "map", "class_token": False},
        {"global_pool": "token", "num_classes": 0},
        {"global_pool": "map", "num_classes": 0, "reg_tokens": 1},
    ):
        network = _checked(_tried(_vit(**options)))
        assert network.taps[-1] == network.last.name


def test_branches_side_by_side_are_read_where_they_end() -> None:
    torch.manual_seed(0)
    small = timm.create_model(
        "crossvit_tiny_240",
        img_size=32,
        img_scale=(1.0, 0.5),
        patch_size=(8, 4),
        embed_dim=(16, 24),
        depth=((1, 1, 0),),
        num_heads=(2, 2),
        mlp_ratio=(2.0, 2.0, 1.0),
        num_classes=0,
    )
    network = _checked(_tried(small))
    assert [cut.name for cut in network.cuts] == ["pre_logits"] and network.last.channels == 40
    x = torch.randn(2, 3, 32, 32)
    prefix, suffix = network.split("pre_logits")
    with torch.no_grad():
        assert torch.equal(suffix.eval()(prefix.eval()(x)), small(x))


def test_networks_of_other_kinds_give_what_their_head_reads() -> None:
    torch.manual_seed(0)
    network = _checked(_tried(timm.create_model("test_convnext"), 64))
    assert network.last.name == "pre_logits" and "stages.0" in network.taps
    assert not network.family.running_statistics, "there is nothing to estimate anew"
    plain = _checked(_tried(timm.create_model("resnet10t"), 64))
    assert plain.last == plain.last_map and plain.last.is_map and plain.pooling == ()
    assert plain.family.running_statistics


def test_small_images_leave_a_map_of_one_place() -> None:
    network = _checked(_tried(timm.create_model("test_convnext"), 32))
    assert network.last.layout == "NC"


def test_another_size_changes_no_name() -> None:
    options = {"reg_tokens": 1}
    checks.check_names(_tried(_vit(**options)), _tried(_vit(**options, img_size=48), 48))


def test_one_token_of_fifty_times_the_size_changes_nothing() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 17, 24)
    norms: tuple[Literal["layer", "rms"], ...] = ("layer", "rms")
    for norm in norms:
        reading = TokenReading(("class", "mean", "spread"), 1, 1, norm, 1e-6)
        large = tokens.clone()
        large[:, 5] *= 50
        assert torch.allclose(
            pooled(large, "NLC", reading), pooled(tokens, "NLC", reading), atol=1e-5
        )
        registers = torch.cat([tokens[:, :1], 50 * torch.randn(2, 4, 24), tokens[:, 1:]], dim=1)
        more = TokenReading(("class", "mean", "spread"), 5, 1, norm, 1e-6)
        assert torch.equal(pooled(registers, "NLC", more), pooled(tokens, "NLC", reading))


def test_the_graph_without_pytorch_gives_the_same_taps() -> None:
    for module in (_vit(reg_tokens=2), _vit(global_pool="map", class_token=False)):
        shake(module, 0)
        network = Network.load(module.eval(), size=32)
        check_taps(graph_for(network), network, network.taps)


def test_models_from_before_tokens_were_told_apart_are_read_as_they_were() -> None:
    network = Network.load(_vit().eval(), size=32, pooling=())
    assert network.last.name == network.last_map.name == "norm"
    assert all(network.cut(name).tokens is None for name in network.taps)
    assert network.cut("pos_drop").position > network.cut("patch_embed").position


def test_the_old_classifier_is_found_behind_every_way_of_pooling() -> None:
    x = torch.randn(2, 3, 32, 32)
    for options in ({}, {"global_pool": "avg"}, {"global_pool": "avg", "fc_norm": False}):
        module = _vit(**options).eval()
        network = Network(
            "tiny", replace(at_size(load_source(module), 32, resize=False), classifier=True)
        )
        found = network.source_classifier()
        assert found is not None
        with torch.no_grad():
            body = network.body([network.last.name])
            read = body(x)[:, found.columns].double().numpy()
            expected = torch.softmax(module(x), dim=1).numpy()
        np.testing.assert_allclose(found.probabilities(read), expected, atol=1e-5)
