"""Read files of weights as data: nothing that a file names is called, and sizes are bounded."""

from __future__ import annotations

import json
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from frostline.backbones.load.checkpoints import Checkpoint, weights_in
from frostline.backbones.load.stand_ins import passing_over
from frostline.backbones.load.weights_kinds import kind_of, refusal
from frostline.core.errors import BackboneError, did_you_mean
from frostline.core.files import (
    JSON_BYTES,
    WEIGHTS_BYTES,
    MissingFileError,
    UnfitFileError,
    is_file,
    open_regular,
    read_regular,
)

#: what the readers raise on damaged files; Exception itself would hide our own faults
DAMAGE: tuple[type[Exception], ...] = (
    SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    ImportError,
    struct.error,
)

_HEAD = 512
_INDEX = ".index.json"
#: what the weights in a folder are called, the likeliest first
_IN_FOLDERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model.pth",
    "model.pth",
)
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".npz")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from one file; see :func:`read_checkpoint`."""
    return read_checkpoint(path).tensors


def read_checkpoint(path: Path) -> Checkpoint:
    """Read weights as people have them: a file of any kind that is data, its parts, or a folder.

    Raises BackboneError if the file is missing, too large, damaged, of another kind, holds code,
    holds no tensors, holds several networks, or asks for more memory than it has bytes.
    """
    if path.is_dir():
        return _in_folder(path)
    if path.name.endswith(_INDEX):
        return _sharded(path)
    _check_is_file(path)
    loaded = _loaded(path, _kind(path))
    found = weights_in(loaded, what=f"Weights file {path}")
    tensors = found.tensors
    strange = next((name for name, tensor in tensors.items() if not _is_plain(tensor)), None)
    if strange is not None:
        raise BackboneError(
            f"Weights file {path}: {strange[:100]!r} is no plain tensor: it is sparse or "
            "quantised, or claims more numbers than the file holds.",
            hint="Save the state dict of an ordinary, unquantised network.",
        )
    return found


def weights_in_folder(folder: Path) -> Path:
    """Return the file of weights in a folder.

    Raises BackboneError if there is none, or several of them and none that is named as the one.
    """
    for name in _IN_FOLDERS:
        if is_file(folder / name):
            return folder / name
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise BackboneError(f"Folder {folder} cannot be read: {error.strerror}.") from None
    found = [e for e in entries if e.name.lower().endswith(_ENDINGS) and is_file(e)]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(e.name for e in found[:4])
        raise BackboneError(
            f"Folder {folder} has {len(found)} files of weights ({named}"
            f"{', ...' if len(found) > 4 else ''}).",
            hint="Give one of them.",
        )
    if any(e.name in ("saved_model.pb", "checkpoint", "variables") for e in entries):
        raise BackboneError(
            f"Folder {folder} is a model of TensorFlow, which is not read.",
            hint="timm has most networks of TensorFlow with weights of their own.",
        )
    raise BackboneError(
        f"{folder} is a folder, not a file, and has no file of weights.",
        hint=f"Give a file that ends in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}.",
    )


def _in_folder(folder: Path) -> Checkpoint:
    if is_file(folder / "model.json") or is_file(folder / "model" / "model.json"):
        raise BackboneError(
            f"{folder} is a model that Frostline wrote; it brings its network along.",
            hint=f"Give it as the network: --backbone {folder}",
        )
    path = weights_in_folder(folder)
    found = read_checkpoint(path)
    return Checkpoint(found.tensors, (f"{path.name} was read in {folder}", *found.notes))


def _sharded(path: Path) -> Checkpoint:
    """Read weights in several files, by the index that names them."""
    try:
        content = json.loads(read_regular(path, at_most=JSON_BYTES))
        places = dict(content["weight_map"])
    except MissingFileError:
        raise BackboneError(f"Weights file {path} does not exist.") from None
    except UnfitFileError as error:
        raise BackboneError(f"Weights file {path} cannot be read: {error}.") from None
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BackboneError(
            f"{path} is no index of weights ({type(error).__name__}: {error})."
        ) from None
    files = sorted({str(name) for name in places.values()})
    if strange := [name for name in files if Path(name).name != name or "\\" in name]:
        raise BackboneError(f"{path} names a file in another folder: {strange[0]!r}.")
    if missing := [name for name in files if not is_file(path.parent / name)]:
        raise BackboneError(
            f"{path} names {len(files)} files, but {len(missing)} of them are not beside it "
            f"(first: {missing[0]}).",
            hint="Download every part.",
        )
    tensors: dict[str, torch.Tensor] = {}
    for name in files:
        tensors |= read_checkpoint(path.parent / name).tensors
    return Checkpoint(tensors, (f"{len(files)} files were put together by {path.name}",))


def _kind(path: Path) -> str:
    with open_regular(path, at_most=WEIGHTS_BYTES) as stream:
        kind = kind_of(path, stream.read(_HEAD))
    _check_unpacked(path)
    return kind


def _loaded(path: Path, kind: str) -> Any:
    try:
        if kind == "safetensors":
            return load_file(path)
        if kind == "numpy":
            return _arrays(path)
        # torch warns of formats that it refuses right after
        with passing_over(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        if isinstance(error, pickle.UnpicklingError):
            raise refusal(path, error) from error
        cause = next(iter(str(error).splitlines()), "it is empty").rstrip(".")
        raise BackboneError(
            f"Weights file {path} cannot be read as plain weights: {cause}.",
            hint="Use a safetensors file, or a state dict saved by torch.save.",
        ) from error


def _arrays(path: Path) -> dict[str, torch.Tensor]:
    """Read arrays of NumPy; those of Python objects, which are pickles, are refused."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name].copy()) for name in arrays.files}


def _check_is_file(path: Path) -> None:
    """Refuse what is not there, no file, or too large."""
    try:
        open_regular(path, at_most=WEIGHTS_BYTES).close()
    except MissingFileError:
        raise BackboneError(f"Weights file {path} does not exist.", hint=_close_by(path)) from None
    except UnfitFileError as error:
        raise BackboneError(f"Weights file {path} cannot be read: {error}.") from None


def _check_unpacked(path: Path) -> None:
    """Refuse archives that are small only as long as they are packed."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise BackboneError(f"Weights file {path} is a damaged archive: {error}.") from None
    size = path.stat().st_size
    if unpacked > size:
        # torch.save packs nothing
        raise BackboneError(
            f"Weights file {path} has {size:,} bytes but unpacks to {unpacked:,}.",
            hint="Save it again with torch.save or numpy.savez, or as safetensors.",
        )


def _close_by(path: Path) -> str:
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    except (OSError, ValueError):
        return ""


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether every number of a tensor lies in memory, each for itself."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    needed = tensor.numel() * tensor.element_size()
    return needed <= tensor.untyped_storage().nbytes()
