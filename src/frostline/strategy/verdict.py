"""What a race has shown: the option to take, why, and the fate of every other one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from frostline.core.plan import CandidateResult
from frostline.stats.intervals import paired_difference
from frostline.strategy.race import Standing
from frostline.strategy.thresholds import FITTED, Thresholds


def choose(
    standings: Sequence[Standing], thresholds: Thresholds = FITTED
) -> tuple[Standing, list[str]]:
    """Return the simplest option that loses no more than the thresholds allow, and why.

    Options are compared by the probability that they gave to the true class, image by image. On
    few images one error is several points: a lead of one lucky image must not count.
    """
    running = [s for s in standings if not s.stopped]
    folds = running[0].last_folds
    best = max(running, key=lambda s: float(s.sure(folds).mean()))
    for standing in running:
        loss, error = paired_difference(best.sure(folds), standing.sure(folds))
        if standing is best:
            break
        if loss <= min(thresholds.errors * error, thresholds.most_lost):
            return standing, [
                f"{_on(standing, folds)} the simpler '{standing.name}' {_gave(standing, folds)}, "
                f"the leading '{best.name}' {_gave(best, folds)}: {loss * 100:.1f} ± "
                f"{error * 100:.1f} points more, no clear gain."
            ]
    return best, [_won(best, running, folds)]


def results(standings: Sequence[Standing], winner: Standing) -> list[CandidateResult]:
    """List every option that ran with its score, standard error, nominal seconds and fate."""
    found = []
    for standing in standings:
        folds = standing.last_folds
        accuracy, count = standing.accuracy(folds), len(standing.sure(folds))
        proposal = standing.heat.proposal
        found.append(
            CandidateResult(
                name=proposal.name,
                kind=proposal.action.kind,
                score=accuracy,
                standard_error=math.sqrt(accuracy * (1 - accuracy) / count),
                seconds=round(standing.seconds, 1),
                stopped="chosen" if standing is winner else standing.stopped or "no clear gain",
            )
        )
    return found


def _won(best: Standing, running: Sequence[Standing], folds: Sequence[int]) -> str:
    others = [s for s in running if s is not best]
    if not others:
        return f"'{best.name}' was the only option."
    second = max(others, key=lambda s: float(s.sure(folds).mean()))
    gain, error = paired_difference(best.sure(folds), second.sure(folds))
    return (
        f"{_on(best, folds)} '{best.name}' {_gave(best, folds)}, {gain * 100:.1f} ± "
        f"{error * 100:.1f} points more than the next, '{second.name}', which "
        f"{_gave(second, folds)}."
    )


def _on(standing: Standing, folds: Sequence[int]) -> str:
    return f"On {len(standing.sure(folds))} left-out images"


def _gave(standing: Standing, folds: Sequence[int]) -> str:
    """Say how sure an option was of the truth, and how often it was right."""
    return (
        f"gave the true class {standing.sure(folds).mean():.1%} on average "
        f"(right on {standing.accuracy(folds):.1%})"
    )
