"""The model folder: ``weights.safetensors``, ``model.onnx`` and ``model.json``, which agree.

A model that knows what is familiar to it has ``familiar.safetensors`` as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from frostline._version import __version__
from frostline.core.errors import RunFolderError
from frostline.core.files import (
    CHECKSUM,
    JSON_BYTES,
    ONNX_BYTES,
    WEIGHTS_BYTES,
    MissingFileError,
    UnfitFileError,
    checksum_matches,
    digest_regular,
    is_file,
    os_reason,
    peek_json,
    read_regular,
)
from frostline.model_format.card import ModelCard

if TYPE_CHECKING:
    pass

WEIGHTS, ONNX, CARD = "weights.safetensors", "model.onnx", "model.json"
FAMILIAR = "familiar.safetensors"

#: of model cards, from the oldest that is read to the newest
FORMATS = (1, 2, 3, 4, 5, 6)
NEWEST_FORMAT = FORMATS[-1]
_FIT_AGAIN = "Run 'frostline fit' again to make the model anew."


def model_home(folder: Path) -> Path | None:
    """Return the folder with the card of a model: a model folder, or that of a run."""
    return next((f for f in (folder / "model", folder) if is_file(f / CARD)), None)


def find_model_folder(folder: Path) -> Path:
    """Return the model folder that ``folder`` is or, being a run folder, has.

    Raises RunFolderError if it is neither, or the run has no model yet.
    """
    found = model_home(folder)
    if found is not None:
        return found
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

    Raises RunFolderError if there is no model, or the card is damaged or of another version.
    """
    path = find_model_folder(folder) / CARD
    try:
        content = read_regular(path, at_most=JSON_BYTES)
    except UnfitFileError as error:
        raise RunFolderError(f"{path} cannot be read: {error}.") from None
    return parse_card(content, where=str(path), hint=_FIT_AGAIN)


def parse_card(content: bytes, *, where: str, hint: str) -> ModelCard:
    """Check the JSON of a model card; ``where`` is what to call it in errors.

    Raises RunFolderError if it is damaged or of another version.
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
    if not checksum_matches(peek_json(content)):
        raise RunFolderError(
            f"{where} is damaged: its values are not those that it was written with.",
            hint=f"If you changed it on purpose, remove the line {CHECKSUM!r}. {hint}",
        )
    return card


def _check_version(where: str, content: bytes) -> None:
    """Say so if a card is of a version that this Frostline does not read."""
    values, known = peek_json(content), NEWEST_FORMAT
    found = values.get("format_version")
    if not isinstance(found, int) or FORMATS[0] <= found <= known:
        return
    raise RunFolderError(
        f"{where} was written by Frostline {values.get('frostline', 'unknown')} in format "
        f"{found}; this is Frostline {__version__}, which reads format {known}, and older ones "
        f"back to {FORMATS[0]}.",
        hint="Update Frostline." if found > known else _FIT_AGAIN,
    )


def checked_file(folder: Path, name: str, fingerprint: str) -> Path:
    """Return ``folder / name`` after comparing its bytes with the card's fingerprint.

    Raises RunFolderError if the file is missing, unreadable or other than when it was written.
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
