"""Features of a few images by several ways of making them square; each is decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from frostline.compute.image_loader import (
    PREPROCESSED_BYTES,
    ImageLoader,
    LoadedImage,
    affordable,
    decoded_smaller,
)
from frostline.compute.taps_pass import TapsPass, run_taps_pass
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.decoding.decode import smaller_by

if TYPE_CHECKING:
    from frostline.backbones.frozen_network import FrozenNetwork


class SharingLoader(ImageLoader):
    """Prepares every image that it decodes for the ``others`` as well."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, preprocessed_bytes=0, **options)
        self.others: Sequence[SharingLoader] = ()
        self._given: dict[str, LoadedImage] = {}

    def _load(self, digest: str) -> LoadedImage:
        known = self._given.pop(digest, None)
        if known is not None:
            return known
        image = self._decode(digest)
        for other in self.others:
            other.offer(digest, image)
        return self._made_of(digest, image)

    def offer(self, digest: str, image: Image.Image) -> None:
        """Take an image that somebody else decoded, where it is just what would be decoded here."""
        factor = decoded_smaller(image)
        width, height = factor * image.width, factor * image.height
        size = self.preprocessing.size
        room = affordable(PREPROCESSED_BYTES) // (3 * size * size)
        if smaller_by(width, height, self.preprocessing.decode_at_least) == factor and (
            len(self._given) < room
        ):
            self._given[digest] = self._made_of(digest, image)


def run_resize_passes(
    network: FrozenNetwork,
    catalog: Catalog,
    digests: Sequence[str],
    ways: Sequence[Preprocessing],
    runtime: Runtime,
) -> list[TapsPass]:
    """Return the taps of some images for each way; what the store has is not computed again.

    ``digests``: no two alike. ``ways``: of the same size and normalisation, so that one engine
    serves them all.
    """
    loaders = [
        SharingLoader(catalog, way, max_pixels=runtime.max_pixels, workers=runtime.workers)
        for way in ways
    ]
    loaders[0].others = loaders[1:]
    before = network.preprocessing
    found: list[TapsPass] = []
    try:
        with runtime.progress.task("comparing crop, squash and pad", len(ways)) as bar:
            for way, loader in zip(ways, loaders, strict=True):
                network.preprocessing = way
                opened = next((one for one in found if one.engine is not None), None)
                engine = None if opened is None else opened.engine
                one = run_taps_pass(network, loader, digests, runtime.quiet(), engine=engine)
                if opened is not None and one.report.computed:
                    one.report.reason = opened.report.reason
                found.append(one)
                bar.advance()
    finally:
        network.preprocessing = before
    return found
