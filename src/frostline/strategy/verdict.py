"""What a race has shown: the option to take, why, and the fate of every other one."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.plan import CandidateResult
from frostline.core.reasons import Fate, OnlyOption, RaceScore, SimplerOneTaken, WonRace
from frostline.stats.intervals import mean_error, paired_difference
from frostline.strategy.race import RaceEntryState
from frostline.strategy.thresholds import FITTED, Thresholds

Verdict = OnlyOption | WonRace | SimplerOneTaken


def choose(
    standings: Sequence[RaceEntryState], thresholds: Thresholds = FITTED
) -> tuple[RaceEntryState, Verdict]:
    """Return the simplest option that loses no more than the thresholds allow, and why.

    Options are compared by the probability that they gave to the true class, image by image, or by
    what stands for it under another metric. On
    few images one error is several points: a lead of one lucky image must not count. Errors count
    groups, as the images of one group succeed and fail together.
    """
    running = [s for s in standings if not s.stopped]
    folds = running[0].last_folds
    best = max(running, key=lambda s: float(s.gains(folds).mean()))
    for standing in running:
        loss, error = paired_difference(
            best.gains(folds), standing.gains(folds), groups=best.groups(folds)
        )
        if standing is best:
            break
        if loss <= min(thresholds.errors * error, thresholds.most_lost):
            return standing, SimplerOneTaken(
                n_images=len(standing.gains(folds)),
                taken=_score(standing, folds),
                leading=_score(best, folds),
                gain=loss,
                error=error,
            )
    return best, _won(best, running, folds)


def results(standings: Sequence[RaceEntryState], winner: RaceEntryState) -> list[CandidateResult]:
    """List every option that ran with its score, standard error, nominal seconds and fate."""
    found = []
    for standing in standings:
        folds = standing.last_folds
        proposal = standing.first.proposal
        found.append(
            CandidateResult(
                name=proposal.name,
                kind=proposal.action.kind,
                score=standing.score(folds),
                standard_error=mean_error(standing.scores(folds), standing.groups(folds)),
                seconds=round(standing.seconds, 1),
                fate=_fate(standing, winner),
                behind=standing.behind,
            )
        )
    return found


def _fate(standing: RaceEntryState, winner: RaceEntryState) -> Fate:
    if standing is winner:
        return Fate.CHOSEN
    return Fate.BEHIND if standing.stopped else Fate.NO_CLEAR_GAIN


def _won(best: RaceEntryState, running: Sequence[RaceEntryState], folds: Sequence[int]) -> Verdict:
    others = [s for s in running if s is not best]
    if not others:
        return OnlyOption(name=best.name)
    second = max(others, key=lambda s: float(s.gains(folds).mean()))
    gain, error = paired_difference(
        best.gains(folds), second.gains(folds), groups=best.groups(folds)
    )
    return WonRace(
        n_images=len(best.gains(folds)),
        winner=_score(best, folds),
        second=_score(second, folds),
        gain=gain,
        error=error,
    )


def _score(standing: RaceEntryState, folds: Sequence[int]) -> RaceScore:
    p_true = float(standing.gains(folds).mean())
    return RaceScore(name=standing.name, p_true=p_true, accuracy=standing.score(folds))
