"""Cards of source pictures: how far images lie from some that the network was pretrained on.

A picture is, at every norm layer, the mean of every channel and the logarithm of its spread. A card
knows how these vary from picture to picture: their mean, their variance, and the directions in
which they vary together. How far images lie from the card is the Mahalanobis distance of their
mean, squared, with a covariance that is shrunk half-way to its diagonal, as 64 pictures say little
of a thousand channels (Ledoit & Wolf 2004, a well-conditioned estimator for large-dimensional
covariance matrices). The unit is the distance of one more picture of the source, from pictures that
were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.compute.moments import FloatArray64, NormMoments, SourceNorm, split_moments
from frostline.core.errors import InputError
from frostline.core.plan import ShiftEvidence
from frostline.core.runtime import Runtime
from frostline.evidence.profile import LayerProfile, alive_channels
from frostline.evidence.shift import evidence_of, resamples, with_noise
from frostline.evidence.source_pictures import FEWEST, SourcePictures

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

#: distances below which images are similar, and from which they are different. Placed between sets
#: of a transformer that learned letters, most of which had been seen by then (docs/shift.md)
SIMILAR_BELOW = 0.1
DIFFERENT_FROM = 0.9
# share of the diagonal in the covariance
_SHRUNK = 0.5
# share of a layer's usual variance over space that every channel has at least
_FLOOR = 1e-2
_TINY = 1e-12
_SPLITS = 8
_RATIO_RANGE = (1e-4, 1e4)


@dataclass(frozen=True)
class LayerCard:
    """How pictures of the source vary at the input of one norm layer.

    - ``n``: number of pictures.
    - ``floor``: variance over space that is added to every one, so that channels which hardly vary
      are no matter.
    - ``centre`` and ``scale``, shape (F,): their mean, and one over their spread; 0 for what hardly
      varies and is left out. F is twice the channels: means, then logarithms of spreads.
    - ``directions``, shape (k, F): orthonormal, in which scaled pictures vary together.
    - ``less``, shape (k,): how much less a step in such a direction counts than one in others.
    - ``unit``: squared distance of one more picture of the source.
    """

    n: int
    floor: float
    centre: FloatArray64
    scale: FloatArray64
    directions: FloatArray64
    less: FloatArray64
    unit: float

    def scaled(self, mean: FloatArray64, square: FloatArray64) -> FloatArray64:
        """Return pictures (n, F), from moments (n, C), with the source at 0 and its spread at 1."""
        return (_pictures(mean, square, self.floor) - self.centre) * self.scale

    def squared(self, steps: FloatArray64) -> FloatArray64:
        """Return the squared distance from 0 of scaled steps (n, F), in units of the card: (n,)."""
        along = steps @ self.directions.T
        whole = np.einsum("nf,nf->n", steps, steps) / _SHRUNK
        squared: FloatArray64 = (whole - along**2 @ self.less) / self.unit
        return squared


@dataclass(frozen=True)
class SourceCard:
    """What pictures of its pretraining give at every norm layer of one network.

    - ``layers``: by depth.
    - ``noise``: distance of one half of the pictures from the other, root mean square over splits.
    """

    layers: list[LayerCard]
    noise: float

    @property
    def n_pictures(self) -> int:
        """Number of pictures."""
        return self.layers[0].n


CARD = Memo(name="source card", version=1, libraries=NETWORKS, result=SourceCard)


def source_card(
    frozen: Frozen, moments: NormMoments, pictures: SourcePictures, runtime: Runtime
) -> SourceCard:
    """Return the card of a network, from pictures that it learned from or from an earlier run.

    Raises InputError if there are fewer than eight of them.

    ``moments``: of images at the network's norm layers, whose number is that of the pictures.
    """
    network = frozen.network

    def make() -> SourceCard:
        images = pictures.pixels(network.preprocessing, moments.n_pictures, runtime)
        return make_card(moments.norms, frozen.runner.moments_of(images, runtime))

    inputs = {
        "part": moments.key,
        "numerics": runtime.numerics_id,
        "pictures": pictures.digests[: moments.n_pictures],
    }
    return memoize(CARD, inputs, make)


def make_card(norms: Sequence[SourceNorm], source: npt.NDArray[np.float32]) -> SourceCard:
    """Return the card that follows from moments (n, width) of pictures of the source.

    Raises InputError if there are fewer than eight.
    """
    n = len(source)
    if n < FEWEST:
        raise InputError(f"A card needs at least {FEWEST} pictures of the pretraining, not {n}.")
    shown = split_moments(norms, source)
    rng, apart = np.random.default_rng(0), []
    for _ in range(_SPLITS):
        one, other = np.array_split(rng.permutation(n), 2)
        halves = [
            (_layer_card(mean[one], square[one]), mean[other], square[other])
            for mean, square in shown
        ]
        apart.append(np.mean([_debiased(card, card.scaled(*rest)) for card, *rest in halves]))
    layers = [_layer_card(mean, square) for mean, square in shown]
    return SourceCard(layers, float(np.sqrt(np.mean(np.square(apart)))))


def shift_from_source(moments: NormMoments, card: SourceCard, *, seed: int = 0) -> ShiftEvidence:
    """Compare images with a card of the source.

    The 95 % interval holds the error of sampling images and the card's own noise; the label is
    "unknown" where it reaches from similar to different. Raises InputError if there are fewer than
    two images.
    """
    m = len(moments.rows)
    if m < 2:
        raise InputError("Shift needs at least two images.")
    weights = resamples(m, seed=seed).astype(np.float64)
    values = split_moments(moments.norms, moments.values)
    profiles = [
        _profile(norm, layer, layer.scaled(*value), weights)
        for norm, layer, value in zip(moments.norms, card.layers, values, strict=True)
    ]
    limits = SIMILAR_BELOW, DIFFERENT_FROM
    found = with_noise(evidence_of(profiles, limits=limits, n_images=m), limits, noise=card.noise)
    warnings = []
    if found.label == "unknown":
        warnings.append(
            f"Your images lie {found.distance:.2g} from {card.n_pictures} pictures of the "
            f"network's pretraining, and halves of these {card.noise:.2g} from each other: too "
            "much to tell near from far. So the shift is not known, and decides nothing."
        )
    return found.model_copy(
        update={
            "measure": "source pictures",
            "n_reference": card.n_pictures,
            "warnings": warnings,
        }
    )


def _pictures(mean: FloatArray64, square: FloatArray64, floor: float) -> FloatArray64:
    """Return pictures (n, F): means of channels, then logarithms of spreads."""
    variance = np.maximum(square - mean**2, 0.0) + floor
    return np.concatenate([mean, 0.5 * np.log(variance)], axis=1)


def _layer_card(mean: FloatArray64, square: FloatArray64) -> LayerCard:
    n = len(mean)
    inside = np.maximum(square - mean**2, 0.0).mean(axis=0)
    floor = max(_FLOOR * float(np.median(inside)), _TINY)
    pictures = _pictures(mean, square, floor)
    centre, variance = pictures.mean(axis=0), pictures.var(axis=0, ddof=1)
    alive = np.tile(alive_channels(inside + mean.var(axis=0)), 2) & (variance > _TINY)
    scale = np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=alive)
    steps = (pictures - centre) * scale
    _, singular, directions = np.linalg.svd(steps, full_matrices=False)
    share = 1.0 - _SHRUNK
    eigenvalues = share * singular**2 / (n - 1) + _SHRUNK
    # what one more picture is away: each is left out of mean and covariance (Sherman & Morrison)
    left = share * singular**2 / (n - 2) + _SHRUNK
    squared = (steps**2).sum(axis=1) / _SHRUNK
    squared -= (steps @ directions.T) ** 2 @ (1.0 / _SHRUNK - 1.0 / left)
    weight = share / (n - 2) * n / (n - 1)
    unit = float(np.mean((n / (n - 1)) ** 2 * squared / (1.0 - weight * squared)))
    less = 1.0 / _SHRUNK - 1.0 / eigenvalues
    return LayerCard(n, floor, centre, scale, directions, less, unit)


def _debiased(card: LayerCard, steps: FloatArray64) -> float:
    """Return the squared distance of the pictures' mean, less what sampling adds to it."""
    middle = steps.mean(axis=0)
    chance = float(card.squared(steps - middle).sum()) / (len(steps) - 1) / len(steps)
    return float(card.squared(middle[None])[0]) - chance - 1.0 / card.n


def _profile(
    norm: SourceNorm, card: LayerCard, steps: FloatArray64, weights: FloatArray64
) -> LayerProfile:
    m, alive = len(steps), card.scale > 0
    middle, variance = steps.mean(axis=0)[alive], steps.var(axis=0, ddof=1)[alive]
    ratio = np.clip(variance, *_RATIO_RANGE)
    squares = middle**2 - variance / m - 1.0 / card.n
    return LayerProfile(
        name=norm.name,
        shift=_debiased(card, steps),
        shift_median=float(np.median(squares)),
        kl=float(np.mean(0.5 * (ratio + squares - 1.0 - np.log(ratio)))),
        resampled=card.squared(weights @ steps / m),
        depth=norm.depth,
    )
