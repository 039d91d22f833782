"""On few images the best options of a race are averaged: no race can tell them apart there.

In the study of decisions the average of all finalists was about as good as the best single option
in hindsight at 5 images a class, and better at 20, as their mistakes differ
(benchmarks/decision).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.actions import Blend
from frostline.core.plan import CandidateResult
from frostline.core.reasons import Averaged, Fate
from frostline.stats.intervals import mean_error
from frostline.stats.metrics import Gains, side_by_side
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import RaceEntryState

#: so many options are averaged: all that reach the last rung
MEMBERS = 4
#: from so many training images on a race tells options apart, and one network is enough
FEW_IMAGES = 500
#: a probability is not taken to be nearer to 0 than this
_EDGE = 1e-3


@dataclass(frozen=True)
class Blended:
    """An average of options: what would be carried out, its members, and its score in the race."""

    proposal: Proposal
    members: tuple[RaceEntryState, ...]
    result: CandidateResult
    reason: Averaged


def blend_of(
    standings: Sequence[RaceEntryState], *, n_images: int, seconds: float = float("inf")
) -> Blended | None:
    """Return the average of the options that did best in the last rung, or None.

    ``standings``: after the race. ``n_images``: training images. ``seconds``: nominal seconds that
    training all members may take; one that goes beyond is passed over.
    """
    if n_images >= FEW_IMAGES:
        return None
    running = [s for s in standings if not s.stopped]
    folds = running[0].last_folds
    members: list[RaceEntryState] = []
    left = seconds
    for standing in sorted(running, key=lambda s: -float(s.gains(folds).mean())):
        cost = standing.first.proposal.seconds
        if len(members) < MEMBERS and cost <= left:
            members.append(standing)
            left -= cost
    if len(members) < 2:
        return None
    leading = members[0].first.proposal
    names = [f"'{m.name}'" for m in members]
    name = f"average of {', '.join(names[:-1])} and {names[-1]}"
    action = Blend(members=[m.first.proposal.action for m in members])
    taken = sum(m.first.proposal.seconds for m in members)
    proposal = Proposal(name, leading.strategy, action, None, taken)
    scores = _scores(members, folds)
    alone, together = _log_score([members[0]], folds), _log_score(members, folds)
    reason = Averaged(
        few=FEW_IMAGES,
        n_members=len(members),
        n_images=len(members[0].p_true(folds)),
        log_loss=-together,
        leading=members[0].name,
        log_loss_alone=-alone,
    )
    result = CandidateResult(
        name=name,
        kind=action.kind,
        score=None if scores is None else float(scores.mean()),
        standard_error=None if scores is None else mean_error(scores, members[0].groups(folds)),
        seconds=round(sum(m.seconds for m in members), 1),
        fate=Fate.CHOSEN,
    )
    return Blended(proposal, tuple(members), result, reason)


def _log_score(members: Sequence[RaceEntryState], folds: Sequence[int]) -> float:
    """Mean logarithm of the probability that the average gives to the truth."""
    mean = np.mean(np.stack([m.p_true(folds) for m in members]), axis=0)
    return float(np.log(np.maximum(mean, _EDGE)).mean())


def _scores(members: Sequence[RaceEntryState], folds: Sequence[int]) -> Gains | None:
    """What left-out images contribute by the average; None where probabilities were not kept."""
    found: list[Gains] = []
    for fold in folds:
        each = [m.judged[fold].probabilities for m in members]
        kept = [p for p in each if p is not None]
        if len(kept) < len(each):
            return None
        mean = np.mean(np.stack(kept), axis=0)
        judge = members[0].judged[fold].judge
        if judge is not None:
            found.append(judge.of_decisions(mean))
            continue
        # the truth is where the judged probability of the truth came from
        sure = np.mean(np.stack([m.judged[fold].p_true for m in members]), axis=0)
        found.append(mean.max(axis=1) <= sure)
    return side_by_side(found)
