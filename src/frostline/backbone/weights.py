"""Weights are data: load them without executing anything, and fit them onto a network."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from frostline.errors import BackboneError
from frostline.files import WEIGHTS_BYTES, MissingFileError, UnfitFileError, open_regular

#: what a file would call stands near its beginning
_LOOKED_AT = 16 * 2**20
#: how torch names what a file wants to call
_CODE = re.compile(r"GLOBAL (\S+)")

# what the readers raise on damaged files; Exception itself would hide our own faults
_DAMAGE = (
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

_NESTED = ("state_dict", "model_state_dict", "model", "state_dict_ema")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors, or from a PyTorch file with ``weights_only``.

    Raises
    ------
    BackboneError
        If the file is missing, too large, damaged, holds code, holds no tensors, or asks for
        more memory than it has bytes.
    """
    _check_size(path)
    try:
        if path.suffix.lower() == ".safetensors":
            loaded = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        code = _named_code(path, error)
        if code:
            raise BackboneError(
                f"Weights file {path} was refused: loading it would run code: {code}.",
                hint="Ask its author for a safetensors file, or for a plain state dict.",
            ) from error
        cause = next(iter(str(error).splitlines()), "it is empty")
        raise BackboneError(
            f"Weights file {path} cannot be read as plain weights: {cause}",
            hint="Use a safetensors file, or a state dict saved by torch.save.",
        ) from error
    for key in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise BackboneError(f"Weights file {path} holds a {type(loaded).__name__}, no state dict.")
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise BackboneError(f"Weights file {path} holds no tensors.")
    strange = next((name for name, tensor in tensors.items() if not _is_plain(tensor)), None)
    if strange is not None:
        raise BackboneError(
            f"Weights file {path}: {strange[:100]!r} is no plain tensor: it is sparse or "
            "quantised, or claims more numbers than the file holds.",
            hint="Save the state dict of an ordinary, unquantised network.",
        )
    return tensors


def _check_size(path: Path) -> None:
    """Refuse files that are no files, too large, or small only as long as they are packed."""
    try:
        with open_regular(path, at_most=WEIGHTS_BYTES) as stream:
            size = os.fstat(stream.fileno()).st_size
            unpacked = 0
            if zipfile.is_zipfile(stream):
                with zipfile.ZipFile(stream) as archive:
                    unpacked = sum(entry.file_size for entry in archive.infolist())
    except MissingFileError:
        raise BackboneError(f"Weights file {path} does not exist.") from None
    except (UnfitFileError, OSError) as error:
        raise BackboneError(f"Weights file {path} cannot be read: {error}.") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BackboneError(f"Weights file {path} is a damaged archive: {error}.") from None
    if unpacked > size:
        # torch.save packs nothing
        raise BackboneError(
            f"Weights file {path} has {size:,} bytes but unpacks to {unpacked:,}.",
            hint="Save it again with torch.save, or as safetensors.",
        )


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether every number of a tensor lies in memory, each for itself."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    needed = tensor.numel() * tensor.element_size()
    return needed <= tensor.untyped_storage().nbytes()


def _named_code(path: Path, error: Exception) -> str:
    """Name what a refused file wanted to call; empty if it is only damaged."""
    if not isinstance(error, pickle.UnpicklingError):
        return ""
    found = _CODE.search(str(error))
    if found is not None:
        return found[1]
    strings: list[str] = []
    try:
        with path.open("rb") as stream:
            # from memory: an argument that claims to be huge then ends with what there is
            beginning = io.BytesIO(stream.read(_LOOKED_AT))
            # reads the instructions of the pickle without carrying out any
            for instruction, argument, _ in pickletools.genops(beginning):
                if instruction.name == "GLOBAL":
                    return str(argument).replace(" ", ".")
                if instruction.name == "STACK_GLOBAL":
                    return ".".join(strings[-2:])
                if isinstance(argument, str):
                    strings.append(argument)
    except (OSError, ValueError, OverflowError, UnicodeDecodeError):
        return ""
    return ""


def fit_by_name(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> tuple[str, ...]:
    """Load ``state`` by name; only the classifier may be missing, other or of another width.

    Returns
    -------
    tuple of str
        What was not taken from ``state``: a sentence for a classifier of another size.

    Raises
    ------
    BackboneError
        Names how many tensors are missing, unknown, of another shape or not finite, and the
        first of each.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    classifier = classifier_names(net)
    own = net.state_dict()
    found = {
        "missing": [n for n in own if n not in state and not _within(n, classifier)],
        "unknown": [n for n in state if n not in own and not _within(n, classifier)],
        "of another shape": [
            n
            for n in own
            if n in state and own[n].shape != state[n].shape and not _within(n, classifier)
        ],
        "with NaN or infinite values": [
            n
            for n, t in state.items()
            if n in own and t.is_floating_point() and not torch.isfinite(t).all()
        ],
    }
    problems = [
        f"{len(names)} of {len(own)} tensors {label} (first: {_listed(names, own, state)})"
        for label, names in found.items()
        if names
    ]
    if problems:
        spoilt = len(problems) == 1 and bool(found["with NaN or infinite values"])
        raise BackboneError(
            f"{what} {'is spoilt' if spoilt else 'does not fit the architecture'}: "
            f"{'; '.join(problems)}.",
            hint="Take an earlier checkpoint: training has diverged before this one was saved."
            if spoilt
            else "Give the architecture that these weights were trained with as the backbone.",
        )
    usable = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
    net.load_state_dict(usable, strict=False)
    left = [n for n in own if n not in usable]
    if not left:
        return ()
    theirs = [tuple(state[n].shape) for n in left if n in state]
    reason = f"has shape {theirs[0]}, not {tuple(own[left[0]].shape)}" if theirs else "is missing"
    return (f"{what}: the classifier ({left[0]} {reason}) was replaced by a new one.",)


def _listed(
    names: list[str], own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> str:
    """Name the first three tensors, with both shapes where they differ."""
    shown = []
    for name in names[:3]:
        if name in own and name in state and own[name].shape != state[name].shape:
            name += f" {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        shown.append(name)
    return ", ".join(shown)


def fit_in_order(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Load ``state`` entry by entry, for weights whose names differ but whose order is equal.

    Raises
    ------
    BackboneError
        If the number of entries or any shape differs.
    """
    own = net.state_dict()
    if len(own) != len(state):
        raise BackboneError(f"{what} has {len(state)} tensors, the network {len(own)}.")
    mapped: dict[str, torch.Tensor] = {}
    for (name, mine), (foreign, theirs) in zip(own.items(), state.items(), strict=True):
        if mine.shape != theirs.shape:
            raise BackboneError(
                f"{what}: {foreign} has shape {tuple(theirs.shape)}, "
                f"but {name} needs {tuple(mine.shape)}."
            )
        mapped[name] = theirs
    net.load_state_dict(mapped)


def fingerprints(module: nn.Module) -> dict[str, str]:
    """Return the SHA-256 of every parameter and buffer by name; shape and type included."""
    return {name: _digest(tensor) for name, tensor in module.state_dict().items()}


def fingerprint(module: nn.Module, names: Iterable[str] | None = None) -> str:
    """Return one SHA-256 over the names and contents of parameters and buffers.

    ``names`` limits it to some entries of the state dict; None means all.
    """
    wanted = None if names is None else set(names)
    total = hashlib.sha256()
    for name, digest in sorted(fingerprints(module).items()):
        if wanted is None or name in wanted:
            total.update(f"{name}={digest}\n".encode())
    return total.hexdigest()


def _digest(tensor: torch.Tensor | object) -> str:
    if not isinstance(tensor, torch.Tensor):
        # extra state that a module keeps beside its tensors
        return hashlib.sha256(repr(tensor).encode()).hexdigest()
    flat = tensor.detach().cpu().contiguous()
    header = f"{flat.dtype}{tuple(flat.shape)}".encode()
    data = flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return hashlib.sha256(header + data).hexdigest()


def classifier_names(net: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that give the old task's logits, whatever they are called."""
    config = getattr(net, "pretrained_cfg", None) or {}
    names = config.get("classifier") or ()
    if names:
        return (names,) if isinstance(names, str) else tuple(names)
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    # without a word from the library: the last layer with weights, as every one declares it
    return (layers[-1],) if layers else ()


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)
