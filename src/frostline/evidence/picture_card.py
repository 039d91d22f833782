"""Cards of reference pictures: a stand-in for what norm layers of some kinds do not store.

BatchNorm remembers mean and variance of every channel in pretraining. LayerNorm, RMSNorm and
GroupNorm do not. What ordinary photos give at their inputs takes that place, and is called that.
On EfficientNet-Lite0, whose BatchNorm knows better, both distances say nearly the same of 14 sets
of images (``python -m benchmarks.shift_cards``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.compute.moments import NormMoments, SourceNorm, SourceStatistics, split_moments
from frostline.core.plan import ShiftEvidence
from frostline.core.runtime import Runtime
from frostline.evidence.pictures import are_photos, reference_pictures
from frostline.evidence.profile import alive_channels
from frostline.evidence.shift import Z95, measure_shift, with_noise

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

#: multiples of the card's yardstick: where the bundled card of EfficientNet-Lite0 has its limits.
#: No other kind of network had a say
SIMILAR_BELOW = 0.8
DIFFERENT_FROM = 1.3

_SPLITS = 8


@dataclass(frozen=True)
class PictureCard:
    """What reference pictures give at every norm layer of one network.

    - ``sources``: mean and variance of every channel over the photos among the pictures, by depth.
    - ``sampling``: by depth, what the choice of these few photos adds to every squared shift.
    - ``yardstick``: distance of the drawn pictures from the photos: a moderate one.
    - ``noise``: distance of one half of the photos from the other, root mean square over splits.
      Nothing nearer than this can be told from nothing.
    - ``n_photos``: number of photos. ``n_pictures``: of all pictures.
    """

    sources: list[SourceStatistics]
    sampling: list[float]
    yardstick: float
    noise: float
    n_photos: int
    n_pictures: int


CARD = Memo(name="picture card", version=1, libraries=NETWORKS, result=PictureCard)


def picture_card(frozen: Frozen, moments: NormMoments, runtime: Runtime) -> PictureCard:
    """Return the card of a network, from the pictures or from an earlier run.

    ``moments``: of images at the network's norm layers, whose number is that of the pictures.
    """
    n = moments.n_pictures

    def make() -> PictureCard:
        images = reference_pictures(frozen.network.preprocessing, n)
        values, photos = frozen.runner.moments_of(images, runtime), are_photos(n)
        return make_card(moments.norms, values[photos], values[~photos])

    inputs = {"part": moments.key, "numerics": runtime.numerics_id, "pictures": n}
    return memoize(CARD, inputs, make)


def make_card(
    norms: Sequence[SourceNorm],
    shown: npt.NDArray[np.float32],
    drawn: npt.NDArray[np.float32],
) -> PictureCard:
    """Return the card that follows from moments of pictures.

    ``shown``, shape (n, width): of what stands for the source. ``drawn``, shape (m, width): of what
    lies at a moderate distance from it.
    """
    sources, sampling = _statistics(norms, shown)
    rng = np.random.default_rng(0)
    halves = [np.array_split(rng.permutation(len(shown)), 2) for _ in range(_SPLITS)]
    apart = [_distance(norms, shown[one], shown[other]) for one, other in halves]
    return PictureCard(
        sources=sources,
        sampling=sampling,
        yardstick=_distance(norms, drawn, shown),
        noise=float(np.sqrt(np.mean(np.square(apart)))),
        n_photos=len(shown),
        n_pictures=len(shown) + len(drawn),
    )


def shift_from_card(moments: NormMoments, card: PictureCard, *, seed: int = 0) -> ShiftEvidence:
    """Compare images with a card, as :func:`measure_shift` does with stored statistics.

    The interval also holds the card's own noise. The label is "unknown" where it reaches from
    similar to different, and where the network tells drawings from photos no better than photos
    from photos. Raises InputError if there are fewer than two images.
    """
    limits = SIMILAR_BELOW * card.yardstick, DIFFERENT_FROM * card.yardstick
    beside = moments.beside(card.sources)
    compared = measure_shift(beside, limits=limits, sampling=card.sampling, seed=seed)
    tells = card.yardstick > Z95 * card.noise
    found = with_noise(compared, limits, noise=card.noise, tells=tells)
    return found.model_copy(
        update={
            "measure": "reference pictures",
            "n_reference": card.n_photos,
            # its limits are those of statistics of pretraining
            "preprocessing": "",
            "warnings": _warnings(card, found),
        }
    )


def _warnings(card: PictureCard, found: ShiftEvidence) -> list[str]:
    said = [
        "This network stores no statistics of its pretraining images, so yours were compared with "
        f"{card.n_photos} photos that come with Frostline. What the network learned from may be "
        "something else."
    ]
    if found.label == "unknown":
        said.append(
            f"Your images lie {found.distance:.2g} from these photos, drawings "
            f"{card.yardstick:.2g}, and halves of the photos {card.noise:.2g} from each other: too "
            "much to tell near from far. So the shift is not known, and decides nothing."
        )
    return said


def _distance(
    norms: Sequence[SourceNorm],
    images: npt.NDArray[np.float32],
    source: npt.NDArray[np.float32],
) -> float:
    sources, sampling = _statistics(norms, source)
    moments = NormMoments(list(norms), images, np.arange(len(images)))
    return measure_shift(moments.beside(sources), sampling=sampling).distance


def _statistics(
    norms: Sequence[SourceNorm], values: npt.NDArray[np.float32]
) -> tuple[list[SourceStatistics], list[float]]:
    """Return mean and variance at every layer, and what the choice of these images adds to it."""
    sources, sampling = [], []
    for norm, (mean, square) in zip(norms, split_moments(norms, values), strict=True):
        centre = mean.mean(axis=0)
        variance = np.maximum(square.mean(axis=0) - centre**2, 0.0)
        alive = alive_channels(variance)
        error = mean.var(axis=0, ddof=1) / len(mean)
        sources.append(SourceStatistics(centre, variance))
        sampling.append(float(np.mean((error / (variance + norm.eps))[alive])))
    return sources, sampling
