"""The one way from a PyTorch module to an ONNX graph: for engines, and for models as files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from frostline.backbones.freeze.eval_mode import eval_mode
from frostline.backbones.quiet_exporter import quiet_exporter
from frostline.core.errors import EngineError, first_line, lacks_memory

#: protocol buffers end at 2 GiB; the graph itself needs a little of it
MAX_BYTES = 2**31 - 2**24


class NotExportableError(EngineError):
    """A network with something in it that ONNX cannot say; ``reason`` is the exporter's own."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The network cannot be written as ONNX: {reason}.")
        self.reason = reason


def to_onnx(
    module: nn.Module,
    example: torch.Tensor,
    *,
    source: str,
    targets: Sequence[str],
    opset: int,
    weights: bool = True,
) -> bytes:
    """Write what a module computes in eval mode as an ONNX model; the batch stays free.

    Raises NotExportableError if the module has an operation that ONNX lacks; EngineError if it is
    too large for one file; what PyTorch raises if there is not enough memory.

    - ``module``: left in the mode it was in.
    - ``example``, shape (2, ...): two inputs: with a single one, operations that squeeze would fix
      the batch.
    - ``source``: name of the input.
    - ``targets``: names of the outputs.
    - ``opset``: of the operators of ONNX itself.
    - ``weights``: False leaves them out, and layers unmerged: quick, to see whether it can be done
      at all.
    """
    held = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    if weights and held > MAX_BYTES:
        raise EngineError(
            f"The network has {held / 2**30:.1f} GiB of weights; an ONNX file holds at most 2.",
            hint="Use a smaller backbone.",
        )
    try:
        # the exporter talks about itself and about constants of the trace, not about the model
        with quiet_exporter(), eval_mode(module), torch.no_grad():
            # in memory: a full disk for temporary files must not decide which engine runs
            written: Any = io.BytesIO()
            torch.onnx.export(
                module,
                (example,),
                written,
                input_names=[source],
                output_names=list(targets),
                dynamic_axes={name: {0: "N"} for name in (source, *targets)},
                opset_version=opset,
                verbose=False,
                export_params=weights,
                do_constant_folding=weights,
                # several times faster than the newer exporter, and needs nothing else installed
                dynamo=False,
            )
            content: bytes = written.getvalue()
            return content
    except (
        *(torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError),
        *(AssertionError, AttributeError, LookupError),  # of operators that it half knows
    ) as error:
        if lacks_memory(error):
            # says nothing about the network, and must not be remembered of it
            raise
        raise NotExportableError(first_line(error)) from error
