"""Open one exported ONNX file: input that nobody vouches for, so bounded and checked first."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.artifact.card import ModelCard
from frostline.artifact.model_folder import CARD, parse_card
from frostline.artifact.runtime import INPUT, OUTPUT, open_session
from frostline.errors import EngineError, InputError, RunFolderError

if TYPE_CHECKING:
    import onnx

SUFFIX = ".onnx"
#: the metadata that hold the model card of an exported file, and how it was made smaller
CARD_KEY, QUANTISATION_KEY = "frostline", "frostline_quantization"

#: protocol buffers end here, and so does every ONNX file without further files
_MAX_BYTES = 2**31
# a million classes with names of ordinary length
_MAX_CARD_BYTES = 32 * 2**20
#: operator sets whose operators only compute
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_EXPORT = "Write one by: frostline export RUN --to onnx -o FILE.onnx"


@dataclass(frozen=True)
class OnnxFile:
    """An exported file, ready to run.

    Attributes
    ----------
    card : ModelCard
    session : InferenceSession
        Of ONNX Runtime.
    quantised : str
        How it was made smaller, as JSON; empty for plain float32.
    """

    card: ModelCard
    session: Any
    quantised: str


def is_onnx_file(path: Path) -> bool:
    """Whether a path names an ONNX file, existing or not, rather than a run folder."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def open_onnx_file(path: Path, *, threads: int) -> OnnxFile:
    """Check a file that ``frostline export --to onnx`` wrote, and open it.

    Nothing outside of the file is read, whatever it names. It can only compute; a file of
    somebody whom you do not trust may still take much time or memory when it runs.

    Raises
    ------
    InputError
        If it is missing, too large, no ONNX file, written by something else, or needs newer
        operators.
    RunFolderError
        If its model card is damaged or of a newer version.
    """
    content = _read(path)
    model = _parse(path, content)
    card = card_of(path, model)
    _check_graph(path, model)
    quantised = metadata(model).get(QUANTISATION_KEY, "")
    del model
    try:
        session = open_session(content, threads=threads)
    except EngineError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from error
    _check_ends(path, session, card)
    return OnnxFile(card, session, quantised)


def read_model(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file whose size is checked first; other files that it names are not read.

    Raises
    ------
    InputError
        If it is missing, too large or no ONNX file.
    """
    return _parse(path, _read(path))


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata of a file by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def card_of(path: Path, model: onnx.ModelProto) -> ModelCard:
    """Read the model card from the metadata.

    Raises
    ------
    InputError
        If there is none.
    RunFolderError
        If it is damaged or of a newer version.
    """
    text = metadata(model).get(CARD_KEY)
    if text is None:
        beside = (path.parent / CARD).is_file()
        raise InputError(
            f"{path} has no model card of Frostline, so its classes and preprocessing are unknown.",
            hint=f"Give the folder {path.parent}." if beside else _EXPORT,
        )
    content = text.encode()
    if len(content) > _MAX_CARD_BYTES:
        raise RunFolderError(
            f"The model card in {path} has {len(content):,} bytes; at most {_MAX_CARD_BYTES:,} "
            "are read."
        )
    return parse_card(content, where=f"The model card in {path}", hint=_EXPORT)


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is no regular file.")
        if found.st_size >= _MAX_BYTES:
            raise InputError(
                f"{path} has {found.st_size / 2**30:.1f} GiB; an ONNX file holds at most 2."
            )
        with path.open("rb") as stream:
            # it may grow while it is read
            content = stream.read(_MAX_BYTES)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.", hint=_EXPORT) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
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
        raise InputError(f"{path} is no ONNX file, or damaged.", hint=_EXPORT) from None
    if not model.graph.node:
        raise InputError(f"{path} is no ONNX file, or damaged: it computes nothing.", hint=_EXPORT)
    return model


def _check_graph(path: Path, model: onnx.ModelProto) -> None:
    """Refuse operators that are unknown or newer than this installation, and other files."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    for used in model.opset_import:
        if used.domain not in _DOMAINS:
            raise InputError(
                f"{path} needs operators of {used.domain!r}, which may do anything; "
                "only those of ONNX itself are run.",
                hint=_EXPORT,
            )
        if used.domain in ("", "ai.onnx") and used.version > newest:
            raise InputError(
                f"{path} is written in ONNX operator set {used.version}; this installation knows "
                f"those up to {newest}.",
                hint="Update onnx and onnxruntime.",
            )
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InputError(
                f"{path} keeps weights in other files ({tensor.name!r}); only files that hold "
                "everything themselves are read.",
                hint=_EXPORT,
            )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model: weights and constants, those of inner graphs included."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [attribute.g, *attribute.graphs]


def _check_ends(path: Path, session: Any, card: ModelCard) -> None:
    """Refuse a file with other inputs and outputs than an exported one."""
    inputs = {value.name: value.type for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    expected = f"expected an input {INPUT!r} (uint8) and an output {OUTPUT!r}"
    if inputs != {INPUT: "tensor(uint8)"}:
        raise InputError(f"{path} has the inputs {_listed(inputs)}; {expected}.", hint=_EXPORT)
    found = outputs.get(OUTPUT)
    if found is None or found.type != "tensor(float)":
        kinds = {name: value.type for name, value in outputs.items()}
        raise InputError(f"{path} has the outputs {_listed(kinds)}; {expected}.", hint=_EXPORT)
    last = found.shape[-1] if found.shape else None
    if isinstance(last, int) and last != len(card.classes):
        raise InputError(
            f"{path} gives {last} probabilities an image, but its model card names "
            f"{len(card.classes)} classes."
        )


def _listed(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name!r} ({kind})" for name, kind in list(kinds.items())[:5]) or "none"
