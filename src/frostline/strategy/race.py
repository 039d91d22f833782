"""The race: a short first rung for every option, a long last one for the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from frostline.core.actions import Action
from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.reasons import Fate
from frostline.stats.metrics import Gains, Judge, side_by_side
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE, Span, training_seconds
from frostline.strategy.growth import FITTED_GROWTH, Growth, extrapolate
from frostline.targets.protocol import Target

#: of the training images, this many folds are made; one is judged at a time
FOLDS = 3
#: so many options that train layers reach the last rung
LEADERS = 3
#: share of its epochs that an option runs for in the first rung
FIRST_SHARE = 0.25
#: and in the last, where few images make it cheap and many make it long enough
LAST_SHARE_OF_FEW, LAST_SHARE_OF_MANY = 1.0, 0.5
#: fewer epochs than this tell nothing about an option that trains layers
_FEWEST_EPOCHS = 2
#: from so many images on, two folds judge well enough
_ENOUGH_TO_JUDGE = 500


@dataclass(frozen=True)
class Entry:
    """One option in the race.

    ``proposal``: what would be carried out on all training images. ``action``: what runs on a fold:
    the same, for a share of its epochs. ``seconds``: nominal seconds of one fold.
    """

    proposal: Proposal
    action: Action
    seconds: float


@dataclass(frozen=True)
class RaceSchedule:
    """The fixed list of work of a race, written down before it starts.

    ``first_rung`` and ``last_rung`` name the same options in the same order. ``left_out`` names
    those that the budget does not admit, each with its fate. ``n_images`` counts the training
    images, of all folds, ``per_class`` those of the median class.
    """

    first_rung: tuple[Entry, ...]
    last_rung: tuple[Entry, ...]
    left_out: dict[str, Fate]
    n_images: int
    per_class: float

    @property
    def seconds(self) -> float:
        """Nominal seconds, with the dearest options in the last rung."""
        dearest = sorted((e.seconds for e in self.last_rung), reverse=True)[:LEADERS]
        return sum(e.seconds for e in self.first_rung) + last_folds_of(self.n_images) * sum(dearest)


def last_folds_of(n_images: int) -> int:
    """Return on how many folds the leading options are tried, besides that of the first rung."""
    return FOLDS - 1 if n_images < _ENOUGH_TO_JUDGE else 1


def last_share(n_images: int) -> float:
    """Return the share of its epochs that an option runs for in the last rung."""
    return LAST_SHARE_OF_FEW if n_images < _ENOUGH_TO_JUDGE else LAST_SHARE_OF_MANY


@dataclass(frozen=True)
class FoldResult:
    """What one option made of a fold's images.

    ``right`` says which it classified rightly, ``p_true`` the calibrated probability that it gave
    to the true class, which tells options apart on far fewer images than being right does. Images
    of one of the ``groups`` succeed and fail together. ``probabilities`` (n, C) are all
    of them, None where nobody kept them. ``judge`` scores them where something else than accuracy
    is wanted: by ``scores``, of what is answered, and ``gains``, which tell options apart.
    """

    right: BoolArray
    p_true: FloatArray
    groups: IntArray
    probabilities: FloatArray | None = None
    judge: Judge | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        prediction: FloatArray,
        truth: IntArray,
        groups: IntArray,
        judge: Judge | None = None,
    ) -> FoldResult:
        """Judge predictions of shape (n, k) by the truth (n,)."""
        right, sure = target.right(prediction, truth), target.certainty(prediction, truth)
        return cls(right, sure, groups, prediction, judge)

    @cached_property
    def gains(self) -> FloatArray:
        """What the probabilities of each image contribute to the score, shape (n,)."""
        if self.judge is None or self.probabilities is None:
            return self.p_true
        return self.judge.of_probabilities(self.probabilities)

    @cached_property
    def scores(self) -> Gains:
        """What the answer for each image contributes to the score, shape (n,)."""
        if self.judge is None or self.probabilities is None:
            return self.right
        return self.judge.of_decisions(self.probabilities)


@dataclass
class RaceEntryState:
    """What one option has shown so far, by fold: fold 0 is the first rung, all others the last.

    ``behind`` is the score by which it fell short of the last rung; None where it did not.
    """

    first: Entry
    last: Entry
    judged: dict[int, FoldResult] = field(default_factory=dict)
    behind: float | None = None

    @property
    def name(self) -> str:
        """Name of the option."""
        return self.first.proposal.name

    @property
    def stopped(self) -> bool:
        """Whether it was left out of the last rung."""
        return self.behind is not None

    @property
    def trains(self) -> bool:
        """Whether the option trains layers."""
        return not self.first.action.closed_form

    @property
    def seconds(self) -> float:
        """Nominal seconds of everything it ran."""
        return sum((self.last if fold else self.first).seconds for fold in self.judged)

    @property
    def last_folds(self) -> list[int]:
        """The folds of the last rung, or that of the first where it did not get further."""
        folds = sorted(self.judged)
        return folds[1:] or folds

    def p_true(self, folds: Sequence[int]) -> FloatArray:
        """Probabilities of the truth on the images of some folds, side by side."""
        return np.concatenate([self.judged[fold].p_true for fold in folds])

    def gains(self, folds: Sequence[int]) -> FloatArray:
        """What the images of some folds contribute by their probabilities, side by side."""
        return np.concatenate([self.judged[fold].gains for fold in folds])

    def scores(self, folds: Sequence[int]) -> Gains:
        """What the images of some folds contribute by their answers, side by side."""
        return side_by_side([self.judged[fold].scores for fold in folds])

    def groups(self, folds: Sequence[int]) -> IntArray:
        """Groups of the images of some folds, side by side."""
        return np.concatenate([self.judged[fold].groups for fold in folds])

    def score(self, folds: Sequence[int]) -> float:
        """Share of the images of some folds that it got right, or another score of answers."""
        return float(self.scores(folds).mean())


#: trains an action without one fold and judges it on that fold
Runner = Callable[[Entry, int], FoldResult]


def plan_race(
    context: Context, heads: Sequence[Proposal], trained: Sequence[Proposal]
) -> RaceSchedule:
    """Turn the budget into a list of work: heads always run, trained options while it lasts.

    Cheap options come first. In the first rung each gets a quarter of the epochs of its full
    training, or as many as what is left still pays for; the last is as long as the rest allows.
    """
    still = tuple(_entry(context, head, head.action) for head in heads)
    work = RaceSchedule(still, still, {}, context.n_images, context.summary.size.per_class)
    budget = RACE_SHARE * context.settings.budget_seconds
    for proposal in sorted(trained, key=lambda p: (_fold_seconds(context, p.action), p.name)):
        least = _least(proposal.action)
        for epochs in range(shortened(proposal.action, FIRST_SHARE).epochs, least - 1, -1):
            first = _entry(context, proposal, proposal.action.with_epochs(epochs))
            more = replace(
                work, first_rung=(*work.first_rung, first), last_rung=(*work.last_rung, first)
            )
            if more.seconds <= budget:
                work = more
                break
        else:
            work = replace(work, left_out={**work.left_out, proposal.name: Fate.TOO_EXPENSIVE})
    for share in (last_share(context.n_images), LAST_SHARE_OF_MANY):
        last = tuple(
            _entry(context, e.proposal, shortened(e.proposal.action, share))
            for e in work.first_rung
        )
        longer = replace(work, last_rung=last)
        if longer.seconds <= budget:
            return longer
    return work


def shortened(action: Action, share: float) -> Action:
    """Return the same action for a share of its epochs."""
    return action.with_epochs(max(round(share * action.epochs), _least(action)))


def run_race(
    work: RaceSchedule, runner: Runner, growth: Growth = FITTED_GROWTH, *, n_leaders: int = LEADERS
) -> list[RaceEntryState]:
    """Run the first rung on one fold; the most promising options meet the heads in the last.

    The result: in the order of the entries: the simplest first.
    """
    pairs = zip(work.first_rung, work.last_rung, strict=True)
    standings = [RaceEntryState(first, last) for first, last in pairs]
    promised = {}
    for standing in standings:
        standing.judged[0] = runner(standing.first, 0)
        sure = float(standing.gains([0]).mean())
        promised[standing.name] = extrapolate(sure, standing.first.action, work.per_class, growth)
    trained = [s for s in standings if s.trains]
    leaders = sorted(trained, key=lambda s: -promised[s.name])
    for standing in leaders[n_leaders:]:
        standing.behind = promised[leaders[0].name] - promised[standing.name]
    finalists = [s for s in standings if not s.stopped]
    if leaders:
        for fold in range(1, 1 + last_folds_of(work.n_images)):
            for standing in finalists:
                standing.judged[fold] = runner(standing.last, fold)
    return standings


def _entry(context: Context, proposal: Proposal, action: Action) -> Entry:
    return Entry(proposal, action, _fold_seconds(context, action))


def _least(action: Action) -> int:
    return min(_FEWEST_EPOCHS, action.epochs)


def _fold_seconds(context: Context, action: Action) -> float:
    if not action.epochs:
        return 0.0
    return training_seconds(
        context.network,
        Span(action.frozen_to, action.cut, action.frozen_later),
        n_images=round(context.n_images * (FOLDS - 1) / FOLDS),
        epochs=action.epochs,
        device=context.device,
    )
