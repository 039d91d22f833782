"""A model as a program of torch.export: the whole computation in one file, for PyTorch alone."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from frostline.core.errors import EngineError

#: the file inside of a program that says what it is
DESCRIPTION = "frostline.json"
#: what torch.export raises where it meets something that it does not understand
_FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, AssertionError, KeyError)


class Calibrated(nn.Module):
    """Logits whose softmax are the calibrated probabilities."""

    def __init__(self, module: nn.Module, temperature: float) -> None:
        super().__init__()
        self.module = module
        self.temperature = temperature

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Calibrated logits (n, C) of normalised images (n, 3, size, size)."""
        logits: torch.Tensor = self.module(image) / self.temperature
        return logits


def write_program(
    path: Path, module: nn.Module, *, temperature: float, size: int, description: str
) -> bool:
    """Write a program that takes normalised images (n, 3, size, size) and gives logits (n, C).

    Raises EngineError if torch.export does not understand the network.

    The result: whether it takes any number of images; else it takes one at a time.
    """
    whole = Calibrated(module, temperature).eval()
    with _quiet():
        try:
            program, free = _exported(whole, size, free=True), True
        except _FAILURES:
            program, free = _exported(whole, size, free=False), False
        _forget_where(program)
        # given a path, torch would keep that name, a temporary one, inside
        whole_file = io.BytesIO()
        torch.export.save(program, whole_file, extra_files={DESCRIPTION: description})
    path.write_bytes(whole_file.getbuffer())
    return free


def read_program(path: Path) -> tuple[nn.Module, str]:
    """Load a program and its description."""
    extra = {DESCRIPTION: ""}
    with _quiet():
        module: nn.Module = torch.export.load(path, extra_files=extra).module()
    text = extra[DESCRIPTION]
    return module, text.decode() if isinstance(text, bytes) else text


def _exported(whole: nn.Module, size: int, *, free: bool) -> torch.export.ExportedProgram:
    # two images: a single one would be taken for the only number that there can be
    example = torch.zeros(2 if free else 1, 3, size, size)
    shapes = {"image": {0: torch.export.Dim("images", min=1, max=4096)}} if free else None
    try:
        with torch.no_grad():
            return torch.export.export(whole, (example,), dynamic_shapes=shapes)
    except _FAILURES as error:
        if free:
            raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise EngineError(f"torch.export does not understand this network: {first}") from error


def _forget_where(program: torch.export.ExportedProgram) -> None:
    """Remove which lines of code on which machine every operation came from."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch says about itself."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
