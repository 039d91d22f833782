"""A small builder of ONNX nodes with names of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


class GraphBuilder:
    """Collects nodes and constants whose names start with ``scope``.

    ``nodes``: in the order they were added, which is a valid order to run them.
    """

    def __init__(self, scope: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._scope = scope

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the name of that output."""
        label = f"{self._scope}/{op}_{len(self.nodes)}"
        name = output or f"{label}_output"
        self.nodes.append(helper.make_node(op, inputs, [name], name=label, **attributes))
        return name

    def add_all(self, op: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        label = f"{self._scope}/{op}_{len(self.nodes)}"
        names = [f"{label}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=label, **attributes))
        return names

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Add a constant and return its name."""
        name = f"{self._scope}/constant_{len(self.constants)}"
        array = np.asarray(value, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        """Add a vector of int64."""
        return self.constant(values, np.int64)
