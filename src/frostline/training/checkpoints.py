"""A training's state on disk: safetensors and JSON, complete at any moment, never pickled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise

from frostline.core.aliases import key_in_files
from frostline.core.files import JSON_BYTES, WEIGHTS_BYTES, UnfitFileError, read_regular, replacing

Tensors = dict[str, torch.Tensor]

# what a state is read back as, when it is none of ours
_DAMAGE = (
    UnfitFileError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    SafetensorError,
)

_STATE = "state.json"
_CHECKSUM = "sha256"
_VERSION = 1


@dataclass
class TrainingState:
    """Everything that the next epoch depends on, and the best epoch so far.

    Attributes
    ----------
    epoch : int
        Epochs done.
    stage : int
        The stage that the next epoch belongs to, or that was stopped last.
    finished : bool
        Whether no epoch is left to do.
    best_nll : float or None
        None as long as no epoch had a finite one.
    alpha : float or None
        Penalty of the probe that initialised the head.
    last, best : dict of str to Tensor
        What can change in training, by name. ``best`` also holds the validation logits.
    start : dict of str to Tensor
        Before the first step; only kept where training interpolates.
    optimizer : dict of str to Tensor
        The optimiser's state, by kind and parameter name.
    """

    epoch: int = 0
    stage: int = 0
    finished: bool = False
    best_epoch: int = 0
    best_nll: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    alpha: float | None = None
    notes: list[str] = field(default_factory=list)
    last: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    start: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)


class Checkpoints:
    """The checkpoint of one training in one folder.

    ``state.json`` names the tensor files that belong to it, and is replaced last and in one
    step; so there is always one whole checkpoint, whenever the process dies.

    ``folder``: made when first needed. ``identity``: everything that must be equal for a checkpoint
    to be continued: plain JSON data.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._folder = folder
        text = json.dumps({"version": _VERSION, **identity}, sort_keys=True)
        self._identity = hashlib.sha256(text.encode()).hexdigest()
        self._written: dict[str, str] = {}

    def save(self, state: TrainingState) -> None:
        """Write ``state``; the one before stays valid until this one is complete.

        Raises RunFolderError if the folder cannot be written, or the disk is full.
        """
        # a point between start and best takes the place of the best epoch, under its number
        between = "-between" if state.finished and state.start else ""
        names = {
            "last": f"last-{state.epoch:05d}",
            "optimizer": f"optimizer-{state.epoch:05d}",
            "best": f"best-{state.best_epoch:05d}{between}",
            "start": "start",
        }
        files = {
            kind: self._write_tensors(f"{name}.safetensors", getattr(state, kind))
            for kind, name in names.items()
        }
        plain = {key_in_files(k): v for k, v in _fields(state).items() if k not in files}
        content = {"identity": self._identity, "files": files, **plain}
        self._replace(_STATE, _signed(content))
        for path in (*self._folder.glob("*.safetensors"), *self._folder.glob(".*.tmp")):
            if path.name not in {entry["name"] for entry in files.values()}:
                path.unlink(missing_ok=True)

    def load(self) -> tuple[TrainingState | None, str]:
        """Return the stored state, or None and why there is none to continue from.

        The reason is empty when there is simply no checkpoint.
        """
        path = self._folder / _STATE
        if not path.exists():
            return None, ""
        try:
            content = _verified(read_regular(path, at_most=JSON_BYTES))
            if content.pop("identity") != self._identity:
                return None, "The checkpoint belongs to another training and was not used."
            files = content.pop("files")
            content |= {kind: self._read_tensors(entry) for kind, entry in files.items()}
            known = {key_in_files(name): name for name in TrainingState.__dataclass_fields__}
            return TrainingState(**{known[key]: value for key, value in content.items()}), ""
        except _DAMAGE as error:
            return None, f"The checkpoint is damaged ({error}) and was not used."

    def _write_tensors(self, name: str, tensors: Tensors) -> dict[str, str]:
        """Write one file, unless this object wrote it before; return its name and checksum."""
        if name not in self._written:
            plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
            content = serialise(plain)
            self._replace(name, content)
            self._written[name] = hashlib.sha256(content).hexdigest()
        return {"name": name, "sha256": self._written[name]}

    def _read_tensors(self, entry: dict[str, str]) -> Tensors:
        if Path(entry["name"]).name != entry["name"]:
            raise ValueError(f"{entry['name']} is no file of its own folder")
        content = read_regular(self._folder / entry["name"], at_most=WEIGHTS_BYTES)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError(f"{entry['name']} has another checksum")
        tensors: Tensors = deserialise(content)
        return tensors

    def _replace(self, name: str, content: bytes) -> None:
        with replacing(self._folder / name) as temporary:
            temporary.write_bytes(content)


def _signed(content: dict[str, Any]) -> bytes:
    """Return JSON that holds its own checksum: numbers in it decide how training goes on."""
    return json.dumps({**content, _CHECKSUM: _checksum(content)}, indent=1).encode()


def _verified(signed: bytes) -> dict[str, Any]:
    """Return what :func:`_signed` was given.

    Raises ValueError if it is something else.
    """
    content: dict[str, Any] = json.loads(signed)
    if content.pop(_CHECKSUM) != _checksum(content):
        raise ValueError(f"{_STATE} has another checksum")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()


def _fields(state: TrainingState) -> dict[str, Any]:
    # asdict would copy every tensor
    light = TrainingState(
        **{**state.__dict__, "last": {}, "best": {}, "start": {}, "optimizer": {}}
    )
    return asdict(light)
