"""Weights as people have them: wrapped, averaged, in parts, with settings beside them."""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models
from typer.testing import CliRunner

from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.fitting_weights import load_weights_file
from frostline.cli.main import app
from frostline.core.errors import BackboneError

State = dict[str, torch.Tensor]
FIRST = "conv1.0.weight"


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(1)
    return dict(timm.create_model("test_resnet").state_dict())


@pytest.fixture(scope="module")
def plus(state: State) -> State:
    return {name: tensor + 1 for name, tensor in state.items()}


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def taken(path: Path, name: str = "test_resnet") -> tuple[State, str]:
    """Load a file into a network; return its weights and what was said."""
    net = timm.create_model(name)
    notes = load_weights_file(net, path)
    return dict(net.state_dict()), " ".join(notes)


def refused(path: Path, name: str = "test_resnet") -> str:
    with pytest.raises(BackboneError) as caught:
        load_weights_file(timm.create_model(name), path)
    return str(caught.value)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.module.",
        "model.",
        "net.backbone.",
        "model._orig_mod.encoder.",
        "student.module.network.",
        "learner.0.",
        "_fsdp_wrapped_module.",
    ],
)
def test_names_below_any_prefix_are_found_and_said(
    prefix: str, state: State, tmp_path: Path
) -> None:
    torch.save({"state_dict": under(prefix, state), "epoch": 3}, tmp_path / "w.ckpt")
    found, said = taken(tmp_path / "w.ckpt")
    assert all(torch.equal(found[name], state[name]) for name in state)
    for part in prefix.split("."):
        assert part in said


def test_a_prefix_that_belongs_to_the_network_stays(tmp_path: Path) -> None:
    # 'features.module.' of a wrapped part, and a network with a part of that name
    theirs = models.squeezenet1_1().state_dict()
    renamed = {k.replace("features.", "features.module."): v for k, v in theirs.items()}
    torch.save(renamed, tmp_path / "w.pth")
    net = models.squeezenet1_1()
    assert "'module.' was taken out" in load_weights_file(net, tmp_path / "w.pth")[0]
    assert torch.equal(net.state_dict()["features.0.weight"], theirs["features.0.weight"])


def test_what_lies_beside_the_network_is_counted_and_named(state: State, tmp_path: Path) -> None:
    beside = {"criterion.weight": torch.ones(3), "head.weight": torch.ones(3, 3)}
    torch.save({"state_dict": under("model.", state) | beside}, tmp_path / "w.ckpt")
    assert (
        "2 tensors beside the network were left (first: criterion.weight, head"
        in (taken(tmp_path / "w.ckpt")[1])
    )
    counters = {"total_ops": torch.zeros(1), "layer1.0.total_params": torch.zeros(1)}
    torch.save(state | counters, tmp_path / "thop.pth")
    assert "2 tensors beside the network were left" in taken(tmp_path / "thop.pth")[1]
    torch.save(state | {"layer9.weight": torch.ones(2)}, tmp_path / "w.pth")
    assert "1 of 93 tensors in the file unknown (first: layer9.weight)" in refused(
        tmp_path / "w.pth"
    )


def test_old_files_without_counters_need_no_word(state: State, tmp_path: Path) -> None:
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save_file(old, tmp_path / "w.safetensors")
    done = CliRunner().invoke(
        app, ["inspect", "test_resnet", "--weights", str(tmp_path / "w.safetensors")]
    )
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("averaged", "raw"),
    [
        ("state_dict_ema", "state_dict"),
        ("model_ema", "model"),
        ("ema", "model"),
        ("ema", "net"),
        ("ema_model", "state_dict"),
        ("model_ema", None),
        ("ema", None),
        ("teacher", "student"),
        ("online_network_state_dict", "target_network_state_dict"),
    ],
)
def test_averaged_weights_come_first_and_it_is_said(
    averaged: str, raw: str | None, state: State, plus: State, tmp_path: Path
) -> None:
    torch.save({averaged: plus, "epoch": 1} | ({raw: state} if raw else {}), tmp_path / "w.pth")
    found, said = taken(tmp_path / "w.pth")
    assert torch.equal(found[FIRST], plus[FIRST])
    assert repr(averaged) in said
    assert raw is None or f"not {raw!r}" in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("model_ema.module.", "model."),
        ("teacher.backbone.", "student.backbone."),
        ("module.encoder_q.", "module.encoder_k."),
        ("module.base_encoder.", "module.momentum_encoder."),
        ("backbone.", "backbone_momentum."),
        ("online_network.", "target_network."),
    ],
)
def test_of_two_networks_the_one_to_use_is_taken(
    first: str, second: str, state: State, plus: State, tmp_path: Path
) -> None:
    torch.save({"state_dict": under(second, state) | under(first, plus)}, tmp_path / "w.pth")
    found, said = taken(tmp_path / "w.pth")
    assert torch.equal(found[FIRST], plus[FIRST])
    assert "holds 2 networks" in said


def test_two_networks_that_nothing_tells_apart_are_refused(state: State, tmp_path: Path) -> None:
    torch.save(under("left.", state) | under("right.", state), tmp_path / "w.pth")
    assert "2 networks that fit equally well, below 'left.' and 'right.'" in refused(
        tmp_path / "w.pth"
    )
    torch.save({"generator": state, "critic": state}, tmp_path / "w.pth")
    assert "2 state dicts ('generator', 'critic')" in refused(tmp_path / "w.pth")


def test_averages_without_names_are_said_to_be_left(state: State, tmp_path: Path) -> None:
    shadow = {"decay": 0.9, "shadow_params": [torch.ones(2)]}
    torch.save({"model": state, "ema": shadow}, tmp_path / "w.pth")
    found, said = taken(tmp_path / "w.pth")
    assert torch.equal(found[FIRST], state[FIRST])
    assert "'ema' has no tensors with names, so 'model' was taken" in said


@pytest.mark.parametrize(
    "beside",
    [
        {"args": argparse.Namespace(lr=0.1, nested=argparse.Namespace(a=1))},
        {"best_acc1": np.float64(71.2), "seen": np.int64(3)},
        {"rng": np.arange(5), "when": datetime.datetime(2020, 1, 1, 0, 0)},
        {"data": Path("photos"), "size": torch.Size([3, 4]), "type": torch.bfloat16},
        {"hyper_parameters": {"lr": 0.1}, "callbacks": {"x": {"best": torch.tensor(0.5)}}},
    ],
    ids=["argparse", "numpy", "array and date", "paths and types", "lightning"],
)
def test_settings_of_training_scripts_are_passed_over(
    beside: dict[str, Any], state: State, tmp_path: Path
) -> None:
    torch.save({"state_dict": state, "arch": "test_resnet", **beside}, tmp_path / "w.pth")
    assert torch.equal(taken(tmp_path / "w.pth")[0][FIRST], state[FIRST])
    assert not [x for x in torch.serialization.get_safe_globals() if "argparse" in str(x)]


def test_children_counted_by_nn_sequential_are_read_by_their_order(
    state: State, tmp_path: Path
) -> None:
    places = {n: i for i, (n, _) in enumerate(timm.create_model("test_resnet").named_children())}
    counted = {}
    for name, tensor in state.items():
        top, _, rest = name.partition(".")
        if top != "fc":
            counted[f"encoder.{places[top]}.{rest}"] = tensor
    torch.save(counted, tmp_path / "w.ckpt")
    found, said = taken(tmp_path / "w.ckpt")
    assert torch.equal(found["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])
    assert "read by their order" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"state_dict": {}}, "holds no tensors: its 'state_dict' is empty"),
        ({"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, "no tensors, but 'optimizer'"),
        ([torch.ones(1)], "holds a list, no state dict"),
        ({}, "holds no tensors: it is empty"),
    ],
)
def test_files_without_weights_say_what_they_hold(
    content: object, said: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert said in refused(tmp_path / "w.pth")


def test_half_precision_is_said(state: State, tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    save_file(half, tmp_path / "w.safetensors")
    assert "kept as float16 were read as float32" in taken(tmp_path / "w.safetensors")[1]


# ------------------------------------------------------------------------- files of any name


def _shards(folder: Path, state: State) -> Path:
    names = list(state)
    parts = {"a.safetensors": names[:40], "b.safetensors": names[40:]}
    for file, some in parts.items():
        save_file({name: state[name] for name in some}, folder / file)
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder / "model.safetensors.index.json"


def _misnamed(folder: Path, state: State) -> Path:
    save_file(state, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def _numpy(folder: Path, state: State) -> Path:
    np.savez(folder / "w.npz", **{k: v.numpy() for k, v in state.items()})  # type: ignore[arg-type]
    return folder / "w.npz"


def _folder(folder: Path, state: State) -> Path:
    torch.save(state, folder / "epoch=3.ckpt")
    return folder


@pytest.mark.parametrize("write", [_shards, _misnamed, _numpy, _folder])
def test_files_are_known_by_their_content(
    write: Callable[[Path, State], Path], state: State, tmp_path: Path
) -> None:
    found, _ = taken(write(tmp_path, state))
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_an_index_leads_nowhere_else(state: State, tmp_path: Path) -> None:
    index = _shards(tmp_path, state)
    (tmp_path / "b.safetensors").unlink()
    assert "names 2 files, but 1 of them are not beside it (first: b.safe" in refused(index)
    index.write_text(json.dumps({"weight_map": {"x": "../a.safetensors"}}))
    assert "names a file in another folder" in refused(index)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file, as Keras"),
        (b"version https://git-lfs.github.com/spec/v1\n", "only a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x1f\x8b\x08", "packed by gzip"),
        (b"\0" * 257 + b"ustar\x0000", "a tar archive"),
        (pickle.dumps({"a": 1}), r"written by Python's pickle in protocol 4"),
        (b"{}", "it begins with b'{}'"),
    ],
)
def test_files_of_other_kinds_are_called_by_their_name(
    content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    assert said in refused(tmp_path / "w.pth")


def test_programs_are_no_weights(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
    assert "a TorchScript program" in refused(tmp_path / "script.pt")
    for whole in (models.squeezenet1_1(), torch.nn.DataParallel(models.squeezenet1_1())):
        torch.save({"model": whole}, tmp_path / "whole.pth")
        said = refused(tmp_path / "whole.pth")
        assert "a whole pickled network (torchvision.models.squeezenet.SqueezeNet)" in said
        assert "torch.save(model.state_dict()" in said


class Config:
    """What frameworks save beside weights."""


def test_classes_that_are_no_plain_data_are_named(state: State, tmp_path: Path) -> None:
    torch.save({"state_dict": state, "cfg": Config()}, tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert f"{Path(__file__).stem}.Config, and making one would run code" in said


@pytest.mark.parametrize(
    "name", ["argparse.FileType", "numpy.fromfile", "pathlib.PosixPath.unlink", "numpy.load"]
)
def test_what_stands_near_plain_data_is_not_called(name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here")
    module, _, function = name.partition(".")
    argument = str(victim).encode()
    # a pickle of protocol 2 that calls MODULE.FUNCTION(path)
    content = f"\x80\x02c{module}\n{function}\n".encode("latin-1")
    content += b"X" + len(argument).to_bytes(4, "little") + argument + b"\x85R."
    (tmp_path / "w.pth").write_bytes(content)
    said = refused(tmp_path / "w.pth")
    assert victim.read_text() == "here"
    assert name in said


@pytest.mark.parametrize(
    "thing", [argparse.Namespace(a=1), np.float64(3), np.arange(3), Path("x")], ids=repr
)
def test_what_is_passed_over_is_never_made(thing: object, tmp_path: Path) -> None:
    torch.save({"state_dict": thing}, tmp_path / "w.pth")
    assert "NumPy's or Python's objects, which are not read" in refused(tmp_path / "w.pth")


# ------------------------------------------------------------------------- other architectures


def test_weights_of_another_network_say_which_it_may_be(tmp_path: Path) -> None:
    other = timm.create_model("test_vit", num_classes=7).state_dict()
    torch.save(under("model.", dict(other)), tmp_path / "w.pth")
    said = refused(tmp_path / "w.pth")
    assert "Every name begins with 'model.'." in said
    assert "it may be test_vit" in said
    torch.save({"stem.reparam_conv.weight": torch.ones(2)}, tmp_path / "w.pth")
    assert "merged for inference" in refused(tmp_path / "w.pth")
    torch.save({"resnet.embedder.embedder.convolution.weight": torch.ones(2)}, tmp_path / "w.pth")
    assert "Hugging Face's transformers" in refused(tmp_path / "w.pth")


def test_names_of_authors_are_read_as_timm_reads_them(tmp_path: Path) -> None:
    net = timm.create_model("densenet121")
    old = {
        k.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v
        for k, v in net.state_dict().items()
    }
    torch.save(old, tmp_path / "w.pth")
    other = timm.create_model("densenet121")
    assert "as timm does" in load_weights_file(other, tmp_path / "w.pth")[0]
    last = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(other.state_dict()[last], net.state_dict()[last])
    theirs = models.densenet121()
    assert "old DenseNet" in load_weights_file(theirs, tmp_path / "w.pth")[0]


def test_layers_of_the_authors_swin_lie_in_other_stages(tmp_path: Path) -> None:
    options = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
    net = timm.create_model("swin_tiny_patch4_window7_224", **options)
    theirs = {
        re.sub(r"layers\.(\d)\.down", lambda m: f"layers.{int(m[1]) - 1}.down", name).replace(
            "head.fc.", "head."
        ): tensor
        for name, tensor in net.state_dict().items()
    }
    torch.save({"model": theirs}, tmp_path / "w.pth")
    other = timm.create_model("swin_tiny_patch4_window7_224", **options)
    assert "as timm does" in load_weights_file(other, tmp_path / "w.pth")[0]
    found = other.state_dict()
    assert all(torch.equal(found[k], v) for k, v in net.state_dict().items())


def test_weights_of_jax_are_read_as_timm_reads_them(tmp_path: Path) -> None:
    net = timm.create_model("vit_tiny_patch16_224", depth=1)
    state, width, heads = net.state_dict(), 192, 3
    arrays = {
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
    }
    home = "Transformer/encoderblock_0/"
    parts = zip(
        ("query", "key", "value"),
        state["blocks.0.attn.qkv.weight"].chunk(3),
        state["blocks.0.attn.qkv.bias"].chunk(3),
        strict=True,
    )
    attention = f"{home}MultiHeadDotProductAttention_1/"
    for name, weight, bias in parts:
        arrays[f"{attention}{name}/kernel"] = weight.T.reshape(width, heads, -1)
        arrays[f"{attention}{name}/bias"] = bias.reshape(heads, -1)
    out = state["blocks.0.attn.proj.weight"].T.reshape(heads, -1, width)
    arrays |= {f"{attention}out/kernel": out, f"{attention}out/bias": torch.zeros(width)}
    for theirs, mine in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
        arrays[f"{home}{theirs}/scale"] = state[f"blocks.0.{mine}.weight"]
        arrays[f"{home}{theirs}/bias"] = state[f"blocks.0.{mine}.bias"]
    for i in (0, 1):
        arrays[f"{home}MlpBlock_3/Dense_{i}/kernel"] = state[f"blocks.0.mlp.fc{i + 1}.weight"].T
        arrays[f"{home}MlpBlock_3/Dense_{i}/bias"] = state[f"blocks.0.mlp.fc{i + 1}.bias"]
    np.savez(tmp_path / "w.npz", **{k: v.numpy() for k, v in arrays.items()})
    other = timm.create_model("vit_tiny_patch16_224", depth=1)
    assert "JAX were translated" in load_weights_file(other, tmp_path / "w.npz")[0]
    found = other.state_dict()
    assert all(torch.equal(found[k], v) for k, v in state.items() if "head" not in k)
    small = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=64)
    said = " ".join(load_weights_file(small, tmp_path / "w.npz"))
    assert "of 224 px and was resampled for 64 px" in said


def test_parts_for_pretraining_are_left(tmp_path: Path) -> None:
    masked = {
        k: v for k, v in timm.create_model("test_vit").state_dict().items() if "head" not in k
    }
    extra = {"mask_token": torch.zeros(1), "decoder_blocks.0.norm1.weight": torch.ones(2)}
    torch.save({"model": masked | extra}, tmp_path / "w.pth")
    assert "2 tensors beside the network were left" in taken(tmp_path / "w.pth", "test_vit")[1]


def test_layers_that_ask_for_their_version_get_it(tmp_path: Path) -> None:
    theirs, mine = models.mnasnet0_5(), models.mnasnet0_5()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    assert load_weights_file(mine, tmp_path / "w.pth") == ()
    assert torch.equal(mine.state_dict()["layers.0.weight"], theirs.state_dict()["layers.0.weight"])


def test_auxiliary_heads_are_left_and_rescaling_is_said(tmp_path: Path) -> None:
    state = models.googlenet(aux_logits=True, init_weights=False).state_dict()
    torch.save(state, tmp_path / "w.pth")
    source = load_source("torchvision:googlenet", weights=tmp_path / "w.pth")
    said = " ".join(source.notes)
    assert "18 tensors beside the network were left (first: aux1." in said
    assert "transform_input=True" in said
    assert getattr(source.net, "transform_input", False)
