"""How pictures become square: compared on a few of them, where much is never seen otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.core.plan import ProbeEvidence
from frostline.core.settings import ResizeMode
from frostline.core.threads import side_by_side
from frostline.evidence.probes import ALL, probe
from frostline.stats.intervals import paired_difference
from frostline.stats.selection import Features
from frostline.targets.labelled import Labelled

# two tries share an error of 5 %, so each interval covers 97.5 % of a normal law
_ERRORS = 2.2414


@dataclass(frozen=True)
class ResizeScore:
    """What one way reaches on left-out images.

    ``score``: by the metric that counts. ``gain``: of the probability of the true class, or of what
    stands for it under that metric, over the weights' own way, with its paired standard error.
    """

    accuracy: float
    score: float
    gain: float
    gain_error: float

    @property
    def clearly_better(self) -> bool:
        """Whether the interval of the gain lies above 0."""
        return self.gain > _ERRORS * self.gain_error


@dataclass(frozen=True)
class ResizeSample:
    """A few training images, each made square in several ways.

    - ``digests``: of the n images.
    - ``tables``: features of shape (n, d) by way, the weights' own way first.
    - ``blocks``: columns of each tap.
    """

    digests: tuple[str, ...]
    labelled: Labelled
    tables: Mapping[ResizeMode, Features]
    blocks: Sequence[slice]

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def n_groups(self) -> int:
        """How many groups its images belong to."""
        return len(np.unique(self.labelled.groups))

    def grouped(self, groups: Mapping[str, int]) -> ResizeSample:
        """Return the images that have a group, in these groups; ``groups``: by digest."""
        rows = np.array([i for i, one in enumerate(self.digests) if one in groups], dtype=np.int64)
        digests = tuple(self.digests[row] for row in rows)
        of_row = np.array([groups[one] for one in digests], dtype=np.int64)
        return replace(
            self,
            digests=digests,
            labelled=replace(self.labelled[rows], groups=of_row),
            tables={mode: table[rows] for mode, table in self.tables.items()},
        )


def compare_resizes(sample: ResizeSample, *, threads: int = 1) -> dict[ResizeMode, ResizeScore]:
    """Score every way by one head on all taps, by exact leave-one-out.

    Ways are compared image by image, by the calibrated probability of the true class, or by what
    probabilities contribute to another metric; groups count, not images. Empty where too few images
    or classes are left to compare.
    """
    labelled = sample.labelled
    if len(np.unique(labelled.truth)) < 2 or sample.n_groups < 3:
        return {}
    tasks = [partial(_scored, table, sample) for table in sample.tables.values()]
    scored = dict(zip(sample.tables, side_by_side(tasks, threads=threads), strict=True))
    own, _ = next(iter(scored.values()))
    found = {}
    for mode, (gains, evidence) in scored.items():
        gain, error = paired_difference(gains, own, groups=labelled.groups)
        found[mode] = ResizeScore(evidence.accuracy, evidence.reached, gain, error)
    return found


def best_resize(scores: Mapping[ResizeMode, ResizeScore], own: ResizeMode) -> ResizeMode:
    """Return the weights' own way, unless another one is clearly better and scores no less."""
    better = [
        mode
        for mode, score in scores.items()
        if mode != own and score.clearly_better and score.score >= scores[own].score
    ]
    return max(better, key=lambda mode: scores[mode].gain, default=own)


def _scored(table: Features, sample: ResizeSample) -> tuple[FloatArray, ProbeEvidence]:
    """Return what the probabilities of every image contribute, and the scores."""
    labelled = sample.labelled
    found = probe(ALL, table, labelled, blocks=sample.blocks)
    left_out = labelled.calibrated(found.fit.loo)
    if labelled.plain:
        return labelled.target.certainty(left_out, labelled.truth), found.evidence
    return labelled.judge(left_out).of_probabilities(left_out), found.evidence
