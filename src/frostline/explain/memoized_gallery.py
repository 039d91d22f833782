"""The pictures of a report, drawn once for the same classifier and the same images."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from frostline.backbones.fingerprints import fingerprint
from frostline.compute.cache.fact import ENGINES, IMAGES, NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.compute.passes import FeatureStore
from frostline.data.audit import Audit
from frostline.explain.gallery import Gallery
from frostline.explain.make import Drawn, Limits, make_gallery
from frostline.stats.label_issues import Honest

GALLERY = Memo(
    name="gallery",
    version=1,
    libraries=(*IMAGES, *NETWORKS, *ENGINES),
    result=Drawn,
)


def memoized_gallery(
    store: FeatureStore,
    module: nn.Module,
    *,
    labels: npt.NDArray[np.int64],
    assessed: Honest,
    others: Sequence[Honest],
    audit: Audit,
    frozen: Collection[str],
    limits: Limits,
    origin: str,
) -> Gallery:
    """Make what :func:`frostline.explain.make.make_gallery` makes, or read it back.

    Takes what that function does, and ``origin``, which stands for how the module was made: what
    its tensors do not tell. Pictures among which an unreadable image is missing are made again.
    """
    catalog = store.catalog
    inputs = {
        "store": [store.key, store.way],
        "module": [origin, fingerprint(module), sorted(frozen)],
        "labels": labels,
        "assessed": [assessed, *others],
        "audit": audit.to_json(catalog),
        "limits": limits,
        "classes": catalog.classes,
        "names": [row.name for row in catalog.rows],
        "digests": catalog.digests,
    }

    def draw() -> Drawn:
        return make_gallery(
            store,
            module,
            labels=labels,
            assessed=assessed,
            others=others,
            audit=audit,
            frozen=frozen,
            limits=limits,
        )

    return memoize(GALLERY, inputs, draw, keep_if=lambda drawn: drawn.complete).gallery
