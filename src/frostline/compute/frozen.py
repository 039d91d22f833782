"""The frozen work of a run: what one pass over all images found, and what is asked for later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline.compute.activation_cache import ActivationCache
from frostline.compute.cache.fact import digest_of
from frostline.compute.engines.frozen_part import libraries_of
from frostline.compute.features import Features
from frostline.compute.frozen_runner import MOMENTS, FrozenRunner
from frostline.compute.image_loader import ImageLoader
from frostline.compute.taps_pass import PassReport, run_taps_pass
from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.unseen import PictureFacts

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork


@dataclass(frozen=True)
class Before:
    """What is known of images of an earlier run.

    ``needed``: digests of those that may not be left out. ``kept``: where that run kept their
    features, laid out like the store; None where it did not.
    """

    needed: Collection[str] = ()
    kept: Path | None = None


@dataclass(frozen=True, eq=False)
class Frozen:
    """A frozen network on a catalog.

    - ``features``: what it says about every image.
    - ``runner``: runs it again.
    - ``activations``: what it makes of images at a cut.
    - ``report``: how the pass went.
    """

    features: Features
    runner: FrozenRunner
    activations: ActivationCache
    report: PassReport

    @property
    def network(self) -> FrozenNetwork:
        return self.runner.network

    @property
    def catalog(self) -> Catalog:
        """The readable images."""
        return self.features.catalog


def run_frozen(
    network: FrozenNetwork,
    catalog: Catalog,
    runtime: Runtime,
    *,
    preprocessed_bytes: int | None = None,
    at_once: int | None = None,
    before: Before | None = None,
    fittable: bool = True,
) -> Frozen:
    """Compute the taps of every image that the store does not know yet.

    Images of equal content are computed once. What is computed is stored as it comes, so a run that
    is killed loses little. Unreadable images are left out and remembered by name. Raises InputError
    if too few readable images remain, or one that is needed can neither be read nor is stored.

    ``at_once``: so many images have room in memory at a time; None for no limit. ``before``: of an
    earlier run that is gone on from. ``fittable``: whether what is left must be enough to fit a
    classifier to.
    ``preprocessed_bytes``: what preprocessed images may take in memory; see
    :class:`frostline.compute.image_loader.ImageLoader`.
    """
    images = ImageLoader(
        catalog,
        network.preprocessing,
        max_pixels=runtime.max_pixels,
        workers=runtime.workers,
        preprocessed_bytes=preprocessed_bytes,
    )
    found = run_taps_pass(
        network,
        images,
        list(dict.fromkeys(catalog.digests)),
        runtime,
        at_once=at_once,
        kept=None if before is None else before.kept,
    )
    bad = found.unreadable
    if before is not None:
        _refuse_lost(before.needed, bad)
    readable = catalog.without(
        {i: bad[digest] for i, digest in enumerate(catalog.digests) if digest in bad}
    )
    if bad and fittable:
        readable.check()
    arrays = found.rows.arrays
    index = np.array([found.rows.index[digest] for digest in readable.digests], dtype=np.int64)
    features = Features(
        network=network.name,
        weights_id=network.weights_id,
        preprocessing=network.preprocessing,
        catalog=readable,
        values=arrays["taps"],
        index=index,
        slices=found.slices,
        thumbnails=_gathered(arrays["thumbnail"], index),
        facts=PictureFacts(
            sizes=arrays["size"][index], pages=arrays["pages"][index], blank=arrays["blank"][index]
        ),
        key=digest_of([found.key, MOMENTS.key({}, libraries_of(network))]),
    )
    return Frozen(
        features=features,
        runner=FrozenRunner(network, features, images, found.engine),
        activations=ActivationCache(network, images, readable.digests),
        report=found.report,
    )


def _refuse_lost(needed: Collection[str], bad: Mapping[str, str]) -> None:
    lost = sum(digest in bad for digest in needed)
    if lost:
        raise InputError(
            f"Of {len(needed):,} images that an earlier run used {lost:,} are neither in the store "
            "of features nor readable at their place.",
            hint="Put them back, or name them to be removed.",
        )


def _gathered(values: UInt8Array, index: IntArray) -> UInt8Array:
    """Return ``values[index]``, without a copy where these are all rows in their order."""
    if np.array_equal(index, np.arange(len(values))):
        return values
    return values[index]
