"""What a race has shown: the option to take, why, and the fate of every other one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.plan import CandidateResult
from frostline.strategy.race import Standing, expected_loss
from frostline.strategy.thresholds import FITTED, Thresholds


def choose(
    standings: Sequence[Standing], thresholds: Thresholds = FITTED
) -> tuple[Standing, list[str]]:
    """Return the simplest option that loses no more than the thresholds allow, and why.

    On few images one error is several points: a lead of one lucky image must not count.
    """
    running = [s for s in standings if not s.stopped]
    folds = decisive_folds(running)
    best = max(running, key=lambda s: s.expected(folds))
    count = len(best.on(folds))
    for standing in running:
        loss, error = expected_loss(best, standing, folds)
        if standing is best:
            return best, [_won(best, running, folds, count)]
        if loss <= min(thresholds.errors * error, thresholds.most_lost):
            return standing, [
                f"On {count} left-out images '{standing.name}' reached "
                f"{_reached(standing, folds)}; the best option, '{best.name}', "
                f"{_reached(best, folds)}. A lead of {loss * 100:.1f} ± {error * 100:.1f} points "
                "is no clear gain, so the simpler one is taken."
            ]
    return best, [_won(best, running, folds, count)]


def decisive_folds(running: Sequence[Standing]) -> list[int]:
    """Return the folds of the final, or that of the heats where there was none."""
    folds = sorted(set.intersection(*(set(s.correct) for s in running)))
    return folds[1:] or folds


def results(standings: Sequence[Standing], winner: Standing) -> list[CandidateResult]:
    """List every option that ran with its score, standard error, nominal seconds and fate."""
    found = []
    for standing in standings:
        correct = standing.on(sorted(standing.correct))
        accuracy = float(correct.mean())
        proposal = standing.heat.proposal
        found.append(
            CandidateResult(
                name=proposal.name,
                kind=proposal.action.kind,
                score=accuracy,
                standard_error=float(np.sqrt(accuracy * (1 - accuracy) / len(correct))),
                seconds=round(standing.seconds, 1),
                stopped="chosen" if standing is winner else standing.stopped or "no clear gain",
            )
        )
    return found


def _won(best: Standing, running: Sequence[Standing], folds: Sequence[int], count: int) -> str:
    others = [s for s in running if s is not best]
    if not others:
        return f"'{best.name}' is what the first heat left: all others were clearly behind."
    second = max(others, key=lambda s: s.expected(folds))
    gain, error = expected_loss(best, second, folds)
    return (
        f"On {count} left-out images '{best.name}' reached {_reached(best, folds)}, "
        f"{gain * 100:.1f} ± {error * 100:.1f} points more than the next, '{second.name}' with "
        f"{_reached(second, folds)}."
    )


def _reached(standing: Standing, folds: Sequence[int]) -> str:
    """Say what the race showed, and what full training is expected to make of it."""
    return f"{standing.on(folds).mean():.1%} ({standing.expected(folds):.1%} after full training)"
