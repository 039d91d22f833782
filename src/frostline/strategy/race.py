"""The race: the options that are likely to win train on the same folds, beside the best head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from frostline.core.actions import Action
from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.reasons import Fate
from frostline.stats.metrics import Gains, Judge, side_by_side
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE, Span, training_seconds
from frostline.targets.protocol import Target

#: of the training images, this many folds are made; one is judged at a time
FOLDS = 3
#: so many options that train layers enter: more only made averages worse in the study
CANDIDATES = 3
#: share of its epochs that an option runs for: few images make it cheap, many make it long enough
SHARE_OF_FEW, SHARE_OF_MANY = 1.0, 0.5
#: shares that are tried one by one where the budget is small
_SHORTER = (0.5, 0.25, 0.0)
#: fewer epochs than this tell nothing about an option that trains layers
_FEWEST_EPOCHS = 2
#: from so many images on, a share of the epochs ranks options as all of them do
_ENOUGH_TO_JUDGE = 500
#: with fewer images than this one fold of three judges by luck: two do
_FEW_TO_JUDGE = 100


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

    ``left_out`` names the options that the budget does not admit, each with its fate. ``n_images``
    counts the training images, of all folds; ``n_folds`` of them judge, one at a time.
    """

    entries: tuple[Entry, ...]
    left_out: dict[str, Fate]
    n_images: int
    n_folds: int

    @property
    def seconds(self) -> float:
        """Nominal seconds."""
        return self.n_folds * sum(e.seconds for e in self.entries)


def candidates_of(n_images: int) -> int:
    """Return how many options that train layers enter where time is short."""
    return CANDIDATES if n_images < _ENOUGH_TO_JUDGE else CANDIDATES + 1


def folds_of(n_images: int, *, thorough: bool = False) -> int:
    """Return on how many folds every option is tried."""
    return FOLDS - 1 if thorough or n_images < _FEW_TO_JUDGE else 1


def share_of(n_images: int) -> float:
    """Return the share of its epochs that an option runs for."""
    return SHARE_OF_FEW if n_images < _ENOUGH_TO_JUDGE else SHARE_OF_MANY


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
    """What one option has shown so far, by fold; the folds count from 1."""

    entry: Entry
    judged: dict[int, FoldResult] = field(default_factory=dict)

    @property
    def proposal(self) -> Proposal:
        """What would be carried out on all training images."""
        return self.entry.proposal

    @property
    def name(self) -> str:
        """Name of the option."""
        return self.proposal.name

    @property
    def trains(self) -> bool:
        """Whether the option trains layers."""
        return not self.entry.action.closed_form

    @property
    def seconds(self) -> float:
        """Nominal seconds of everything it ran."""
        return len(self.judged) * self.entry.seconds

    @property
    def p_true(self) -> FloatArray:
        """Probabilities of the truth on the images of all folds, side by side."""
        return np.concatenate([self.judged[fold].p_true for fold in sorted(self.judged)])

    @property
    def gains(self) -> FloatArray:
        """What the images of all folds contribute by their probabilities, side by side."""
        return np.concatenate([self.judged[fold].gains for fold in sorted(self.judged)])

    @property
    def scores(self) -> Gains:
        """What the images of all folds contribute by their answers, side by side."""
        return side_by_side([self.judged[fold].scores for fold in sorted(self.judged)])

    @property
    def groups(self) -> IntArray:
        """Groups of the images of all folds, side by side."""
        return np.concatenate([self.judged[fold].groups for fold in sorted(self.judged)])

    @property
    def score(self) -> float:
        """Share of the images of all folds that it got right, or another score of answers."""
        return float(self.scores.mean())


#: trains an option on a fold and judges it; the folds count from 1
Runner = Callable[[Entry, int], FoldResult]


def plan_race(
    context: Context, heads: Sequence[Proposal], trained: Sequence[Proposal]
) -> RaceSchedule:
    """Turn the budget into a list of work: heads always run, trained options while it lasts.

    Where it does not pay for all epochs of all options, all run for fewer; where it does not even
    pay for the fewest that tell anything, the dearest option is left out.
    """
    budget = RACE_SHARE * context.settings.budget_seconds
    admitted = sorted(trained, key=lambda p: (_fold_seconds(context, p.action), p.name))
    left_out: dict[str, Fate] = {}
    while True:
        for share in (share_of(context.n_images), *_SHORTER):
            work = RaceSchedule(
                tuple(_entry(context, p, share) for p in (*heads, *admitted)),
                dict(left_out),
                context.n_images,
                folds_of(context.n_images, thorough=context.thorough),
            )
            if work.seconds <= budget or not admitted:
                return work
        left_out[admitted.pop().name] = Fate.TOO_EXPENSIVE


def shortened(action: Action, share: float) -> Action:
    """Return the same action for a share of its epochs."""
    return action.with_epochs(max(round(share * action.epochs), _least(action)))


def run_race(work: RaceSchedule, runner: Runner) -> list[RaceEntryState]:
    """Run every option on every fold; the result is in the order of the entries."""
    standings = [RaceEntryState(entry) for entry in work.entries]
    for fold in range(1, 1 + work.n_folds):
        for standing in standings:
            standing.judged[fold] = runner(standing.entry, fold)
    return standings


def _entry(context: Context, proposal: Proposal, share: float) -> Entry:
    action = shortened(proposal.action, share)
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
