"""The model folder: ``weights.safetensors``, ``model.onnx`` and ``model.json``, which agree.

A model that knows what is familiar to it has ``familiar.safetensors`` as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from frostline._version import __version__
from frostline.core.errors import EngineError, RunFolderError
from frostline.core.files import (
    CHECKSUM,
    JSON_BYTES,
    ONNX_BYTES,
    WEIGHTS_BYTES,
    MissingFileError,
    UnfitFileError,
    agrees,
    digest_regular,
    is_file,
    os_reason,
    read_regular,
    replacing,
    sha256_of,
    stated,
    system_errors,
    write_text,
)
from frostline.core.preprocessing import UInt8Array
from frostline.model_format.card import ModelCard

if TYPE_CHECKING:
    from torch import nn

    from frostline.stats.ood import Familiarity

WEIGHTS, ONNX, CARD = "weights.safetensors", "model.onnx", "model.json"
FAMILIAR = "familiar.safetensors"

_OLDEST_FORMAT = 1
_NEWEST_FORMAT = ModelCard.model_fields["format_version"].default
_FIT_AGAIN = "Run 'frostline fit' again to make the model anew."


def save_model(
    folder: Path,
    module: nn.Module,
    card: ModelCard,
    *,
    familiarity: Familiarity | None = None,
    images: UInt8Array | None = None,
    threads: int = 1,
    origin: str = "",
) -> ModelCard:
    """Write a model folder and check that the ONNX file gives PyTorch's probabilities.

    The card is written last and holds the fingerprints of the other two files, so a folder that
    was left half written never passes for a model.

    Parameters
    ----------
    folder : Path
        Made if needed; files of an earlier model in it are replaced.
    module : nn.Module
        Normalised float32 images (N, 3, size, size) to logits (N, C), head included.
    card : ModelCard
        Its fingerprints of files are filled in.
    familiarity : Familiarity or None, default=None
        On the input of the module's head; belongs to the card's ``familiar``.
    images : ndarray of shape (n, size, size, 3), uint8, or None, default=None
        Prepared images for the check, a handful of real ones; made-up ones when None.
    threads : int, default=1
        For the check.
    origin : str, default=""
        Stands for how the module was made, where its tensors alone do not tell. An ONNX file that
        passed the check before, for the same origin, tensors and images, is used again; never
        for an empty one.

    Returns
    -------
    ModelCard
        As written.

    Raises
    ------
    EngineError
        If the module cannot be exported, or the exported file gives other probabilities: other
        classes, or further off than :data:`~frostline.exporting.model_onnx.MOST_DELIVERED`. Where
        there
        was no model before, the weights are then kept alone. Smaller differences beyond what
        rounding explains are delivered, and stand in the card.
    RunFolderError
        If the folder cannot be written.
    """
    from frostline.exporting.memoized_export import export_checked
    from frostline.exporting.model_onnx import MOST_DELIVERED, ExportDifferenceError
    from frostline.model_format.ood_file import save_familiarity

    if images is None or len(images) == 0:
        images = _made_up_images(card.preprocessing.size)
    if (familiarity is None) != (card.familiar is None):
        raise RunFolderError("The model card and what is familiar do not belong together.")
    # both files are complete and checked before either takes its place
    with replacing(folder / WEIGHTS) as weights, replacing(folder / ONNX) as onnx:
        _write_weights(weights, module)
        difference = 0.0
        try:
            export_checked(
                onnx,
                module,
                card,
                familiarity=familiarity,
                images=images,
                threads=threads,
                origin=origin,
            )
        except ExportDifferenceError as error:
            # the same classes, a little more or less sure of them: still the model that was trained
            if not (error.same_classes and error.difference <= MOST_DELIVERED):
                _keep_weights(folder, module, error)
                raise
            difference = error.difference
        except EngineError as error:
            _keep_weights(folder, module, error)
            raise
    (folder / FAMILIAR).unlink(missing_ok=True)
    if familiarity is not None:
        save_familiarity(folder / FAMILIAR, familiarity)
    fingerprints = card.fingerprints.model_copy(
        update={
            "weights": sha256_of(folder / WEIGHTS),
            "onnx": sha256_of(folder / ONNX),
            "familiar": "" if familiarity is None else sha256_of(folder / FAMILIAR),
        }
    )
    complete = card.model_copy(
        update={
            "fingerprints": fingerprints,
            "format_version": _NEWEST_FORMAT,
            "onnx_difference": difference,
        }
    ).sealed()
    write_text(folder / CARD, complete.to_json())
    return complete


def _keep_weights(folder: Path, module: nn.Module, error: EngineError) -> None:
    """Leave what was trained to whoever can use it without the ONNX file, and say where."""
    if is_file(folder / CARD):
        # an earlier model, which stays whole
        return
    with replacing(folder / WEIGHTS) as weights:
        _write_weights(weights, module)
    error.hint = (
        f"Nothing that was trained is lost: the weights are in {folder / WEIGHTS}, and the same "
        f"command goes on from here without training again. {error.hint}"
    ).strip()


def find_model_folder(folder: Path) -> Path:
    """Return the model folder that ``folder`` is or, being a run folder, has.

    Raises
    ------
    RunFolderError
        If it is neither, or the run has no model yet.
    """
    for candidate in (folder / "model", folder):
        if is_file(candidate / CARD):
            return candidate
    try:
        there = folder.exists()
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be read: {os_reason(error)}.") from None
    if not there:
        raise RunFolderError(f"The run folder {folder} does not exist.")
    if not folder.is_dir():
        raise RunFolderError(f"{folder} is a file, not a run folder.")
    if any((folder / name).exists() for name in ("plan.json", "log.jsonl", "checkpoints", "model")):
        raise RunFolderError(
            f"The run folder {folder} has no finished model.",
            hint="Run the same 'frostline fit' command again: it goes on where it stopped.",
        )
    raise RunFolderError(
        f"{folder} is not a run folder: it has no model/{CARD}.",
        hint="Give the folder that 'frostline fit -o' wrote.",
    )


def load_card(folder: Path) -> ModelCard:
    """Read ``model.json`` of a run folder or model folder.

    Raises
    ------
    RunFolderError
        If there is no model, or the card is damaged or of another version.
    """
    path = find_model_folder(folder) / CARD
    try:
        content = read_regular(path, at_most=JSON_BYTES)
    except UnfitFileError as error:
        raise RunFolderError(f"{path} cannot be read: {error}.") from None
    return parse_card(content, where=str(path), hint=_FIT_AGAIN)


def parse_card(content: bytes, *, where: str, hint: str) -> ModelCard:
    """Check the JSON of a model card; ``where`` is what to call it in errors.

    Raises
    ------
    RunFolderError
        If it is damaged or of another version.
    """
    try:
        card = ModelCard.model_validate_json(content)
    except ValidationError as error:
        _check_version(where, content)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunFolderError(
            f"{where} is damaged or of another version: {place}: {first['msg']}.", hint=hint
        ) from None
    if not agrees(stated(content)):
        raise RunFolderError(
            f"{where} is damaged: its values are not those that it was written with.",
            hint=f"If you changed it on purpose, remove the line {CHECKSUM!r}. {hint}",
        )
    return card


def _check_version(where: str, content: bytes) -> None:
    """Say so if a card is of a version that this Frostline does not read."""
    values, known = stated(content), _NEWEST_FORMAT
    found = values.get("format_version")
    if not isinstance(found, int) or _OLDEST_FORMAT <= found <= known:
        return
    raise RunFolderError(
        f"{where} was written by Frostline {values.get('frostline', 'unknown')} in format "
        f"{found}; this is Frostline {__version__}, which reads format {known}, and older ones "
        f"back to {_OLDEST_FORMAT}.",
        hint="Update Frostline." if found > known else _FIT_AGAIN,
    )


def load_familiarity(folder: Path) -> Familiarity | None:
    """Read what is familiar to the model of a run folder or model folder; needs no PyTorch.

    Returns
    -------
    Familiarity or None
        None for a model that does not know.

    Raises
    ------
    RunFolderError
        If there is no model, or its file is missing or damaged.
    """
    from frostline.model_format.ood_file import read_familiarity

    found = find_model_folder(folder)
    card = load_card(found)
    if card.familiar is None:
        return None
    return read_familiarity(checked_file(found, FAMILIAR, card.fingerprints.familiar))


def checked_file(folder: Path, name: str, fingerprint: str) -> Path:
    """Return ``folder / name`` after comparing its bytes with the card's fingerprint.

    Raises
    ------
    RunFolderError
        If the file is missing, unreadable or other than when it was written.
    """
    path = folder / name
    try:
        at_most = ONNX_BYTES if name == ONNX else WEIGHTS_BYTES
        found = digest_regular(path, at_most=at_most).hexdigest
    except MissingFileError:
        raise RunFolderError(f"The model file {path} is missing.", hint=_FIT_AGAIN) from None
    except UnfitFileError as error:
        raise RunFolderError(f"The model file {path} cannot be read: {error}.") from None
    if found != fingerprint:
        raise RunFolderError(
            f"The model file {path} is damaged: it is not the file that {CARD} describes.",
            hint=_FIT_AGAIN,
        )
    return path


def _write_weights(path: Path, module: nn.Module) -> None:
    """Write the state dict; tensors that share memory are written once each, in full."""
    from safetensors.torch import save_file

    seen: set[int] = set()
    state = {}
    for name, tensor in module.state_dict().items():
        value = tensor.detach().cpu().contiguous()
        storage = value.untyped_storage().data_ptr()
        state[name] = value.clone() if storage in seen else value
        seen.add(storage)
    with system_errors():
        save_file(state, path, metadata={"format": "pt"})


def _made_up_images(size: int) -> UInt8Array:
    """Four images of noise, coarse to fine."""
    random = np.random.default_rng(0)
    images = []
    for cells in (2, 7, 20, size):
        coarse = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        index = np.arange(size) * cells // size
        images.append(coarse[index][:, index])
    return np.stack(images)
