"""Open one exported ONNX file: input that nobody vouches for, so bounded and checked first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.core.errors import EngineError, InputError, RunFolderError
from frostline.core.files import (
    JSON_BYTES,
    ONNX_BYTES,
    MissingFileError,
    UnfitFileError,
    read_regular,
)
from frostline.core.onnx_runtime import open_session
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import CARD, parse_card
from frostline.onnx_graph.checks import EXPORT, check_ends, check_graph

if TYPE_CHECKING:
    import onnx

SUFFIX = ".onnx"
#: the metadata that hold the model card of an exported file, and how it was made smaller
CARD_KEY, QUANTISATION_KEY = "frostline", "frostline_quantization"


@dataclass(frozen=True)
class OnnxFile:
    """An exported file, ready to run.

    ``session``: of ONNX Runtime. ``quantised``: how it was made smaller, as JSON; empty for plain
    float32.
    """

    card: ModelCard
    session: Any
    quantised: str


def is_onnx_file(path: Path) -> bool:
    """Whether a path names an ONNX file, existing or not, rather than a run folder."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def open_onnx_file(path: Path, *, threads: int) -> OnnxFile:
    """Check a file that ``frostline export --to onnx`` wrote, and open it.

    Nothing outside of the file is read, whatever it names. It can only compute; a file of somebody
    whom you do not trust may still take much time or memory when it runs. Raises InputError if it
    is missing, too large, no ONNX file, written by something else, or needs newer operators;
    RunFolderError if its model card is damaged or of a newer version.
    """
    content = _read(path)
    model = _parse(path, content)
    card = card_of(path, model)
    check_graph(path, model)
    quantised = metadata(model).get(QUANTISATION_KEY, "")
    del model
    try:
        session = open_session(content, threads=threads)
    except EngineError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from error
    check_ends(path, session, len(card.classes))
    return OnnxFile(card, session, quantised)


def read_model(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file whose size is checked first; other files that it names are not read.

    Raises InputError if it is missing, too large or no ONNX file.
    """
    return _parse(path, _read(path))


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata of a file by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def card_of(path: Path, model: onnx.ModelProto) -> ModelCard:
    """Read the model card from the metadata.

    Raises InputError if there is none; RunFolderError if it is damaged or of a newer version.
    """
    text = metadata(model).get(CARD_KEY)
    if text is None:
        beside = (path.parent / CARD).is_file()
        raise InputError(
            f"{path} has no model card of Frostline, so its classes and preprocessing are unknown.",
            hint=f"Give the folder {path.parent}." if beside else EXPORT,
        )
    content = text.encode()
    if len(content) > JSON_BYTES:
        raise RunFolderError(
            f"The model card in {path} has {len(content):,} bytes; at most {JSON_BYTES:,} are read."
        )
    return parse_card(content, where=f"The model card in {path}", hint=EXPORT)


def _read(path: Path) -> bytes:
    try:
        content = read_regular(path, at_most=ONNX_BYTES - 1)
    except MissingFileError:
        raise InputError(f"There is no file {path}.", hint=EXPORT) from None
    except UnfitFileError as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    if not content:
        raise InputError(f"{path} is empty.")
    return content


def _parse(path: Path, content: bytes) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise InputError(f"{path} is no ONNX file, or damaged.", hint=EXPORT) from None
    if not model.graph.node:
        raise InputError(f"{path} is no ONNX file, or damaged: it computes nothing.", hint=EXPORT)
    for entry in model.metadata_props:
        # protocol buffers give bytes where a text is not UTF-8
        if not (isinstance(entry.key, str) and isinstance(entry.value, str)):
            raise InputError(f"{path} is damaged: it has text that is not UTF-8.")
    return model
