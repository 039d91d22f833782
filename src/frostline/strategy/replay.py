"""Settle a race: the product does so after training, a study from what was recorded before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frostline.core.reasons import Reason
from frostline.strategy.blending import Blended, blend_of
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import Entry, FoldResult, RaceEntryState, RaceSchedule, run_race
from frostline.strategy.thresholds import FITTED, Thresholds
from frostline.strategy.verdict import choose


@dataclass(frozen=True)
class Settled:
    """What a race came to.

    - ``winner``: the simplest option that no other clearly beats, and the ``reason`` for it.
    - ``blend``: the average that is taken instead, where there are few images; None elsewhere.
    """

    winner: RaceEntryState
    reason: Reason
    blend: Blended | None

    @property
    def chosen(self) -> Proposal:
        """What is carried out."""
        return self.winner.proposal if self.blend is None else self.blend.proposal

    @property
    def members(self) -> tuple[RaceEntryState, ...]:
        """What is averaged, the leading one first; what won alone otherwise."""
        return (self.winner,) if self.blend is None else self.blend.members


def settle(
    standings: Sequence[RaceEntryState],
    *,
    n_images: int,
    seconds: float,
    thresholds: Thresholds = FITTED,
) -> Settled:
    """Choose among the options of a race that was run.

    ``n_images``: training images. ``seconds``: nominal ones that are left for the last training.
    """
    winner, reason = choose(standings, thresholds)
    blend = blend_of(standings, n_images=n_images, seconds=seconds, thresholds=thresholds)
    if blend is not None and blend.loses_to(winner):
        blend = None
    return Settled(winner, reason, blend)


def replay_race(
    work: RaceSchedule,
    runner: Callable[[Entry, int], FoldResult],
    *,
    seconds: float,
    thresholds: Thresholds = FITTED,
) -> Settled:
    """Run a race and settle it; ``runner`` trains, or looks up what a record has."""
    standings = run_race(work, runner)
    return settle(standings, n_images=work.n_images, seconds=seconds, thresholds=thresholds)
