"""The numbers that a decision turns on, in one place, fitted by ``benchmarks/decision``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """When an option is tried, dropped or preferred; shares and accuracies lie in [0, 1].

    - ``good_enough``: frozen features that leave less than this to gain by leave-one-out are not
      raced.
    - ``fewest_per_class``: with fewer training images in the median class nothing is trained by
      gradient.
    - ``head_tie``: a simpler head is taken if it loses at most this, and less than one paired
      error.
    - ``errors``: a simpler option is taken if it loses at most this many paired errors, and at most
      ``most_lost``.
    - ``most_lost``: of the probability that the best one gives to the true class.
    - ``least_gain``: where a race has gained less than this on data alike, none is run.
    - ``prior_of_head``: weight of the head in an average before any image was judged; the options
      that train layers share the rest.
    - ``prior_images``: how many judged images that is worth.
    - ``least_of_prior``: an option whose weight falls below this share of what it had before is not
      part of the average.
    - ``network_tie``: a cheaper network, or a smaller input, is taken if it loses at most this, and
      at most one paired error.
    """

    good_enough: float = 0.03
    fewest_per_class: float = 5.0
    head_tie: float = 0.005
    errors: float = 1.0
    most_lost: float = 0.01
    least_gain: float = 0.005
    prior_of_head: float = 0.5
    prior_images: float = 30.0
    least_of_prior: float = 0.5
    network_tie: float = 0.01


FITTED = Thresholds()
