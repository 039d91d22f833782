"""Pick the fastest engine whose numbers agree with PyTorch, and say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from frostline.errors import EngineError
from frostline.features.engines.base import Engine, FrozenPart
from frostline.features.engines.onnx_engine import OnnxEngine, exported
from frostline.features.engines.torch_engine import TorchEngine
from frostline.preprocessing import FloatArray, UInt8Array

#: images that the check uses, at most
CHECK_IMAGES = 8

#: Largest accepted difference, in standard deviations of the tap over the check batch. Networks
#: measured here differ by 2e-6 to 1e-4: summation order, and BatchNorm folded into weights. A
#: difference below 1e-3 moves no decision of a classifier; a wrong export is off by 0.1 or more.
MAX_DIFFERENCE = 1e-3

#: smallest accepted cosine between both results of one image
MIN_COSINE = 0.9999

EngineKind = Literal["auto", "onnx", "torch"]


@dataclass(frozen=True)
class Agreement:
    """How far an engine is from PyTorch.

    Attributes
    ----------
    difference : float
        Largest absolute difference over blocks, in standard deviations of the block.
    cosine : float
        Smallest cosine over images and blocks.
    """

    difference: float
    cosine: float

    @property
    def close(self) -> bool:
        """Whether both bounds hold; NaN never does."""
        return self.difference <= MAX_DIFFERENCE and self.cosine >= MIN_COSINE


def agreement(found: FloatArray, expected: FloatArray, blocks: tuple[slice, ...] = ()) -> Agreement:
    """Compare two results (n, ...) of the same images, block by block.

    A block whose spread is below a millionth of its size is judged by its size instead.
    """
    if found.shape != expected.shape:
        return Agreement(difference=float("inf"), cosine=-1.0)
    a = found.reshape(len(found), -1).astype(np.float64)
    b = expected.reshape(len(expected), -1).astype(np.float64)
    difference, cosine = 0.0, 1.0
    for block in blocks or (slice(None),):
        x, y = a[:, block], b[:, block]
        size = float(np.abs(y).max(initial=0.0))
        scale = max(float(y.std()), 1e-6 * size, np.finfo(np.float32).tiny)
        difference = float(np.maximum(difference, np.abs(x - y).max(initial=0.0) / scale))
        lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        products = (x * y).sum(axis=1)
        # two empty (all zero) results agree; one alone does not
        same = np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1.0), 0.0)
        both_zero = (np.abs(x).max(axis=1) == 0) & (np.abs(y).max(axis=1) == 0)
        cosine = float(np.minimum(cosine, np.where(both_zero, 1.0, same).min(initial=1.0)))
    return Agreement(difference, cosine)


def open_engine(
    part: FrozenPart,
    *,
    check: UInt8Array,
    threads: int,
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Literal["fp32", "bf16"] = "fp32",
    kind: EngineKind = "auto",
) -> tuple[Engine, str]:
    """Open the engine that will run ``part``.

    Parameters
    ----------
    part : FrozenPart
    check : ndarray of shape (n, size, size, 3), uint8
        Real images to compare engines on; the first :data:`CHECK_IMAGES` are used.
    threads : int
    device : {"cpu", "cuda"}, default="cpu"
    precision : {"fp32", "bf16"}, default="fp32"
    kind : {"auto", "onnx", "torch"}, default="auto"
        ``auto`` takes ONNX Runtime on the CPU in fp32 when its numbers agree, else PyTorch.

    Returns
    -------
    engine : Engine
    reason : str
        Why this one, for people.

    Raises
    ------
    EngineError
        If ``kind="onnx"`` and ONNX Runtime cannot be used.
    """
    reference = TorchEngine(part, threads=threads, device=device, precision=precision)
    if kind == "torch":
        return reference, "PyTorch was asked for"
    if device == "cuda" or precision != "fp32":
        why = "computes on the GPU" if device == "cuda" else f"computes in {precision}"
        if kind == "onnx":
            raise EngineError(f"The ONNX engine is for fp32 on the CPU; this run {why}.")
        return reference, f"PyTorch {why}"
    try:
        engine, found = _agreeing_onnx(part, reference, check[:CHECK_IMAGES], threads)
    except EngineError as error:
        if kind == "onnx":
            raise
        return reference, f"PyTorch, because ONNX Runtime cannot be used: {error.message}"
    return engine, (
        f"ONNX Runtime gives PyTorch's numbers (largest difference {found.difference:.1e} "
        "standard deviations)"
    )


def _agreeing_onnx(
    part: FrozenPart, reference: TorchEngine, images: UInt8Array, threads: int
) -> tuple[OnnxEngine, Agreement]:
    """Open and check the ONNX engine; a file from the cache gets a second, fresh chance."""
    expected = reference.run(images)
    model, cached = exported(part)
    try:
        return _checked(model, expected, images, part, threads)
    except EngineError:
        if not cached:
            raise
    model, _ = exported(part, fresh=True)
    return _checked(model, expected, images, part, threads)


def _checked(
    model: bytes, expected: FloatArray, images: UInt8Array, part: FrozenPart, threads: int
) -> tuple[OnnxEngine, Agreement]:
    engine = OnnxEngine(model, threads=threads)
    found = agreement(engine.run(images), expected, part.blocks)
    if not found.close:
        raise EngineError(
            f"its numbers differ by {found.difference:.1e} standard deviations "
            f"(cosine {found.cosine:.6f})."
        )
    return engine, found
