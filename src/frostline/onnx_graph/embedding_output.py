"""Let a written model also give what its head reads, without a change to its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from frostline.onnx_graph.session import EMBEDDING

if TYPE_CHECKING:
    import onnx

#: names of the head's outputs in exported files, and of what it reads where that is marked
LOGITS, FEATURES = "network/logits", "network/features"
#: of what it reads where it was written beside the logits
_BESIDE = f"{LOGITS}/head_input"


def add_embedding_output(model: onnx.ModelProto) -> bool:
    """Add an output with what the head of a model reads, (N, d) float32; False if it has none.

    Files mark that tensor where they tell what is unfamiliar, and where the head was solved for;
    else it is what the one layer that gives the logits multiplies. An average of several networks
    that marks nothing has no such layer.
    """
    from onnx import TensorProto, helper

    made_by = {output: node for node in model.graph.node for output in node.output}
    found = next((name for name in (FEATURES, _BESIDE) if name in made_by), None)
    if found is None:
        found = _read_by(made_by, LOGITS, {one.name for one in model.graph.initializer})
    if found is None:
        return False
    model.graph.node.append(helper.make_node("Identity", [found], [EMBEDDING], name=EMBEDDING))
    given = helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, None)
    model.graph.output.append(given)
    return True


def _read_by(made_by: Mapping[str, onnx.NodeProto], logits: str, constants: set[str]) -> str | None:
    """Return what one linear layer reads to give the logits; None where something else does."""
    node = made_by.get(logits)
    while node is not None and node.op_type in ("Add", "Identity"):
        # a bias that is added apart
        inner = list(_computed(made_by, node, constants))
        if len(inner) != 1:
            return None
        node = made_by[inner[0]]
    if node is None or node.op_type not in ("Gemm", "MatMul") or not node.input:
        return None
    return node.input[0] if node.input[0] in made_by else None


def _computed(
    made_by: Mapping[str, onnx.NodeProto], node: onnx.NodeProto, constants: set[str]
) -> Iterator[str]:
    for name in node.input:
        if name in made_by and name not in constants and made_by[name].op_type != "Constant":
            yield name
