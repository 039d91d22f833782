"""On few images the best options of a race are averaged: no race can tell them apart there.

Their mistakes differ, so an average is often better than each of them; but one that is far behind
makes it worse. So every member counts by what it gave to the truth on images that it did not learn
from, beginning at a prior of half for the head and half for all that train layers, and whoever the
evidence does not support is left out (``benchmarks/decision``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.actions import Blend
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.plan import CandidateResult
from frostline.core.reasons import Averaged, Fate
from frostline.stats.inputs import group_codes
from frostline.stats.intervals import mean_error, paired_difference
from frostline.stats.metrics import Gains, side_by_side
from frostline.stats.mixture import log_score, mixture_weights
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import FoldResult, RaceEntryState
from frostline.strategy.thresholds import FITTED, Thresholds

#: so many options are averaged at most
MEMBERS = 4
#: from so many training images on a race tells options apart, and one network is enough
FEW_IMAGES = 500
#: an average is scored on each of so many parts of the images with what the others say of it
_PARTS = 5
#: weights are kept to so many digits
_DIGITS = 4


@dataclass(frozen=True)
class Blended:
    """An average of options: what would be carried out, its members, and its score in the race.

    ``gains``, shape (n,): what left-out images contribute to a metric by its probabilities; None
    where accuracy is wanted.
    """

    proposal: Proposal
    members: tuple[RaceEntryState, ...]
    result: CandidateResult
    reason: Averaged
    gains: FloatArray | None = None

    def loses_to(self, winner: RaceEntryState) -> bool:
        """Whether it serves the metric clearly worse than one option alone.

        Its weights are those of the best log score, which another metric need not agree with.
        """
        if self.gains is None:
            return False
        loss, error = paired_difference(winner.gains, self.gains, groups=winner.groups)
        return loss > error


def blend_of(
    standings: Sequence[RaceEntryState],
    *,
    n_images: int,
    seconds: float = float("inf"),
    thresholds: Thresholds = FITTED,
) -> Blended | None:
    """Return the average of the options that the race speaks for, or None if that is one alone.

    ``standings``: after the race. ``n_images``: training images. ``seconds``: nominal seconds that
    training all members may take; one that goes beyond is passed over.
    """
    if n_images >= FEW_IMAGES:
        return None
    affordable = _affordable(standings, seconds)
    if len(affordable) < 2:
        return None
    groups = affordable[0].groups
    p_true = np.stack([s.p_true for s in affordable])
    prior = _prior(affordable, thresholds)
    weights = _weights(p_true, prior, groups, thresholds)
    order = [int(i) for i in np.argsort(-weights, kind="stable") if weights[i] > 0]
    if len(order) < 2:
        return None
    members = [affordable[i] for i in order]
    shares = _rounded(weights[order])
    leading = members[0].proposal
    names = [f"'{m.name}'" for m in members]
    action = Blend(members=[m.proposal.action for m in members], weights=shares)
    taken = sum(m.proposal.seconds for m in members)
    name = f"average of {', '.join(names[:-1])} and {names[-1]}"
    unseen = _weights_without(p_true, prior, groups, thresholds)
    together = np.sum(unseen * p_true, axis=0)
    scores = _scores(affordable, unseen)
    reason = Averaged(
        few=FEW_IMAGES,
        n_members=len(members),
        n_images=len(together),
        log_loss=-log_score(together, groups),
        leading=members[0].name,
        log_loss_alone=-log_score(p_true[order[0]], groups),
        weights=shares,
    )
    result = CandidateResult(
        name=name,
        kind=action.kind,
        score=None if scores is None else float(scores.mean()),
        standard_error=None if scores is None else mean_error(scores, groups),
        seconds=round(sum(m.seconds for m in members), 1),
        fate=Fate.CHOSEN,
    )
    proposal = Proposal(name, leading.strategy, action, None, taken)
    gains = _gains(affordable, unseen)
    return Blended(proposal, tuple(members), result, reason, gains)


def _affordable(standings: Sequence[RaceEntryState], seconds: float) -> list[RaceEntryState]:
    """The best that can be trained in a time, in the order in which they came."""
    left = seconds
    kept: list[RaceEntryState] = []
    for standing in sorted(standings, key=lambda s: -float(s.gains.mean())):
        cost = standing.proposal.seconds
        if len(kept) < MEMBERS and cost <= left:
            kept.append(standing)
            left -= cost
    return [s for s in standings if s in kept]


def _prior(members: Sequence[RaceEntryState], thresholds: Thresholds) -> FloatArray:
    """What each weighs before any image was judged: heads and what trains in two parts."""
    trains = np.array([m.trains for m in members])
    n_trained = int(trains.sum())
    if not 0 < n_trained < len(members):
        return np.full(len(members), 1.0 / len(members))
    head = thresholds.prior_of_head
    return np.where(trains, (1.0 - head) / n_trained, head / (len(members) - n_trained))


def _weights(
    p_true: FloatArray, prior: FloatArray, groups: IntArray, thresholds: Thresholds
) -> FloatArray:
    """Weights of all members, 0 for those that are left out."""
    found = mixture_weights(p_true, prior, strength=thresholds.prior_images, groups=groups)
    kept = np.where(found >= thresholds.least_of_prior * prior, found, 0.0)
    return np.asarray(kept / kept.sum())


def _weights_without(
    p_true: FloatArray, prior: FloatArray, groups: IntArray, thresholds: Thresholds
) -> FloatArray:
    """For every image the weights that images of other groups give, shape (m, n)."""
    part = group_codes(groups, n_rows=len(groups)) % _PARTS
    found = np.empty_like(p_true)
    for one in np.unique(part):
        out = part == one
        found[:, out] = _weights(p_true[:, ~out], prior, groups[~out], thresholds)[:, None]
    return found


def _scores(members: Sequence[RaceEntryState], weights: FloatArray) -> Gains | None:
    """What left-out images contribute by the average; None where probabilities were not kept."""
    parts = _averages(members, weights)
    if parts is None:
        return None
    found: list[Gains] = []
    for judged, here, mean in parts:
        judge = judged[0].judge
        if judge is not None:
            found.append(judge.of_decisions(mean))
        else:
            # the truth is where the judged probability of the truth came from
            sure = np.sum(here * np.stack([one.p_true for one in judged]), axis=0)
            found.append(mean.max(axis=1) <= sure + np.finfo(np.float64).eps)
    return side_by_side(found)


def _gains(members: Sequence[RaceEntryState], weights: FloatArray) -> FloatArray | None:
    """What they contribute by its probabilities; None where accuracy is wanted."""
    found = [
        judged[0].judge.of_probabilities(mean)
        for judged, _, mean in _averages(members, weights) or ()
        if judged[0].judge is not None
    ]
    return np.concatenate(found) if found else None


def _averages(
    members: Sequence[RaceEntryState], weights: FloatArray
) -> list[tuple[list[FoldResult], FloatArray, FloatArray]] | None:
    """Return for every fold what was judged, the weights (m, n) and the average (n, C)."""
    found = []
    first = 0
    for fold in sorted(members[0].judged):
        judged = [member.judged[fold] for member in members]
        kept = [one.probabilities for one in judged if one.probabilities is not None]
        if len(kept) < len(judged):
            return None
        last = first + len(kept[0])
        here = weights[:, first:last]
        found.append((judged, here, np.einsum("mn,mnc->nc", here, np.stack(kept))))
        first = last
    return found


def _rounded(weights: FloatArray) -> list[float]:
    """Few digits, adding up to 1."""
    shares = [round(float(w), _DIGITS) for w in weights[1:]]
    return [round(1.0 - sum(shares), _DIGITS), *shares]
