"""What an ONNX graph may hold: operators that compute, weights of its own, known ends."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.core.errors import InputError
from frostline.onnx_graph.session import INPUT, OUTPUT, UNFAMILIARITY, VALUES

if TYPE_CHECKING:
    import onnx

EXPORT = "Write one by: frostline export RUN --to onnx -o FILE.onnx"
#: operator sets whose operators only compute
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
#: the key under which every weight in another file says where that is
_ELSEWHERE = b"location"


def check_graph(path: Path, model: onnx.ModelProto) -> None:
    """Refuse operators that are unknown or newer than this installation, and other files.

    Raises InputError.
    """
    import onnx

    newest = onnx.defs.onnx_opset_version()
    for used in model.opset_import:
        if used.domain not in _DOMAINS:
            raise InputError(
                f"{path} needs operators of {used.domain!r}, which may do anything; "
                "only those of ONNX itself are run.",
                hint=EXPORT,
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
                hint=EXPORT,
            )


def may_need_others(path: Path) -> bool:
    """Whether a file may keep weights in other files; tells without parsing it.

    Where that is so, the key that says where must stand somewhere among its bytes.
    """
    with path.open("rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_ELSEWHERE) >= 0


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


def check_ends(path: Path, session: Any, n_outputs: int) -> None:
    """Refuse a file with other inputs and outputs than an exported one.

    Raises InputError.
    """
    try:
        inputs = {value.name: value.type for value in session.get_inputs()}
        outputs = {value.name: value for value in session.get_outputs()}
    except UnicodeDecodeError:
        raise InputError(f"{path} is damaged: it has text that is not UTF-8.") from None
    expected = f"expected an input {INPUT!r} (uint8) and an output {OUTPUT!r}"
    if inputs != {INPUT: "tensor(uint8)"}:
        raise InputError(f"{path} has the inputs {_listed(inputs)}; {expected}.", hint=EXPORT)
    found = outputs.get(OUTPUT, outputs.get(VALUES))
    if found is None or found.type != "tensor(float)":
        kinds = {name: value.type for name, value in outputs.items()}
        raise InputError(f"{path} has the outputs {_listed(kinds)}; {expected}.", hint=EXPORT)
    score = outputs.get(UNFAMILIARITY)
    if score is not None and score.type != "tensor(float)":
        raise InputError(f"{path} gives an {UNFAMILIARITY} that is no number.", hint=EXPORT)
    last = found.shape[-1] if found.shape else None
    if isinstance(last, int) and last != n_outputs:
        raise InputError(
            f"{path} gives {last} probabilities an image, but its model card names "
            f"{n_outputs} classes."
        )


def _listed(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name!r} ({kind})" for name, kind in list(kinds.items())[:5]) or "none"
