"""Shift at the input of one norm layer, for the images at hand and for resamples of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray
from frostline.core.errors import InputError

if TYPE_CHECKING:
    from frostline.compute.moments import LayerMoments

# channels that hardly varied in pretraining would divide by almost nothing
_DEAD = 1e-3
_RATIO_RANGE = (1e-4, 1e4)


@dataclass(frozen=True)
class LayerProfile:
    """Shift at the input of one norm layer, and its first factors.

    - ``shift``: mean over channels of the debiased squared shift of mean and spread.
    - ``shift_median``: median over channels of the same.
    - ``kl``: mean over channels of the Gaussian Kullback-Leibler divergence, in nats.
    - ``resampled``, shape (n_resamples,): ``shift`` of every resample.
    - ``depth``: share of the network's work before the layer; None where nobody knows.
    - ``gain``: median over channels of target divided by source standard deviation; where it was
      asked for, as is the next.
    - ``gain_spread``: interquartile range over channels of the logarithm of the variance ratio.
    """

    name: str
    shift: float
    shift_median: float
    kl: float
    resampled: FloatArray
    depth: float | None = None
    gain: float = 1.0
    gain_spread: float = 0.0


def profile_layer(layer: LayerMoments, weights: FloatArray) -> LayerProfile:
    """Compare the images' moments at the input of one norm layer with those of the source.

    With channel mean ``mu`` and variance ``v`` (stored: ``mu_s``, ``v_s``), a channel's shift is
    ``(mu - mu_s)^2 / (v_s + eps) + (sqrt(v / (v_s + eps)) - 1)^2``, the squared 2-Wasserstein
    distance of two Gaussians in source standard deviations (per layer as in Schneider et al. 2020).
    Both terms are curved functions of estimates, so with few images each comes out too large; to
    second order that excess follows from the variance over images, and is subtracted. A debiased
    shift may therefore fall slightly below 0. Raises InputError if there are fewer than two images.

    ``weights``, shape (n_resamples, m): how often each resample holds each image; every row sums to
    m.
    """
    if len(layer.mean) < 2:
        raise InputError("Shift needs at least two images.")
    stored = np.asarray(layer.source_var, dtype=np.float64)
    alive = alive_channels(stored)
    a = np.asarray(layer.mean, dtype=np.float64)[:, alive]
    q = np.asarray(layer.square, dtype=np.float64)[:, alive]
    mu, scale = np.asarray(layer.source_mean, dtype=np.float64)[alive], stored[alive] + layer.eps
    # standardised by what is stored: every later step is then free of units
    q = (q - 2.0 * mu * a + mu**2) / scale
    a = (a - mu) / np.sqrt(scale)
    m = len(a)
    products = (a, q, a * a, a * q, q * q)
    z, s, ratio = _debiased([p.mean(axis=0, keepdims=True) for p in products], m)
    z_all, s_all, _ = _debiased([weights @ p / m for p in products], m)
    channels = (z + s)[0]
    log_ratio = np.log(ratio[0])
    low, middle, high = np.quantile(log_ratio, (0.25, 0.5, 0.75))
    return LayerProfile(
        name=layer.name,
        shift=float(channels.mean()),
        shift_median=float(np.median(channels)),
        kl=float(np.mean(0.5 * (ratio[0] + z[0] - 1.0 - log_ratio))),
        resampled=(z_all + s_all).mean(axis=1),
        gain=float(np.exp(middle / 2.0)),
        gain_spread=float(high - low),
        depth=layer.depth,
    )


def alive_channels(variance: FloatArray) -> BoolArray:
    """Return which channels vary enough to be compared, shape (C,), from their variances."""
    return np.asarray(variance >= _DEAD * np.median(variance))


def _debiased(averages: list[FloatArray], m: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return shift of the mean, shift of the spread, and variance ratio, all (b, C).

    ``averages`` are those over images of a, q, a^2, a q and q^2, with source mean 0 and source
    variance 1.
    """
    a, q, aa, aq, qq = averages
    noise_of_mean = (aa - a**2) / (m - 1)
    # the squared mean that is taken off is too large by the same noise
    variance = q - a**2 + noise_of_mean
    ratio = np.clip(variance, *_RATIO_RANGE)
    # an image adds q_i - 2 a a_i to the variance
    spread = (qq - q**2) - 4.0 * a * (aq - a * q) + 4.0 * a**2 * (aa - a**2)
    noise_of_ratio = np.maximum(spread, 0.0) / (m - 1)
    # delta method: (sqrt(r) - 1)^2 = r - 2 sqrt(r) + 1, and sqrt(r) comes out too small
    bias = np.where(ratio == variance, noise_of_ratio / (4.0 * ratio**1.5), 0.0)
    return a**2 - noise_of_mean, (np.sqrt(ratio) - 1.0) ** 2 - bias, ratio
