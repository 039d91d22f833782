"""The race: every option that the budget admits runs on the same folds, and the score decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from frostline.evaluation.intervals import paired_difference
from frostline.plan import Action, CandidateResult, TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE, training_seconds
from frostline.strategy.growth import share_left
from frostline.strategy.thresholds import FITTED, Thresholds

BoolArray = npt.NDArray[np.bool_]

#: of the training images, this many folds are made; one is judged at a time
FOLDS = 3
#: trained options run on one fold, the leading ones on the others, too
LEADERS = 2
#: share of its final epochs that an option runs for in the race
_SHARE_OF_EPOCHS = 0.25
#: fewer epochs than this tell nothing about an option that trains layers
_FEWEST_EPOCHS = 2
#: from so many images on, two folds judge well enough
_ENOUGH_TO_JUDGE = 500
#: a smaller deficit never ends an option after one fold
WORTH = 0.01


@dataclass(frozen=True)
class Entry:
    """One option in the race.

    Attributes
    ----------
    proposal : Proposal
        What would be carried out on all training images.
    action : Action
        What runs on a fold: the same with fewer epochs.
    seconds : float
        Nominal seconds of one fold.
    left : float, default=1
        Share of its error in the race that full training is expected to leave.
    """

    proposal: Proposal
    action: Action
    seconds: float
    left: float = 1.0


@dataclass(frozen=True)
class Work:
    """The fixed list of work of a race, written down before it starts.

    ``left_out`` names the options that the budget does not admit, each with the reason.
    ``n_images`` counts the training images, of all folds.
    """

    entries: tuple[Entry, ...]
    left_out: dict[str, str]
    n_images: int

    @property
    def seconds(self) -> float:
        """Nominal seconds, the second fold of the leaders counted at its dearest."""
        dearest = sorted((e.seconds for e in self.entries), reverse=True)
        return sum(dearest) + further_folds(self.n_images) * sum(dearest[:LEADERS])


def further_folds(n_images: int) -> int:
    """Return on how many folds besides the first the leading options are tried."""
    return FOLDS - 1 if n_images < _ENOUGH_TO_JUDGE else 1


@dataclass
class Standing:
    """What one option has shown so far: which images it classified rightly, by fold."""

    entry: Entry
    correct: dict[int, BoolArray] = field(default_factory=dict)
    stopped: str = ""

    @property
    def name(self) -> str:
        """Name of the option."""
        return self.entry.proposal.name

    def on(self, folds: Sequence[int]) -> BoolArray:
        """Correctness on the images of some folds, side by side."""
        return np.concatenate([self.correct[fold] for fold in folds])

    def expected(self, folds: Sequence[int]) -> float:
        """Accuracy on some folds that full training would have reached, as others did."""
        return 1.0 - self.entry.left * (1.0 - float(self.on(folds).mean()))

    @property
    def score(self) -> float:
        """Accuracy on everything it was judged on."""
        return float(self.on(sorted(self.correct)).mean())


#: trains an action without one fold and returns which images of the fold it classifies rightly
Runner = Callable[[Entry, int], BoolArray]


def plan_race(context: Context, heads: Sequence[Proposal], trained: Sequence[Proposal]) -> Work:
    """Turn the budget into a list of work: heads always run, trained options while it lasts.

    Cheap options come first. Each gets a quarter of the epochs of its final training, or as many
    as what is left still pays for.
    """
    per_class = context.summary.size.per_class
    entries = [Entry(h, h.action, 0.0, share_left(h.action, per_class)) for h in heads]
    work = Work(tuple(entries), {}, context.n_images)
    purse = RACE_SHARE * context.resolved.budget_seconds
    for proposal in sorted(trained, key=lambda p: (_fold_seconds(context, p.action), p.name)):
        quarter = race_action(proposal.action)
        for epochs in range(_epochs(quarter), _least(proposal.action) - 1, -1):
            action = _with_epochs(proposal.action, epochs)
            left = share_left(action, per_class)
            entry = Entry(proposal, action, _fold_seconds(context, action), left)
            longer = replace(work, entries=(*work.entries, entry))
            if longer.seconds <= purse:
                work = longer
                break
        else:
            why = "too expensive to try within the budget"
            work = replace(work, left_out={**work.left_out, proposal.name: why})
    return work


def race_action(action: Action) -> Action:
    """Return what runs on a fold: the same for a quarter of its epochs."""
    return _with_epochs(action, max(round(_SHARE_OF_EPOCHS * _epochs(action)), _least(action)))


def run_race(work: Work, runner: Runner, thresholds: Thresholds = FITTED) -> list[Standing]:
    """Run all entries on the first fold, the leading ones and all heads on the others.

    Returns
    -------
    list of Standing
        In the order of the entries: the simplest first.
    """
    standings = [Standing(entry) for entry in work.entries]
    for standing in standings:
        standing.correct[0] = runner(standing.entry, 0)
    trained = [s for s in standings if not isinstance(s.entry.action, TapsHead)]
    best = max(standings, key=lambda s: s.expected([0]))
    for standing in trained:
        loss, error = _expected_loss(best, standing, [0])
        if loss > max(thresholds.behind * error, WORTH):
            standing.stopped = f"{loss * 100:.1f} points behind on the first fold"
    leaders = sorted((s for s in trained if not s.stopped), key=lambda s: -s.expected([0]))
    for standing in leaders[LEADERS:]:
        standing.stopped = "not among the two leading options"
    again = [s for s in standings if s not in trained or s in leaders[:LEADERS]]
    if leaders:
        for fold in range(1, 1 + further_folds(work.n_images)):
            for standing in again:
                standing.correct[fold] = runner(standing.entry, fold)
    return standings


def choose(
    standings: Sequence[Standing], thresholds: Thresholds = FITTED
) -> tuple[Standing, list[str]]:
    """Return the simplest option that loses no more than the thresholds allow, and why.

    On few images one error is several points: a lead of one lucky image must not count.
    """
    running = [s for s in standings if not s.stopped]
    folds = sorted(set.intersection(*(set(s.correct) for s in running)))
    best = max(running, key=lambda s: s.expected(folds))
    count = len(best.on(folds))
    for standing in running:
        loss, error = _expected_loss(best, standing, folds)
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


def results(standings: Sequence[Standing], winner: Standing) -> list[CandidateResult]:
    """List every option that ran with its score, standard error, nominal seconds and fate."""
    found = []
    for standing in standings:
        correct = standing.on(sorted(standing.correct))
        accuracy = float(correct.mean())
        proposal = standing.entry.proposal
        found.append(
            CandidateResult(
                name=proposal.name,
                kind=proposal.action.kind,
                score=accuracy,
                standard_error=float(np.sqrt(accuracy * (1 - accuracy) / len(correct))),
                seconds=round(standing.entry.seconds * len(standing.correct), 1),
                stopped="chosen" if standing is winner else standing.stopped or "no clear gain",
            )
        )
    return found


def _won(best: Standing, running: Sequence[Standing], folds: Sequence[int], count: int) -> str:
    others = [s for s in running if s is not best]
    if not others:
        return f"'{best.name}' was the only option."
    second = max(others, key=lambda s: s.expected(folds))
    gain, error = _expected_loss(best, second, folds)
    return (
        f"On {count} left-out images '{best.name}' reached {_reached(best, folds)}, "
        f"{gain * 100:.1f} ± {error * 100:.1f} points more than the next, '{second.name}' with "
        f"{_reached(second, folds)}."
    )


def _reached(standing: Standing, folds: Sequence[int]) -> str:
    """Say what the race showed, and what full training is expected to make of it."""
    return f"{standing.on(folds).mean():.1%} ({standing.expected(folds):.1%} after full training)"


def _expected_loss(best: Standing, other: Standing, folds: Sequence[int]) -> tuple[float, float]:
    """Expected accuracy that ``other`` loses to ``best``, and its paired standard error."""
    _, error = paired_difference(
        best.entry.left * best.on(folds), other.entry.left * other.on(folds)
    )
    return best.expected(folds) - other.expected(folds), error


def _epochs(action: Action) -> int:
    return 0 if isinstance(action, TapsHead) else action.recipe.epochs


def _least(action: Action) -> int:
    return min(_FEWEST_EPOCHS, _epochs(action))


def _with_epochs(action: Action, epochs: int) -> Action:
    if isinstance(action, TapsHead):
        return action
    recipe = action.recipe
    changes = {"epochs": epochs, "patience": max(1, min(epochs, recipe.patience))}
    return action.model_copy(update={"recipe": recipe.model_copy(update=changes)})


def _fold_seconds(context: Context, action: Action) -> float:
    if isinstance(action, TapsHead):
        return 0.0
    return training_seconds(
        context.network,
        n_images=round(context.n_images * (FOLDS - 1) / FOLDS),
        epochs=action.recipe.epochs,
        freeze_to=getattr(action, "freeze_to", None),
        keep_to=action.keep_to,
        device=context.resolved.device,
    )
