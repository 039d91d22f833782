"""Where a network's norm layers read, as plain data that travels with its graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import onnx

_KEY = "norm_points"
_PREFIX = "moments/"


@dataclass(frozen=True)
class NormPoint:
    """What one norm layer reads.

    - ``name``: path of the layer.
    - ``channels``: number of channels.
    - ``eps``: what the layer adds to a variance.
    - ``depth``: share of the network's multiply-accumulates that lie before it, from 0 to 1; None
      where nobody counted them.
    """

    name: str
    channels: int
    eps: float
    depth: float | None = None


def moments_output(name: str) -> str:
    """Return the output of a graph that holds the moments of what a layer reads."""
    return f"{_PREFIX}{name}"


def write_norm_points(model: onnx.ModelProto, points: Sequence[NormPoint]) -> None:
    """Let a model say for which norm layers it has outputs with moments."""
    entry = model.metadata_props.add()
    entry.key, entry.value = _KEY, json.dumps([asdict(point) for point in points])


def read_norm_points(model: onnx.ModelProto) -> list[NormPoint] | None:
    """Return what :func:`write_norm_points` wrote; None where a model says nothing of it."""
    for entry in model.metadata_props:
        if entry.key == _KEY:
            return [NormPoint(**point) for point in json.loads(entry.value)]
    return None
