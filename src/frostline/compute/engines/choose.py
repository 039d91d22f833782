"""Pick the fastest engine whose numbers agree with PyTorch, and say why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from frostline.compute.engines import openvino_engine
from frostline.compute.engines.base import CHECK_IMAGES, Engine, run_batches
from frostline.compute.engines.frozen_part import FrozenPart
from frostline.compute.engines.onnx_engine import OnnxEngine
from frostline.compute.engines.onnx_export import exported
from frostline.compute.engines.remembered import Choice, recall_choice, remember_choice
from frostline.core.errors import EngineError
from frostline.core.preprocessing import FloatArray, UInt8Array

#: Largest accepted difference, in standard deviations of the tap over the check batch. Networks
#: measured here differ by 2e-6 to 1e-4: summation order, and BatchNorm folded into weights. A
#: difference below 1e-3 moves no decision of a classifier; a wrong export is off by 0.1 or more.
MAX_DIFFERENCE = 1e-3

#: The same where the graph as it is stands for PyTorch: it rounds as much as the engines do. With
#: re-estimated norm statistics some channels hardly vary, and both are up to 7e-4 off.
MAX_DIFFERENCE_GRAPH = 3e-3

#: smallest accepted cosine between both results of one image
MIN_COSINE = 0.9999

#: bfloat16 keeps 8 bits of each number: single activations move by up to a standard deviation
MAX_DIFFERENCE_BF16 = 2.0
MIN_COSINE_BF16 = 0.99

#: for fewer images the engine that is usually fastest is taken without timing the others
TIMING_PAYS_FROM = 500
#: for fewer pixels (64 images of 224 x 224) PyTorch is done before another engine is opened
EXPORT_PAYS_FROM = 64 * 224**2
#: engines run the same exported graph: where one is off by rounding alone, so are the others
_ROUNDING = 0.03
_TIMED_BATCHES = 3
#: an engine that takes this many times as long as another will not win by being timed again
_OUT_OF_THE_RACE = 1.5
#: which is timed first, so that slower ones are soon done with
_PROMISING = ("openvino", "onnx", "torch")
#: timing one more engine is not worth a smaller gain
_CLEARLY_FASTER = 0.95

Precision = Literal["fp32", "bf16"]
EngineKind = Literal["auto", "onnx", "openvino", "torch"]

#: engines for the CPU, the one that is usually fastest first
_USUALLY: dict[Precision, tuple[str, ...]] = {
    "fp32": ("onnx", "openvino", "torch"),
    "bf16": ("openvino", "torch"),
}
_NAMES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO", "torch": "PyTorch"}


@dataclass(frozen=True)
class Agreement:
    """How far an engine is from PyTorch.

    ``difference``: largest absolute difference over blocks, in standard deviations of the block.
    ``cosine``: smallest cosine over images and blocks.
    """

    difference: float
    cosine: float

    def close(self, precision: Precision = "fp32", *, most: float = MAX_DIFFERENCE) -> bool:
        """Whether both bounds of a precision hold; NaN never does. ``most``: that of fp32."""
        if precision == "bf16":
            return self.difference <= MAX_DIFFERENCE_BF16 and self.cosine >= MIN_COSINE_BF16
        return self.difference <= most and self.cosine >= MIN_COSINE


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
    device: str = "cpu",
    precision: Precision = "fp32",
    kind: EngineKind = "auto",
    n_images: int | None = None,
) -> tuple[Engine, str]:
    """Open the engine that will run ``part``.

    Raises EngineError if the engine that was asked for cannot be used.

    Parameters
    ----------
    check : ndarray of shape (n, size, size, 3), uint8
        Real images to compare engines on; the first :data:`CHECK_IMAGES` are used.
    device : str, default="cpu"
        As PyTorch names it.
    precision : {"fp32", "bf16"}, default="fp32"
    kind : {"auto", "onnx", "openvino", "torch"}, default="auto"
        ``auto`` takes the fastest one whose numbers agree with PyTorch's in fp32: the one that
        was fastest here before, else, from 500 images on, the one that wins a few batches now,
        else the one that usually is. For very few images that is PyTorch, which needs no export.
    n_images : int or None, default=None
        How many images the pass has, those included that are stored already: then a pass that was
        interrupted goes on with the same engine. None if that is not known.

    Returns
    -------
    engine : Engine
    reason : str
        Why this one, for people.
    """
    if device != "cpu":
        if kind not in ("auto", "torch"):
            raise EngineError(f"{_NAMES[kind]} is for the CPU; this run computes on the GPU.")
        gpu = _in_torch(part, threads, precision, device)
        return gpu, "PyTorch computes on the GPU"
    if kind == "torch":
        return _in_torch(part, threads, precision), "PyTorch was asked for"
    names = _USUALLY[precision]
    if part.module is None:
        names = tuple(name for name in names if name != "torch")
    if kind != "auto" and kind not in names:
        raise EngineError(f"{_NAMES[kind]} does not compute in {precision} here.")
    opener = _Opener(part, check[:CHECK_IMAGES], threads, precision)
    if kind != "auto":
        engine, found = opener.open(kind)
        return engine, f"{_NAMES[kind]} was asked for ({found})"
    pixels = None if n_images is None else n_images * check.shape[1] ** 2
    if part.module is not None and pixels is not None and pixels < EXPORT_PAYS_FROM:
        few = _in_torch(part, threads, precision)
        return few, "PyTorch has so few images done before another engine is ready"
    names = tuple(name for name in names if name != "openvino" or openvino_engine.installed())
    known = recall_choice(part.key, threads, precision, names)
    if known is None and (n_images or 0) >= TIMING_PAYS_FROM and len(names) > 1 and len(check):
        return _fastest(opener, names)
    order = (known, *names) if known else names
    failures: list[str] = []
    for name in dict.fromkeys(order):
        if opener.rounds_otherwise and name != "torch":
            continue
        try:
            engine, found = opener.open(name)
        except EngineError as error:
            failures.append(f"{_NAMES[name]} cannot be used: {error.message}")
            continue
        why = "was fastest here before" if name == known else "is usually the fastest"
        if failures:
            return engine, f"{_NAMES[name]}, because {'; '.join(failures)}"
        return engine, f"{_NAMES[name]} {why} and {found}"
    return _as_it_is(part, threads, failures)


def _as_it_is(part: FrozenPart, threads: int, failures: list[str]) -> tuple[Engine, str]:
    """Return the graph with nothing merged, which other engines were compared with."""
    # where channels hardly vary, merging norm layers costs digits; where they do not vary at all,
    # as in blank pictures, all of them
    if part.graph is None:
        raise EngineError("; ".join(failures))
    plain = OnnxEngine(part.graph.reference(), threads=threads, optimized=False)
    return plain, f"ONNX Runtime with nothing merged, because {'; '.join(failures)}"


def _in_torch(part: FrozenPart, threads: int, precision: Precision, device: str = "cpu") -> Engine:
    """Return the engine that is PyTorch, which only networks of PyTorch need."""
    from frostline.compute.engines.torch_engine import TorchEngine

    return TorchEngine(part, threads=threads, device=device, precision=precision)


class _Opener:
    """Opens engines for one part and checks them against a reference in fp32, computed once.

    The reference is PyTorch; for a part without it the graph as it is, nothing merged.
    """

    def __init__(
        self, part: FrozenPart, images: UInt8Array, threads: int, precision: Precision
    ) -> None:
        self.part, self.images = part, images
        self.threads, self.precision = threads, precision
        self.rounds_otherwise = False

    @cached_property
    def expected(self) -> FloatArray:
        if self.part.graph is None:
            return _in_torch(self.part, self.threads, "fp32").run(self.images)
        plain = self.part.graph.reference()
        return OnnxEngine(plain, threads=self.threads, optimized=False).run(self.images)

    def open(self, name: str) -> tuple[Engine, str]:
        """Return an engine and how well it agrees; a cached file gets a second, fresh chance."""
        if name == "torch":
            reference = _in_torch(self.part, self.threads, self.precision)
            return reference, "computes the reference itself"
        model, cached = exported(self.part)
        try:
            return self._checked(name, model)
        except EngineError:
            if not cached or self.rounds_otherwise:
                raise
        model, _ = exported(self.part, fresh=True)
        return self._checked(name, model)

    def _checked(self, name: str, model: bytes) -> tuple[Engine, str]:
        engine: Engine
        if name == "onnx":
            engine = OnnxEngine(model, threads=self.threads)
        else:
            engine = openvino_engine.OpenVinoEngine(
                model, threads=self.threads, precision=self.precision
            )
        found = agreement(engine.run(self.images), self.expected, self.part.blocks)
        most = MAX_DIFFERENCE if self.part.graph is None else MAX_DIFFERENCE_GRAPH
        if not found.close(self.precision, most=most):
            self.rounds_otherwise = found.cosine >= MIN_COSINE and found.difference < _ROUNDING
            raise EngineError(
                f"its numbers differ by {found.difference:.1e} standard deviations "
                f"(cosine {found.cosine:.6f})."
            )
        whose = "PyTorch's numbers" if self.part.graph is None else "the network's own numbers"
        return engine, (
            f"gives {whose} (largest difference {found.difference:.1e} standard deviations)"
        )


def _fastest(opener: _Opener, names: tuple[str, ...]) -> tuple[Engine, str]:
    """Time a few batches of every engine that agrees; remember and return the fastest."""
    opened: dict[str, tuple[Engine, str]] = {}
    seconds: dict[str, float] = {}
    failures: list[str] = []
    for name in sorted(names, key=_PROMISING.index):
        try:
            opened[name] = opener.open(name)
        except EngineError as error:
            failures.append(f"{_NAMES[name]} cannot be used: {error.message}")
            continue
        least = min(seconds.values(), default=float("inf"))
        seconds[name] = _seconds(opened[name][0], opener.images, _OUT_OF_THE_RACE * least)
    if not seconds:
        return _as_it_is(opener.part, opener.threads, failures)
    seconds = {name: seconds[name] for name in names if name in seconds}
    # the order is that of what is usually fastest: another one has to be clearly faster
    best = min(seconds, key=lambda name: seconds[name])
    usual = next(iter(seconds))
    if seconds[best] > _CLEARLY_FASTER * seconds[usual]:
        best = usual
    rates = {name: opened[name][0].batch / seconds[name] for name in seconds}
    choice = Choice(best, seconds)
    remember_choice(opener.part.key, opener.threads, opener.precision, choice)
    others = ", ".join(f"{_NAMES[n]} {rate:.0f}" for n, rate in rates.items() if n != best)
    engine, found = opened[best]
    return engine, (
        f"{_NAMES[best]} is the fastest here ({rates[best]:.0f} images a second; {others or 'none'}"
        f" else) and {found}"
    )


def _seconds(engine: Engine, images: UInt8Array, hopeless: float) -> float:
    """Return the seconds of a batch, as many running at once as the engine can: the least of a few.

    An engine whose first batch then takes longer than ``hopeless`` is not asked for more.
    """
    batch = np.resize(images, (engine.batch, *images.shape[1:]))
    images_given = [(None, image) for image in batch] * engine.concurrent_batches
    found = []
    for _ in range(1 + _TIMED_BATCHES):
        began = time.perf_counter()
        for _ in run_batches(engine, images_given):
            pass
        found.append((time.perf_counter() - began) / engine.concurrent_batches)
        if len(found) > 1 and found[-1] > hopeless:
            break
    return min(found[1:])
