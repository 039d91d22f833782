"""Weights files of PyTorch read without it: equal to torch.load, and hostile files are refused."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import shutil
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frostline.backbones.load import tensor_archive, tensor_pickle
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.tensor_archive import read_tensors
from frostline.backbones.tensor_digests import fingerprint_of
from frostline.core.errors import BackboneError

FORMATS = pytest.mark.parametrize("today", [True, False], ids=["archive", "before 1.6"])
DTYPES = (
    *(torch.float64, torch.float32, torch.float16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


def save(state: Any, path: Path, *, today: bool = True) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=today)
    return path


def check_equal(path: Path) -> dict[str, Any]:
    """Compare with torch.load: names in order, types, shapes, bits."""
    found = read_tensors(path)
    expected = torch.load(path, map_location="cpu", weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        value = tensor.detach().contiguous().numpy()
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert np.ascontiguousarray(found[name]).tobytes() == value.tobytes(), name
        assert not found[name].flags.writeable or not found[name].size
    return found


def refused(path: Path) -> str:
    with pytest.raises(BackboneError) as caught:
        read_tensors(path)
    message = caught.value.message
    assert str(path) in message
    assert len(message) < len(str(path)) + 250
    assert message.isprintable()
    return message


@pytest.mark.parametrize("name", list(BUNDLED))
def test_bundled_weights_are_those_that_pytorch_reads(name: str) -> None:
    found = check_equal(BUNDLED[name].weights_file())
    assert len(found) > 200


def rich() -> OrderedDict[str, torch.Tensor]:
    """Tensors of every kind, some of which share their numbers."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, 8, generator=generator)
    state = OrderedDict({str(dtype): torch.arange(5).to(dtype) for dtype in DTYPES})
    state["values"] = torch.tensor([float("nan"), float("-inf"), -0.0, 1e-42])
    state["single"] = torch.tensor(7)
    state["empty"] = torch.zeros(0, 3)
    state["nothing"] = torch.zeros(3, 0, 10**6)
    state["parameter"] = nn.Parameter(base[0])
    state["transposed"] = base.permute(2, 0, 1)
    state["channels last"] = base[None].contiguous(memory_format=torch.channels_last)
    state["every second"] = base[1:, ::2, 3]
    state["within"] = base.view(-1)[5:23]
    state["one of each"] = base[:, 2:3, 4:5]
    state["layer.Ünïcode"] = torch.ones(2, 1)
    return state


@FORMATS
def test_tensors_of_every_kind_are_those_that_pytorch_reads(today: bool, tmp_path: Path) -> None:
    found = check_equal(save(rich(), tmp_path / "w.pth", today=today))
    assert np.shares_memory(found["transposed"], found["within"]), "numbers are held once"


@FORMATS
def test_the_state_dict_of_a_network_with_its_versions(today: bool, tmp_path: Path) -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2, bias=False)]
    net = nn.Sequential(*layers, layers[-1])
    state = net.state_dict()
    assert hasattr(state, "_metadata")
    path = save(state, tmp_path / "w.pth", today=today)
    check_equal(path)
    assert fingerprint_of(read_tensors(path)) == fingerprint_of(
        {name: value.numpy() for name, value in state.items()}
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"state_dict": {"a": torch.ones(2)}}, "beside tensors it holds 'state_dict'"),
        ({"a": torch.ones(2), "epoch": 3}, "beside tensors it holds 'epoch'"),
        ({"a": torch.ones(2, dtype=torch.bfloat16)}, "torch.BFloat16Storage"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage"),
        ({"a": torch.zeros(1).expand(10**4, 10**4)}, "larger than its storage"),
        ({"a": torch.ones(3, 3).to_sparse()}, "torch._utils._rebuild_sparse_tensor"),
        ({"a": np.ones(3)}, "numpy"),
        ({3: torch.ones(2)}, "a tensor called '3'"),
        ({"a\x1b[2J": torch.ones(2)}, "a tensor called"),
        ([torch.ones(2)], "no dict"),
        (torch.ones(2), "no dict"),
        ({}, "no tensors"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    ],
)
@FORMATS
def test_what_is_no_dict_of_tensors_is_refused_and_named(
    state: Any, said: str, today: bool, tmp_path: Path
) -> None:
    assert said in refused(save(state, tmp_path / "w.pth", today=today))


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.pth")
    assert "cannot be read" in refused(tmp_path)
    for content in (b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x89PNG", b"\x80\x02N.", b"x" * 999):
        (tmp_path / "w.pth").write_bytes(content)
        refused(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=5))
    refused(tmp_path / "w.pth")
    save({"a": torch.ones(2)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "two.pth", "w") as archive:
        for name in ("a", "b"):
            archive.write(tmp_path / "w.pth", f"{name}/data.pkl")
    assert "no data.pkl" in refused(tmp_path / "two.pth")


# --- hostile pickles -------------------------------------------------------------------------

HEAD = b"\x80\x02"


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def whole(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def storage(*, kind: bytes = b"torch\nFloatStorage", key: str = "0", count: int = 4) -> bytes:
    return (
        b"("
        + text("storage")
        + b"c"
        + kind
        + b"\n"
        + text(key)
        + text("cpu")
        + whole(count)
        + b"tQ"
    )


def tensor(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    held: bytes | None = None,
) -> bytes:
    sizes = [b"(" + b"".join(whole(v) for v in values) + b"t" for values in (shape, strides)]
    inside = (storage() if held is None else held) + whole(offset) + b"".join(sizes)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + inside + b"tR"


def state_of(value: bytes) -> bytes:
    return HEAD + b"}" + text("a") + value + b"s."


def archive_of(path: Path, content: bytes, numbers: bytes = bytes(16), **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("w/data.pkl", content)
        archive.writestr("w/data/0", numbers)
    return path


def test_the_smallest_file_is_read(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.pth", state_of(tensor((2, 2), (2, 1))), b"\0\0\x80?" * 4)
    assert read_tensors(path)["a"].tolist() == [[1, 1], [1, 1]]


class Touch:
    """Asks whoever unpickles it to call something."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def calls(canary: Path) -> dict[str, bytes]:
    """Pickles that would leave a file, were any of them carried out."""
    command = f"touch {canary}"
    done = b"c%s\n" + text(command) + b"\x85"
    found = {
        f"{function.__qualname__} {protocol}": pickle.dumps(Touch(function, *given), protocol)
        for function, given in (
            (os.system, (command,)),
            (exec, (f"open({str(canary)!r}, 'w')",)),
            (eval, (f"open({str(canary)!r}, 'w')",)),
            (open, (str(canary), "w")),
            (shutil.copy, (__file__, str(canary))),
        )
        for protocol in range(6)
    }
    found["instance"] = HEAD + b"(" + text(command) + b"ios\nsystem\n."
    found["object"] = HEAD + b"(cos\nsystem\n" + text(command) + b"o."
    found["new"] = HEAD + done % b"os\nsystem" + b"\x81."
    found["named by the stack"] = (
        HEAD + text("os") + text("system") + b"\x93" + text(command) + b"\x85R."
    )
    found["extension"] = HEAD + b"\x82\x01" + text(command) + b"\x85R."
    found["persistent"] = HEAD + b"P" + command.encode() + b"\n."
    found["state of a tensor"] = state_of(tensor((2,), (1,)) + b"}" + text("a") + text("b") + b"sb")
    found["function in a memo"] = HEAD + b"cos\nsystem\nq\x000h\x00" + text(command) + b"\x85R."
    found["known function, other arguments"] = state_of(
        b"ctorch._utils\n_rebuild_tensor_v2\n" + text(command) + b"\x85R"
    )
    found["dict of items"] = HEAD + b"ccollections\nOrderedDict\n" + b"]\x85R."
    found["storage called"] = HEAD + b"ctorch\nFloatStorage\n" + whole(10**12) + b"\x85R."
    found["text called"] = HEAD + text("os.system") + text(command) + b"\x85R."
    found["names with spaces"] = HEAD + b"ctorch._utils _rebuild_tensor_v2\nsystem\n)R."
    found["attribute of torch"] = HEAD + b"ctorch\nload\n" + text(str(canary)) + b"\x85R."
    found["name inside"] = HEAD + b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n)R."
    return found


def test_nothing_that_a_file_names_is_called(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, content in calls(canary).items():
        inside = HEAD + b"}" + text("a") + content.removeprefix(HEAD)[:-1] + b"s."
        before = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001))
        system = pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
        for number, whole_file in enumerate(
            (content, before + content, before + system + content, before + system + inside)
        ):
            path = tmp_path / f"{number}.pth"
            path.write_bytes(whole_file)
            refused(path)
        for pickled in (content, inside):
            refused(archive_of(tmp_path / "w.pth", pickled))
        assert not canary.exists(), name


def nested(opening: bytes, deeper: bytes, depth: int) -> bytes:
    return opening + deeper * depth


DOUBLING = b")" + b"q\x00h\x00\x86" * 200
BOMBS = {
    "a key that takes 2^200 steps to look up": HEAD + b"}" + DOUBLING + b"K\x01s.",
    "a key nested too deeply to look up": HEAD + b"}" + nested(b")", b"\x85", 100_000) + b"K\x01s.",
    "a list nested deeply": HEAD + nested(b"]", b"q\x00]h\x00a", 60_000) + b".",
    "a list in itself": HEAD + b"]q\x00h\x00a.",
    "a dict in itself": HEAD + b"}q\x00" + text("a") + b"h\x00s.",
    "a value of 2^200 parts": HEAD + b"}" + text("a") + DOUBLING + b"s.",
    "a text longer than the file": HEAD + b"X\xff\xff\xff\xff.",
    "a number of 10^6 digits": HEAD + b"L" + b"9" * 10**6 + b"L\n.",
    "a name of 10^6 letters": HEAD + b"c" + b"a" * 10**6 + b"\nb\n.",
    "a name that is no text": HEAD + b"c\\xff\\x1b\nb\n.",
    "a memo that is empty": HEAD + b"h\x07.",
    "a memo of nothing": HEAD + b"q\x07.",
    "a stack that is empty": HEAD + b"s.",
    "a mark alone": HEAD + b"(.",
    "a dict of three": HEAD + b"}(K\x01K\x02K\x03u.",
    "a list as key": HEAD + b"}]K\x01s.",
    "a tensor without sense": state_of(tensor((2, 2), (1,))),
    "a tensor of 2^80 numbers": state_of(tensor((2**40, 2**40), (0, 0))),
    "a step of nothing": state_of(tensor((10**9,), (0,))),
    "steps that overlap": state_of(tensor((3, 3), (1, 1))),
    "a step backwards": state_of(tensor((2,), (-1,), offset=3)),
    "a place behind the end": state_of(tensor((2,), (1,), offset=3)),
    "a place beyond numbers": state_of(tensor((2,), (1,), offset=2**70)),
    "a side beyond numbers": state_of(tensor((2**70,), (1,))),
    "an empty tensor beyond numbers": state_of(tensor((0, 2**40, 2**40), (1, 1, 1))),
    "64 dimensions": state_of(tensor((1,) * 64, (1,) * 64)),
    "10^5 dimensions": state_of(tensor((1,) * 10**5, (1,) * 10**5)),
    "a side that is true": state_of(tensor((1,), (1,)).replace(whole(1), b"\x88")),
    "a storage larger than the file": state_of(
        tensor((2,), (1,), held=storage(count=2**40))
    ),
    "a storage beyond numbers": state_of(tensor((2,), (1,), held=storage(count=2**80))),
    "a storage of less than nothing": state_of(tensor((0,), (1,), held=storage(count=-1))),
    "a storage that is not there": state_of(tensor((2,), (1,), held=storage(key="../0"))),
    "a storage of something else": state_of(
        tensor((2,), (1,), held=storage(kind=b"collections\nOrderedDict"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs_are_refused_at_once(name: str, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.pth", BOMBS[name])
    began = time.perf_counter()
    refused(path)
    assert time.perf_counter() - began < 20


def test_instructions_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_pickle, "MOST_INSTRUCTIONS", 1000)
    path = archive_of(tmp_path / "w.pth", HEAD + b"(" * 1000 + b".")
    assert "more than 1,000 instructions" in refused(path)


def test_a_step_of_any_size_where_a_side_is_one(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.pth", state_of(tensor((1, 4), (2**62, 1))))
    assert read_tensors(path)["a"].shape == (1, 4)


def test_archives_that_play_tricks_are_refused(tmp_path: Path) -> None:
    good, path = state_of(tensor((2,), (1,))), tmp_path / "w.pth"
    packed = archive_of(path, good, bytes(10**7), compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(packed) or "overlap" in refused(packed)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as archive:
        for content in (good, good):
            archive.writestr("w/data.pkl", content)
        archive.writestr("w/data/0", bytes(16))
    assert "one name" in refused(path)
    # a thousand entries of the central directory that point at the same bytes
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", good)
        archive.writestr("w/data/0", bytes(10**6))
        inside = archive.infolist()[1]
        for number in range(1, 1000):
            again = zipfile.ZipInfo(f"w/data/{number}")
            for what in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(again, what, getattr(inside, what))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    assert "overlap" in refused(path)
    content = archive_of(path, good).read_bytes()
    path.write_bytes(
        content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    )
    assert "encrypted" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", good)
        archive.writestr("w/byteorder", "big")
        archive.writestr("w/data/0", bytes(16))
    assert "big-endian" in refused(path)
    refused(archive_of(path, good, bytes(12)))
    refused(archive_of(path, good, bytes(20)))


# --- mutants ---------------------------------------------------------------------------------

OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


def mutant(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    match rng.randrange(5):
        case 0:
            for _ in range(rng.randint(1, 6)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 1:
            del changed[rng.randrange(len(changed)) :]
        case 2:
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(changed))
                changed[at:at] = rng.choice(OPCODES) + rng.randbytes(rng.randint(0, 5))
        case 3:
            start, stop = sorted(rng.randrange(len(changed)) for _ in range(2))
            at = rng.randrange(len(changed))
            changed[at:at] = changed[start : min(stop, start + 64)]
        case 4:
            start = rng.randrange(len(changed))
            del changed[start : start + rng.randint(1, 16)]
    return bytes(changed)


def mutants_of_the_pickle(path: Path, rng: random.Random) -> bytes:
    """Change the pickle alone and write the archive anew, so that its checksums hold."""
    written = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(written, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, mutant(content, rng) if "pkl" in info.filename else content)
    return written.getvalue()


@pytest.mark.parametrize("way", ["archive", "before 1.6", "pickle"])
def test_mutants_are_refused_or_give_tensors_and_nothing_else(way: str, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    state = OrderedDict(
        weight=torch.ones(3, 4), transposed=base.view(4, 6).t(), part=base[3:9],
        parameter=nn.Parameter(torch.ones(2)), count=torch.tensor(7), empty=torch.zeros(0, 3),
    )  # fmt: skip
    path, changed = tmp_path / "w.pth", tmp_path / "mutant.pth"
    content = save(state, path, today=way != "before 1.6").read_bytes()
    rng, outcomes = random.Random(20), {"refused": 0, "read": 0}
    tracemalloc.start()
    try:
        for _ in range(1000):
            written = mutants_of_the_pickle(path, rng) if way == "pickle" else mutant(content, rng)
            changed.write_bytes(written)
            tracemalloc.reset_peak()
            held, began = tracemalloc.get_traced_memory()[0], time.perf_counter()
            try:
                found = read_tensors(changed)
            except BackboneError as error:
                assert error.message.isprintable()
                outcomes["refused"] += 1
            else:
                # every number can be read
                assert all(isinstance(value, np.ndarray) for value in found.values())
                assert sum(value.astype(np.float32).size for value in found.values()) < 1000
                outcomes["read"] += 1
            assert time.perf_counter() - began < 5
            assert tracemalloc.get_traced_memory()[1] - held < 4 * 2**20
    finally:
        tracemalloc.stop()
    assert outcomes["refused"] > 500
    assert outcomes["read"] > 0


def test_the_reader_needs_no_torch_and_calls_nothing() -> None:
    for module in (tensor_archive, tensor_pickle):
        source = Path(str(module.__file__)).read_text()
        assert "import torch" not in source
        assert "import pickle\n" not in source
