"""From a PyTorch module to one ONNX file: any uint8 image in, probabilities out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from frostline.artifact.builder import GraphBuilder
from frostline.artifact.graph import OPSET, add_preprocessing, add_softmax
from frostline.artifact.prepared import on_canvas
from frostline.artifact.runtime import INPUT, OUTPUT, open_session, probabilities
from frostline.errors import EngineError
from frostline.files import replacing
from frostline.preprocessing import Preprocessing, UInt8Array

if TYPE_CHECKING:
    from torch import nn

#: largest accepted difference of a probability between PyTorch and the exported file, for images
#: that have the network's size already; larger ones mean that the export is wrong, not rounding
TOLERANCE = 1e-4

# protocol buffers end at 2 GiB; the graph itself needs a little of it
_MAX_BYTES = 2**31 - 2**24


def export_onnx(
    module: nn.Module,
    preprocessing: Preprocessing,
    temperature: float,
    path: Path,
    *,
    classes: Sequence[str] = (),
) -> None:
    """Write a classifier as one self-contained ONNX file.

    Input ``image``: uint8 RGB, H x W x 3 or N x H x W x 3, any H and W. Output
    ``probabilities``: float32, N x C (N is 1 for a single image). Resizing, cropping,
    normalising, temperature and softmax are part of the graph. The metadata of the file hold
    ``classes`` and ``preprocessing`` as JSON.

    Resizing differs from Pillow's by one grey level at few pixels, so probabilities for raw
    images may differ from :class:`~frostline.artifact.model.Model` by some ten-thousandths.

    Parameters
    ----------
    module : nn.Module
        Normalised float32 images (N, 3, size, size) to logits (N, C). Exported as in eval mode,
        and left in the mode it was in.
    preprocessing : Preprocessing
    temperature : float
        Positive; logits are divided by it.
    path : Path
        Replaced when the export has succeeded.
    classes : sequence of str, default=()
        Names of the C classes, for the metadata.

    Raises
    ------
    EngineError
        If the module has an operation that ONNX lacks, is too large for one file, or has another
        number of outputs than there are ``classes``.
    """
    before, after = GraphBuilder("before"), GraphBuilder("after")
    add_preprocessing(before, INPUT, preprocessing, "before/normalised")
    model = _trace(module, preprocessing.size, "before/normalised", "network/logits")
    add_softmax(after, "network/logits", temperature, OUTPUT)

    graph = model.graph
    n_outputs = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    if classes and n_outputs != len(classes):
        raise EngineError(f"The network has {n_outputs} outputs for {len(classes)} classes.")
    network = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.name = "frostline"
    graph.node.extend([*before.nodes, *network, *after.nodes])
    graph.initializer.extend([*before.constants, *after.constants])
    # no declared rank: that is how one graph takes both one image and a batch
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, None))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", n_outputs]))
    helper.set_model_props(
        model,
        {
            "classes": json.dumps(list(classes), ensure_ascii=False),
            "preprocessing": preprocessing.model_dump_json(),
        },
    )
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def verify_onnx(
    path: Path,
    module: nn.Module,
    preprocessing: Preprocessing,
    temperature: float,
    images: UInt8Array,
    *,
    threads: int = 1,
) -> float:
    """Compare an exported file with the module it came from.

    Parameters
    ----------
    path : Path
    module, preprocessing, temperature
        As given to :func:`export_onnx`.
    images : ndarray of shape (n, size, size, 3), uint8
        Prepared images; at least two show that the batch is free.
    threads : int, default=1

    Returns
    -------
    float
        Largest absolute difference of a probability, at most :data:`TOLERANCE`.

    Raises
    ------
    EngineError
        If the difference is larger, or the file cannot be run.
    """
    import torch

    session = open_session(path, threads=threads)
    found = probabilities(session, on_canvas(images, preprocessing))
    device = _device(module)
    with torch.inference_mode(), _eval_mode(module):
        batch = torch.from_numpy(preprocessing.normalise(images)).to(device)
        logits = module(batch).double() / temperature
        expected = torch.softmax(logits, dim=-1).cpu().numpy()
    if found.shape != expected.shape:
        raise EngineError(
            f"The exported model gives {found.shape} probabilities, PyTorch {expected.shape}."
        )
    difference = float(np.abs(found - expected).max(initial=0.0))
    # written so that NaN fails as well
    if not difference <= TOLERANCE:
        raise EngineError(
            f"The exported model differs from PyTorch by {difference:.2g} in a probability; "
            f"at most {TOLERANCE:.0e} is accepted.",
            hint="Please report the backbone's name.",
        )
    return difference


def _trace(module: nn.Module, size: int, source: str, target: str) -> onnx.ModelProto:
    """Turn the module alone into an ONNX model."""
    import torch

    held = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if held > _MAX_BYTES:
        raise EngineError(
            f"The network has {held / 2**30:.1f} GiB of weights; an ONNX file holds at most 2.",
            hint="Use a smaller backbone.",
        )
    # two images: with a single one, operations that squeeze would fix the batch
    example = torch.zeros(2, 3, size, size, device=_device(module))
    try:
        # the exporter talks about itself and about constants of the trace, not about the model
        with (
            TemporaryDirectory() as folder,
            warnings.catch_warnings(),
            _eval_mode(module),
        ):
            warnings.simplefilter("ignore")
            written = Path(folder) / "network.onnx"
            torch.onnx.export(
                module,
                (example,),
                written,
                input_names=[source],
                output_names=[target],
                dynamic_axes={source: {0: "N"}, target: {0: "N"}},
                opset_version=OPSET,
                # several times faster than the newer exporter, and needs nothing else installed
                dynamo=False,
            )
            return onnx.load(written)
    except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:
        raise EngineError(
            f"The network cannot be written as ONNX: {str(error).splitlines()[0]}"
        ) from error


def _device(module: nn.Module) -> Any:
    return next((t.device for t in module.state_dict().values()), None)


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards every submodule is in the mode it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
