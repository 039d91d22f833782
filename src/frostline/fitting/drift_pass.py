"""What a finished model gives at several depths, where no features of them are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.core.errors import EngineError, InputError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.core.runtime import Runtime
from frostline.core.watched_depth import WatchedDepth
from frostline.exporting.model_onnx import PREPARED
from frostline.fitting.inputs import FitInputs
from frostline.onnx_graph.depth_outputs import (
    depth_output,
    places_of,
    some_depths,
    tensors_of,
    with_depth_outputs,
    with_outputs,
)
from frostline.onnx_graph.embedding_output import FEATURES, LOGITS
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.session import INPUT

if TYPE_CHECKING:
    import onnx


def depths_of(
    graph: onnx.ModelProto, preprocessing: Preprocessing, most: int
) -> list[WatchedDepth]:
    """Find at most so many depths of a model at which one tensor passes.

    Of an average of several models it is the depths of the one whose head's input the file has.
    Raises InputError if there is none; EngineError if ONNX Runtime cannot give what passes.
    """
    end = FEATURES if FEATURES in tensors_of(graph) else LOGITS
    places = places_of(graph, PREPARED, end)
    if not places:
        raise InputError("At no place of the network does one tensor alone pass.")
    session = open_session(with_outputs(graph, list(places)), threads=1)
    blank = np.zeros((2, preprocessing.size, preprocessing.size, 3), dtype=np.uint8)
    found = _run(session, list(places), on_canvas(blank, preprocessing))
    shapes = {name: value.shape for name, value in zip(places, found, strict=True)}
    depths = some_depths(places, shapes, most)
    if not depths:
        raise InputError("What passes in the network is neither maps nor tokens nor vectors.")
    return depths


def run_depths(
    graph: onnx.ModelProto,
    depths: list[WatchedDepth],
    batches: Iterable[UInt8Array],
    inputs: FitInputs,
    runtime: Runtime,
) -> list[npt.NDArray[np.float32]]:
    """Return what passes at some depths for batches of prepared images: a table (n, d) each.

    Raises EngineError if ONNX Runtime cannot run the graph.
    """
    copy = type(graph)()
    copy.CopyFrom(graph)
    session = open_session(with_depth_outputs(copy, depths), threads=runtime.threads)
    names = [depth_output(number) for number in range(len(depths))]
    preprocessing = inputs.frozen.network.preprocessing
    found = []
    for images in batches:
        found.append(_run(session, names, on_canvas(images, preprocessing)))
        runtime.cancel.check()
    return [np.concatenate(tables) for tables in zip(*found, strict=True)]


def _run(session: Any, names: list[str], batch: UInt8Array) -> list[npt.NDArray[np.float32]]:
    try:
        found: list[npt.NDArray[np.float32]] = session.run(names, {INPUT: batch})
    except failures() as error:
        raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
    return found
