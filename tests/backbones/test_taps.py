"""Taps are what networks were trained to give: a handful of families; the others in tests/soak."""

from __future__ import annotations

import timm
import torch

from frostline.backbones.families import family_of
from frostline.backbones.heads.pooling import pooled
from frostline.backbones.network import Network
from frostline.core.cuts import TokenReading
from tests.backbones import taps_checks as checks


def _vit(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    small = {"embed_dim": 32, "depth": 3, "num_heads": 2, "img_size": 32, "patch_size": 8}
    return timm.create_model("vit_tiny_patch16_224", pretrained=False, **{**small, **options})


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
    assert network.cut("blocks.1").parts == ("class", "mean", "spread")
    assert network.cut("blocks.1").tokens == TokenReading(
        ("class", "mean", "spread"), 5, 1, "layer", 1e-6
    )
    assert network.cut("norm").tokens == TokenReading(("class", "mean", "spread"), 5, 1)


def test_intermediate_taps_are_those_of_timm_with_its_final_norm() -> None:
    module = _vit(reg_tokens=2)
    network = Network.load(module.eval(), size=32)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = module.forward_intermediates(  # type: ignore[operator]
            x,
            indices=[1],
            norm=True,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        tokens, prefix = expected[0]
        read = network.body(["blocks.1"])(x)
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


def test_networks_of_other_kinds_give_what_their_head_reads() -> None:
    # conv_head behind the pooling, and a norm behind it
    for name in ("mobilenetv4_conv_small_035", "test_convnext"):
        torch.manual_seed(0)
        network = _checked(_tried(timm.create_model(name), 64))
        assert network.last.name == "pre_logits"
        assert "stages.0" in network.taps or family_of(network.module).norm_kind == "batch"
    plain = _checked(_tried(timm.create_model("resnet10t"), 64))
    assert plain.last == plain.last_map and plain.last.is_map and plain.pooling == ()


def test_another_size_changes_no_name() -> None:
    options = {"reg_tokens": 1}
    checks.check_names(_tried(_vit(**options)), _tried(_vit(**options, img_size=48), 48))


def test_without_statistics_there_is_nothing_to_estimate_anew() -> None:
    assert not Network.load(_vit().eval(), size=32).stores_statistics
    assert Network.load(timm.create_model("resnet10t").eval(), size=64).stores_statistics


def test_one_token_of_fifty_times_the_size_changes_nothing() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 17, 24)
    for norm in ("layer", "rms"):
        reading = TokenReading(("class", "mean", "spread"), 1, 1, norm, 1e-6)  # type: ignore[arg-type]
        large = tokens.clone()
        large[:, 5] *= 50
        assert torch.allclose(
            pooled(large, "NLC", reading), pooled(tokens, "NLC", reading), atol=1e-5
        )
        registers = torch.cat([tokens[:, :1], 50 * torch.randn(2, 4, 24), tokens[:, 1:]], dim=1)
        more = TokenReading(("class", "mean", "spread"), 5, 1, norm, 1e-6)  # type: ignore[arg-type]
        assert torch.equal(pooled(registers, "NLC", more), pooled(tokens, "NLC", reading))
