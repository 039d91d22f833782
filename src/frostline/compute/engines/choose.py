"""Pick the fastest engine whose numbers agree with PyTorch, and say why."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from frostline.compute.engines import openvino_engine
from frostline.compute.engines.base import CHECK_IMAGES, Engine, FirstImages, run_batches, run_parts
from frostline.compute.engines.fastest import Started, paced, race, tune
from frostline.compute.engines.frozen_part import FrozenPart
from frostline.compute.engines.onnx_engine import OnnxEngine, usual_batch
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

#: for fewer images the engine that is usually fastest is taken without opening another one
RACE_PAYS_FROM = 1000
#: finding the fastest engine may take so many seconds, or this share of the pass if that is longer
RACE_SECONDS = 1.5
RACE_SHARE = 0.03
#: for fewer pixels (64 images of 224 x 224) PyTorch is done before another engine is opened
EXPORT_PAYS_FROM = 64 * 224**2
#: engines run the same exported graph: where one is off by rounding alone, so are the others
_ROUNDING = 0.03

#: of two engines the usual one stays for a smaller gain
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
    """Open the engine that will run ``part``, and say why it was taken; see :func:`start_engine`.

    ``check``: real images to compare engines on, shape (n, size, size, 3).
    """
    started, reason = start_engine(
        part,
        FirstImages(check),
        threads=threads,
        device=device,
        precision=precision,
        kind=kind,
        n_images=n_images,
    )
    return started.engine, reason


def start_engine(
    part: FrozenPart,
    images: FirstImages,
    *,
    threads: int,
    device: str = "cpu",
    precision: Precision = "fp32",
    kind: EngineKind = "auto",
    n_images: int | None = None,
    at_once: int | None = None,
) -> tuple[Started, str]:
    """Open the engine that will run ``part`` over ``images``, which computes the first of them.

    Raises EngineError if the engine that was asked for cannot be used.

    Parameters
    ----------
    images : FirstImages
        The first :data:`CHECK_IMAGES` are those that engines are compared on.
    device : str, default="cpu"
        As PyTorch names it.
    precision : {"fp32", "bf16"}, default="fp32"
    kind : {"auto", "onnx", "openvino", "torch"}, default="auto"
        ``auto`` takes the fastest one whose numbers agree with the network's own in fp32: the one
        that was fastest here before, else, from 1,000 images on, the one that computes a few of
        them faster, else the one that usually is. For very few images of a network of PyTorch's
        that is PyTorch, which needs no export.
    n_images : int or None, default=None
        How many images the pass has, those included that are stored already: then a pass that was
        interrupted goes on with the same engine. None if that is not known.
    at_once : int or None, default=None
        So many images have room in memory at a time; the engine then gets smaller batches and fewer
        lanes, and none is raced. None for no limit.

    Returns
    -------
    started : Started
        The engine, and what it has computed.
    reason : str
        Why this one, for people.
    """
    if device != "cpu":
        if kind not in ("auto", "torch"):
            raise EngineError(f"{_NAMES[kind]} is for the CPU; this run computes on the GPU.")
        gpu = _in_torch(part, threads, precision, device)
        return Started(gpu), "PyTorch computes on the GPU"
    if kind == "torch":
        return Started(_in_torch(part, threads, precision)), "PyTorch was asked for"
    names = _USUALLY[precision]
    if part.module is None:
        names = tuple(name for name in names if name != "torch")
    if kind != "auto" and kind not in names:
        raise EngineError(f"{_NAMES[kind]} does not compute in {precision} here.")
    opener = _Opener(part, images, threads, precision, at_once)
    if kind != "auto":
        asked = opener.open(kind)
        return asked.started, f"{_NAMES[kind]} was asked for ({asked.agrees})"
    pixels = None if n_images is None else n_images * part.preprocessing.size**2
    few = pixels is not None and pixels < EXPORT_PAYS_FROM
    if part.module is not None and few and at_once is None:
        quick = Started(_in_torch(part, threads, precision))
        return quick, "PyTorch has so few images done before another engine is ready"
    names = tuple(name for name in names if name != "openvino" or openvino_engine.installed())
    if at_once is not None:
        # others are opened for a batch of their own
        names = tuple(name for name in names if name != "openvino")
    known = recall_choice(part.shape_key, threads, precision, names)
    try:
        opened = opener.first((known.engine, *names) if known else names)
    except EngineError as error:
        return _as_it_is(part, threads, error)
    if at_once is not None:
        return opened.started, f"memory has room for {at_once} images at a time in this network"
    if opened.instead_of:
        return opened.started, f"{_NAMES[opened.name]}, because {opened.instead_of}"
    if known is None:
        return _fastest(opener, opened, names, n_images or 0)
    opened.started.engine = paced(opened.started.engine, known.batch, known.lanes)
    return opened.started, f"{_NAMES[opened.name]} was fastest here before and {opened.agrees}"


def _as_it_is(part: FrozenPart, threads: int, error: EngineError) -> tuple[Started, str]:
    """Return the graph with nothing merged, which other engines were compared with."""
    # where channels hardly vary, merging norm layers costs digits; where they do not vary at all,
    # as in blank pictures, all of them
    if part.graph is None:
        raise error
    batch = usual_batch(part.preprocessing.size)
    plain = OnnxEngine(part.graph.reference(), threads=threads, optimized=False, batch=batch)
    return Started(plain), f"ONNX Runtime with nothing merged, because {error.message}"


def _in_torch(part: FrozenPart, threads: int, precision: Precision, device: str = "cpu") -> Engine:
    """Return the engine that is PyTorch, which only networks of PyTorch need."""
    from frostline.compute.engines.torch_engine import TorchEngine

    return TorchEngine(part, threads=threads, device=device, precision=precision)


@dataclass(frozen=True)
class _Opened:
    """An engine by its name, how well it agrees, and what is wrong with those tried before it."""

    name: str
    started: Started
    agrees: str
    instead_of: str = ""


class _Opener:
    """Opens engines for one part and checks them against a reference in fp32, computed once.

    The reference is PyTorch; for a part without it the graph as it is, nothing merged.
    """

    def __init__(
        self,
        part: FrozenPart,
        images: FirstImages,
        threads: int,
        precision: Precision,
        at_once: int | None = None,
    ) -> None:
        self.part, self.images = part, images
        self.threads, self.precision = threads, precision
        self.at_once = at_once
        self.rounds_otherwise = False

    @cached_property
    def expected(self) -> FloatArray:
        check = np.stack(self.images.up_to(CHECK_IMAGES))
        if self.part.graph is None:
            reference = _in_torch(self.part, self.threads, "fp32")
            if self.at_once is not None:
                reference = paced(reference, min(reference.batch, self.at_once), 1)
            return run_parts(reference, check)
        plain = self._onnx(self.part.graph.reference(), optimized=False)
        return np.stack([result for _, result in run_batches(plain, ((None, i) for i in check))])

    def first(self, names: Sequence[str]) -> _Opened:
        """Open the first engine that can be used; EngineError if there is none."""
        failures: list[str] = []
        for name in dict.fromkeys(names):
            if self.rounds_otherwise and name != "torch":
                continue
            try:
                return replace(self.open(name), instead_of="; ".join(failures))
            except EngineError as error:
                failures.append(f"{_NAMES[name]} cannot be used: {error.message}")
        raise EngineError("; ".join(failures))

    def open(self, name: str) -> _Opened:
        """Open an engine; a cached file gets a second, fresh chance."""
        if name == "torch":
            reference = _in_torch(self.part, self.threads, self.precision)
            if self.at_once is not None:
                reference = paced(reference, min(reference.batch, self.at_once), 1)
            return _Opened(name, Started(reference), "computes the reference itself")
        model, cached = exported(self.part)
        try:
            return self._checked(name, model)
        except EngineError:
            if not cached or self.rounds_otherwise:
                raise
        model, _ = exported(self.part, fresh=True)
        return self._checked(name, model)

    def _onnx(self, model: bytes, *, optimized: bool = True) -> OnnxEngine:
        """Open ONNX Runtime with as many lanes, and as large a batch, as memory has room for."""
        batch, lanes = usual_batch(self.part.preprocessing.size), self.threads
        if self.at_once is not None:
            lanes = min(lanes, self.at_once)
            batch = min(batch, self.at_once // lanes)
        return OnnxEngine(model, threads=lanes, optimized=optimized, batch=batch)

    def _checked(self, name: str, model: bytes) -> _Opened:
        engine: Engine
        if name == "onnx":
            engine = self._onnx(model)
        else:
            engine = openvino_engine.OpenVinoEngine(
                model, threads=self.threads, precision=self.precision
            )
        started = Started(engine)
        started.go_on(self.images, CHECK_IMAGES)
        found = agreement(np.stack(started.results), self.expected, self.part.blocks)
        most = MAX_DIFFERENCE if self.part.graph is None else MAX_DIFFERENCE_GRAPH
        if not found.close(self.precision, most=most):
            self.rounds_otherwise = found.cosine >= MIN_COSINE and found.difference < _ROUNDING
            raise EngineError(
                f"its numbers differ by {found.difference:.1e} standard deviations "
                f"(cosine {found.cosine:.6f})."
            )
        whose = "PyTorch's numbers" if self.part.graph is None else "the network's own numbers"
        agrees = f"gives {whose} (largest difference {found.difference:.1e} standard deviations)"
        return _Opened(name, started, agrees)


def _fastest(
    opener: _Opener, usual: _Opened, names: Sequence[str], n_images: int
) -> tuple[Started, str]:
    """Take the engine that is usually the fastest, or in a long pass the one that is now."""
    images = opener.images
    opened = [usual]
    if min(n_images, images.total or n_images) >= RACE_PAYS_FROM:
        began = time.perf_counter()
        spare = max(RACE_SECONDS, RACE_SHARE * n_images * usual.started.seconds.wall)
        for name in names:
            # PyTorch took four to ten times as long wherever it was measured
            if name in (usual.name, "torch"):
                continue
            with contextlib.suppress(EngineError):
                opened.append(opener.open(name))
        if len(opened) > 1:
            race([one.started for one in opened], images, began + spare)
    best = opened[0]
    for one in opened[1:]:
        if best.started.rate < _CLEARLY_FASTER * one.started.rate:
            best = one
    tuned = tune(best.started, images)
    if len(opened) == 1 and not tuned:
        return best.started, f"{_NAMES[best.name]} is usually the fastest and {best.agrees}"
    rates = {one.name: one.started.rate for one in opened}
    engine = best.started.engine
    choice = Choice(best.name, engine.batch, engine.concurrent_batches, rates)
    remember_choice(opener.part.shape_key, opener.threads, opener.precision, choice)
    own = rates[best.name]
    others = ", ".join(f"{_NAMES[n]} {rate:.0f}" for n, rate in rates.items() if n != best.name)
    way = f"{engine.batch} at a time in {engine.concurrent_batches} lanes"
    return best.started, (
        f"{_NAMES[best.name]} is the fastest here ({own:.0f} images a second, {way}; "
        f"{others or 'none'} else) and {best.agrees}"
    )
