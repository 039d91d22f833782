"""Settle how the pictures of a set become square, before all of them go through the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.resize_passes import run_resize_passes
from frostline.compute.taps_pass import PassReport
from frostline.core.arrays import IntArray
from frostline.core.errors import UnreadableImageError
from frostline.core.plan import Plan, ResizeResult
from frostline.core.preprocessing import CROP_MODES, Preprocessing
from frostline.core.runtime import Runtime
from frostline.core.settings import ResizeMode, Settings
from frostline.data.audit import audit
from frostline.data.catalog import Catalog
from frostline.data.decoding.image_refs import size_of_origin
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.splitting.sampling import chosen_rows, stratified_rows
from frostline.data.splitting.split import make_split
from frostline.data.unseen import MATTERS, lost_to_shape, mean_unseen
from frostline.evidence.resizing import (
    ResizeSample,
    ResizeScore,
    best_resize,
    compare_resizes,
)
from frostline.fitting.wanted import problem_of

#: images that are looked at: their headers for what is never seen, their features to compare
MOST_IMAGES = 200


@dataclass(frozen=True)
class Resizing:
    """How a network's pictures become square, and what that was decided from.

    - ``ways``: the preprocessing of each way, the weights' own first.
    - ``mode``: the one that was chosen.
    - ``sample``: what was compared; None where there was nothing to compare.
    - ``reports``: how features of the sample were got.
    """

    ways: Mapping[ResizeMode, Preprocessing]
    mode: ResizeMode
    sample: ResizeSample | None = None
    scores: Mapping[ResizeMode, ResizeScore] | None = None
    reports: Mapping[ResizeMode, PassReport] | None = None

    @property
    def report(self) -> PassReport:
        """What was computed of the chosen way."""
        return PassReport() if self.reports is None else self.reports[self.mode]

    @property
    def own(self) -> ResizeMode:
        """The weights' own way."""
        return next(iter(self.ways))

    @property
    def preprocessing(self) -> Preprocessing:
        """What was chosen."""
        return self.ways[self.mode]

    def again(self, groups: Mapping[str, int], *, threads: int = 1) -> Resizing:
        """Decide again, from those images of the sample that are learned from, in these groups.

        ``groups``: of all images that are learned from, by digest.
        """
        if self.sample is None:
            return self
        sample = self.sample.grouped(groups)
        # groups only grow, so that as many are the same ones
        if len(sample) == len(self.sample) and sample.n_groups == self.sample.n_groups:
            return self
        return replace(_compared(self.ways, sample, threads), reports=self.reports)

    def as_own(self) -> Resizing:
        """Return the same with the weights' own way."""
        return replace(self, mode=self.own)

    def results(self, sizes: IntArray) -> tuple[ResizeResult, ...]:
        """Return what there is to tell. ``sizes``, shape (n, 2): of all images."""
        found = []
        for mode, way in self.ways.items():
            score = None if self.scores is None else self.scores.get(mode)
            if score is None and mode != self.mode:
                continue
            told = (
                {}
                if score is None or self.sample is None
                else {
                    "accuracy": score.accuracy,
                    "gain": score.gain,
                    "gain_error": score.gain_error,
                    "n_images": len(self.sample),
                }
            )
            unseen = mean_unseen(sizes, way)
            found.append(ResizeResult(mode=mode, unseen=unseen, chosen=mode == self.mode, **told))
        return tuple(found)


def settle_resizing(
    network: FrozenNetwork,
    catalog: Catalog,
    settings: Settings,
    runtime: Runtime,
    *,
    plan: Plan | None = None,
    hold_out: bool = True,
) -> Resizing:
    """Choose how pictures become square.

    What was asked for is taken, else what a given plan says, else the weights' own way. That is
    compared with the others, on at most 200 images that the test will not be made of, where more
    than a tenth of the pictures is never seen for their shape alone. Square pictures cost a look
    at a few headers.
    """
    ways = ways_of(network.preprocessing)
    own = network.preprocessing.resize
    asked = settings.resize if settings.resize != "auto" else None if plan is None else plan.resize
    if asked is not None or plan is not None:
        return Resizing(ways, asked or own)
    sizes = _sizes(catalog, runtime)
    if not len(sizes) or lost_to_shape(sizes, ways[own]) <= MATTERS:
        return Resizing(ways, own)
    sample, reports = _sample(network, catalog, settings, runtime, ways, hold_out)
    return replace(_compared(ways, sample, runtime.threads), reports=reports)


def ways_of(own: Preprocessing) -> dict[ResizeMode, Preprocessing]:
    """Return the preprocessing of every way, the weights' own first."""
    others = (mode for mode in CROP_MODES if mode != own.resize)
    return {own.resize: own, **{mode: own.with_resize(mode) for mode in others}}


def _compared(
    ways: Mapping[ResizeMode, Preprocessing], sample: ResizeSample, threads: int
) -> Resizing:
    scores = compare_resizes(sample, threads=threads)
    own = next(iter(ways))
    mode = best_resize(scores, own) if scores else own
    return Resizing(ways, mode, sample, scores)


def _sizes(catalog: Catalog, runtime: Runtime) -> IntArray:
    """Return width and height of a few images that are not the test, (n, 2), from their headers."""
    rows = np.array([i for i, part in enumerate(catalog.parts) if part != "test"], dtype=np.int64)

    def size(row: int) -> tuple[int, int]:
        one = catalog.rows[row]
        return size_of_origin(one.origin, name=one.name, max_pixels=runtime.max_pixels)

    chosen = chosen_rows(catalog.digests, rows, MOST_IMAGES).tolist()
    found = [
        sides
        for sides in read_in_order(chosen, size, workers=0)
        if not isinstance(sides, UnreadableImageError)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _sample(
    network: FrozenNetwork,
    catalog: Catalog,
    settings: Settings,
    runtime: Runtime,
    ways: Mapping[ResizeMode, Preprocessing],
    hold_out: bool,
) -> tuple[ResizeSample, dict[ResizeMode, PassReport]]:
    """Compute features of a few images for every way."""
    groups = audit(catalog, None).groups
    rows = np.arange(len(catalog))
    if hold_out:
        rows = make_split(catalog, groups, test_size=settings.test_size, seed=settings.seed).train
    strata = catalog.target.strata(catalog.truth[rows])
    rows = stratified_rows(catalog.digests, rows, strata, MOST_IMAGES)
    digests = [catalog.digests[row] for row in rows]
    passes = run_resize_passes(network, catalog, digests, list(ways.values()), runtime)
    unreadable = {digest for one in passes for digest in one.unreadable}
    readable = {catalog.digests[i]: int(groups[i]) for i in rows}
    problem = problem_of(catalog, groups, settings)
    sample = ResizeSample(
        tuple(digests),
        problem.labelled(rows),
        {mode: one.rows.arrays["taps"] for mode, one in zip(ways, passes, strict=True)},
        list(passes[0].slices.values()),
    )
    reports = {mode: one.report for mode, one in zip(ways, passes, strict=True)}
    return sample.grouped(
        {digest: group for digest, group in readable.items() if digest not in unreadable}
    ), reports
