"""How far images lie from what a network saw in pretraining, by depth and without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.core.plan import LayerShift, ShiftEvidence
from frostline.core.rng import generator
from frostline.evidence.cards import ReferenceCard
from frostline.evidence.profile import LayerProfile, profile_layer

if TYPE_CHECKING:
    from frostline.compute.moments import BatchNormMoments

Kind = Literal["none", "input", "feature", "global", "unknown"]
Label = Literal["similar", "moderate", "different", "unknown"]

N_RESAMPLES = 200
_THIRDS = 3
_INTERVAL = (0.025, 0.975)
Z95 = 1.96

#: distances that separate the labels where no reference card exists; the bundled networks'
#: cards say 0.2 and 0.33, and other architectures have another scale, hence the wider middle
SIMILAR_BELOW = 0.2
DIFFERENT_FROM = 0.4

# one third must exceed the other by this factor to be called the larger
_CLEARLY = 1.2

# A first layer that stands out. Fitted on EfficientNet-Lite0 to Lite2: photos, wallpapers, eight
# narrow kinds of photo, clip art, solar cells and digits, fed rightly, stay under 0.93 and under
# 6.3 times the deeper layers; photos with a wrong mean or with ImageNet constants in place of
# 0.5 exceed 1.69 and 9.4 times.
_STEM_ALONE = 1.5
_STEM_OVER_DEEP = 8.0
# The same with one contrast in all channels: values in [0, 1] in place of [-1, 1] give 0.64 to
# 0.96, 4.4 to 7 times, gains 0.42 to 0.63 and spreads 0.28 to 0.65; nothing fed rightly meets
# all four.
_UNIFORM_STEM = 0.5
_UNIFORM_OVER_DEEP = 4.0
_UNIFORM_GAINS = (0.7, 1.5)
_UNIFORM_SPREAD = 0.8


def measure_shift(
    moments: BatchNormMoments,
    *,
    card: ReferenceCard | None = None,
    limits: tuple[float, float] = (SIMILAR_BELOW, DIFFERENT_FROM),
    sampling: Sequence[float] = (),
    seed: int = 0,
) -> ShiftEvidence:
    """Compare the images at every norm layer with the statistics of the source.

    Raises InputError if there are fewer than two images.

    - ``moments``: of a few hundred training images at most; 30 are enough, two are needed.
    - ``card``: what ordinary photos give on this very network; sets ``relative`` and the
      thresholds.
    - ``limits``: distances below which images are similar, and from which they are different; a
      ``card`` has its own.
    - ``sampling``: by layer, what the error of the source's own statistics adds to a shift, and is
      taken off; nothing by default.
    - ``seed``: for the bootstrap over images.
    - The result: ``distance`` and all shifts are in squared source standard deviations. The 95 %
      interval holds the error of sampling images, with the resamples centred on the estimate (plain
      percentiles would lie too high: resampling adds its own noise to every square). Without
      layers nothing was measured.
    """
    if not moments.layers:
        return unmeasured(
            "This network has no norm layer where it could be measured, or is too large to be "
            "shown other pictures as well: the shift is not known, and the distance of 0 means "
            "nothing."
        )
    m = len(moments.layers[0].mean)
    weights = resamples(m, seed=seed).astype(np.float64)
    profiles = [profile_layer(layer, weights) for layer in moments.layers]
    if sampling:
        profiles = [
            replace(p, shift=p.shift - excess) for p, excess in zip(profiles, sampling, strict=True)
        ]
    if card is not None:
        limits = card.similar_below * card.distance, card.different_from * card.distance
    # the cards that ship, and what they are compared with, count layers
    found = evidence_of(profiles, limits=limits, n_images=m, by_work=card is None)
    return found.model_copy(
        update={
            "relative": None if card is None else found.distance / card.distance,
            "warnings": _warnings(profiles, card),
            "preprocessing": " ".join(preprocessing_warnings(profiles)),
        }
    )


def evidence_of(
    profiles: Sequence[LayerProfile],
    *,
    limits: tuple[float, float],
    n_images: int,
    by_work: bool = True,
) -> ShiftEvidence:
    """Put the layers of a network together, and name the distance and where it sits.

    Where no layer lies in one of the thirds of the work only the kind is unknown.

    ``limits``: distances below which images are similar, and from which they are different.
    ``by_work``: whether thirds are those of the network's work, where that is known, or of its
    layers.
    """
    shifts = np.array([p.shift for p in profiles])
    distance = float(shifts.mean())
    depths = _depths(profiles) if by_work else None
    early, middle, late = thirds(shifts, depths)
    label = label_of(distance, limits)
    everywhere = depths is None or len(set(_third(depths).tolist())) == _THIRDS
    kind = kind_of(early, middle, late) if everywhere else "unknown"
    return ShiftEvidence(
        measure="batchnorm",
        n_images=n_images,
        distance=distance,
        interval=_interval(distance, np.mean([p.resampled for p in profiles], axis=0)),
        relative=None,
        early=early,
        middle=middle,
        late=late,
        kind="none" if label == "similar" else kind,
        label=label,
        layers=[
            LayerShift(layer=p.name, shift=p.shift, shift_median=p.shift_median, kl=p.kl)
            for p in profiles
        ],
    )


def resamples(n: int, *, seed: int) -> IntArray:
    """Return how often each of ``n`` images is drawn in each resample of a bootstrap."""
    rng = generator("shift", seed, n)
    return rng.multinomial(n, np.full(n, 1.0 / n), size=N_RESAMPLES)


def thirds(shifts: FloatArray, depths: FloatArray | None = None) -> tuple[float, float, float]:
    """Return the mean shift of the early, middle and late third of the network.

    A third in which no layer lies repeats that of the layer nearest to it.

    ``shifts``, shape (L,): by depth. ``depths``, shape (L,): share of the network's work before
    each layer, from 0 to 1; None counts layers.
    """
    if depths is not None:
        third = _third(depths)
        middles = (np.arange(_THIRDS) + 0.5) / _THIRDS
        nearest = np.abs(depths[None] - middles[:, None]).argmin(axis=1)
        parts = [shifts[third == i] for i in range(_THIRDS)]
        early, middle, late = (
            float(part.mean() if len(part) else shifts[near])
            for part, near in zip(parts, nearest, strict=True)
        )
        return early, middle, late
    n = len(shifts)
    step = max(1, n // _THIRDS)
    inner = shifts[step : n - step] if n > 2 * step else shifts
    return float(shifts[:step].mean()), float(inner.mean()), float(shifts[n - step :].mean())


def _third(depths: FloatArray) -> IntArray:
    return np.minimum((_THIRDS * depths).astype(np.int64), _THIRDS - 1)


def _depths(profiles: Sequence[LayerProfile]) -> FloatArray | None:
    depths = [p.depth for p in profiles if p.depth is not None]
    return np.array(depths) if len(depths) == len(profiles) else None


def kind_of(early: float, middle: float, late: float) -> Kind:
    """Say where a shift sits.

    ``"input"`` (contrast, sensor, noise: what the first layers see): the early third is over 3
    times the middle one and over the late one. ``"feature"`` (other things are shown): the late
    third is clearly over the early one, or over 3 times the middle one. ``"global"`` otherwise.
    Clearly means by a fifth: profiles that differ by less change sides between samples.
    """
    if early > 3.0 * middle and early > late:
        return "input"
    if late > _CLEARLY * early or late > 3.0 * middle:
        return "feature"
    return "global"


def label_of(distance: float, limits: tuple[float, float]) -> Label:
    """Call a distance similar, moderate or different."""
    similar, different = limits
    if distance < similar:
        return "similar"
    return "different" if distance >= different else "moderate"


def _interval(distance: float, resampled: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(resampled - resampled.mean(), _INTERVAL) + distance
    return float(low), float(high)


def with_noise(
    found: ShiftEvidence, limits: tuple[float, float], *, noise: float, tells: bool = True
) -> ShiftEvidence:
    """Widen the interval by the noise of a card; without a label where it reaches across them all.

    ``noise``: error, root mean square, that the choice of the card's pictures adds to a distance.
    ``tells``: whether the card tells anything at all. The label is "unknown" where it does not, and
    where the interval holds both distances that are similar and distances that are different.
    """
    low, high = (float(np.hypot(end - found.distance, Z95 * noise)) for end in found.interval)
    low, high = found.distance - low, found.distance + high
    similar, different = limits
    changes: dict[str, object] = {"interval": (low, high), "noise": noise}
    if not tells or (low < similar and high >= different):
        changes |= {"label": "unknown", "kind": "unknown"}
    return found.model_copy(update=changes)


def unmeasured(reason: str) -> ShiftEvidence:
    """Return what stands where nothing was measured, and why."""
    return ShiftEvidence(
        measure="none",
        n_images=0,
        distance=0.0,
        interval=(0.0, 0.0),
        relative=None,
        early=0.0,
        middle=0.0,
        late=0.0,
        kind="unknown",
        label="unknown",
        layers=[],
        warnings=[reason],
    )


def _warnings(profiles: Sequence[LayerProfile], card: ReferenceCard | None) -> list[str]:
    found = []
    if card is None:
        found.append(
            "There is no reference card for these weights, so the label rests on general "
            "thresholds and is a rough one."
        )
    return found + preprocessing_warnings(profiles)


def preprocessing_warnings(profiles: Sequence[LayerProfile]) -> list[str]:
    """Return a warning if the first layer alone stands out, as wrong normalisation makes it do.

    Wrong constants, a missing mean or the wrong value range are found. Swapped colour channels
    and inverted images are not: on EfficientNet-Lite they move the distance of photos by under a
    tenth, since networks are trained to bear changes of colour and brightness.
    """
    if len(profiles) < 3:
        return []
    stem = profiles[0]
    deep = float(np.median([p.shift for p in profiles[len(profiles) // 3 :]]))
    low, high = _UNIFORM_GAINS
    alone = stem.shift >= _STEM_ALONE and stem.shift >= _STEM_OVER_DEEP * deep
    uniform = (
        stem.shift >= _UNIFORM_STEM
        and stem.shift >= _UNIFORM_OVER_DEEP * deep
        and not low <= stem.gain <= high
        and stem.gain_spread <= _UNIFORM_SPREAD
    )
    if not (alone or uniform):
        return []
    return [
        f"The first layer ({stem.name}) is shifted by {stem.shift:.2g}, the deeper ones by about "
        f"{deep:.2g}, and its inputs have {stem.gain:.2g} times the spread of pretraining. This is "
        "what a wrong mean, standard deviation or value range looks like: check the preprocessing "
        "before trusting the distance."
    ]
