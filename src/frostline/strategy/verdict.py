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
    what stands for it under another metric. On few images one error is several points: a lead of
    one lucky image must not count. Errors count groups, as the images of one group succeed and
    fail together.
    """
    best = max(standings, key=lambda s: float(s.gains.mean()))
    for standing in standings:
        loss, error = paired_difference(best.gains, standing.gains, groups=best.groups)
        if standing is best:
            break
        if loss <= min(thresholds.errors * error, thresholds.most_lost):
            return standing, SimplerOneTaken(
                n_images=len(standing.gains),
                taken=_score(standing),
                leading=_score(best),
                gain=loss,
                error=error,
            )
    return best, _won(best, standings)


def results(standings: Sequence[RaceEntryState], winner: RaceEntryState) -> list[CandidateResult]:
    """List every option that ran with its score, standard error, nominal seconds and fate."""
    found = []
    for standing in standings:
        proposal = standing.proposal
        found.append(
            CandidateResult(
                name=proposal.name,
                kind=proposal.action.kind,
                score=standing.score,
                standard_error=mean_error(standing.scores, standing.groups),
                seconds=round(standing.seconds, 1),
                fate=Fate.CHOSEN if standing is winner else Fate.NO_CLEAR_GAIN,
            )
        )
    return found


def _won(best: RaceEntryState, standings: Sequence[RaceEntryState]) -> Verdict:
    others = [s for s in standings if s is not best]
    if not others:
        return OnlyOption(name=best.name)
    second = max(others, key=lambda s: float(s.gains.mean()))
    gain, error = paired_difference(best.gains, second.gains, groups=best.groups)
    return WonRace(
        n_images=len(best.gains),
        winner=_score(best),
        second=_score(second),
        gain=gain,
        error=error,
    )


def _score(standing: RaceEntryState) -> RaceScore:
    p_true = float(standing.gains.mean())
    return RaceScore(name=standing.name, p_true=p_true, accuracy=standing.score)
