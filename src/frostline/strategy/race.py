"""The race: every option that the budget admits runs on the same folds, and the score decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from frostline.evaluation.intervals import paired_difference
from frostline.plan import Action, CandidateResult, TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE, training_seconds

BoolArray = npt.NDArray[np.bool_]

#: of the training images, this many folds are made; one is judged at a time
FOLDS = 5
#: trained options run on one fold, the two leading ones on a second
LEADERS = 2
#: fewer epochs than this tell nothing about an option that trains layers
_FEWEST_EPOCHS = 2
#: an option this far behind, and by two errors, is not tried again
_BEHIND = 2.0

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
    """

    proposal: Proposal
    action: Action
    seconds: float


@dataclass(frozen=True)
class Work:
    """The fixed list of work of a race, written down before it starts.

    ``left_out`` names the options that the budget does not admit, each with the reason.
    """

    entries: tuple[Entry, ...]
    left_out: dict[str, str]

    @property
    def seconds(self) -> float:
        """Nominal seconds, the second fold of the leaders counted at its dearest."""
        dearest = sorted((e.seconds for e in self.entries), reverse=True)
        return sum(dearest) + sum(dearest[:LEADERS])


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

    @property
    def score(self) -> float:
        """Accuracy on everything it was judged on."""
        return float(self.on(sorted(self.correct)).mean())


#: trains an action without one fold and returns which images of the fold it classifies rightly
Runner = Callable[[Entry, int], BoolArray]


def plan_race(context: Context, heads: Sequence[Proposal], trained: Sequence[Proposal]) -> Work:
    """Turn the budget into a list of work: heads always run, trained options while it lasts.

    Cheap options come first. Each gets as many epochs as its equal share of what is left pays
    for, at most those of its final training.
    """
    entries = [Entry(head, head.action, 0.0) for head in heads]
    left_out: dict[str, str] = {}
    purse = RACE_SHARE * context.resolved.budget_seconds
    waiting = sorted(trained, key=lambda p: (_fold_seconds(context, p, _FEWEST_EPOCHS), p.name))
    while waiting:
        proposal = waiting.pop(0)
        # the leaders run twice, and nobody knows yet who leads
        share = purse / (len(waiting) + 1 + min(LEADERS, len(waiting) + 1))
        final = _epochs(proposal)
        least = min(_FEWEST_EPOCHS, final)
        if 2 * _fold_seconds(context, proposal, least) > purse:
            left_out[proposal.name] = "too expensive to try within the budget"
            continue
        epochs = least
        while epochs < final and _fold_seconds(context, proposal, epochs + 1) <= share:
            epochs += 1
        seconds = _fold_seconds(context, proposal, epochs)
        purse -= seconds
        entries.append(Entry(proposal, _with_epochs(proposal.action, epochs), seconds))
    return Work(tuple(entries), left_out)


def run_race(work: Work, runner: Runner) -> list[Standing]:
    """Run all entries on the first fold, the leading ones and all heads on a second.

    Returns
    -------
    list of Standing
        In the order of the entries: the simplest first.
    """
    standings = [Standing(entry) for entry in work.entries]
    for standing in standings:
        standing.correct[0] = runner(standing.entry, 0)
    trained = [s for s in standings if not isinstance(s.entry.action, TapsHead)]
    best = max(standings, key=lambda s: s.score)
    for standing in trained:
        loss, error = paired_difference(best.correct[0], standing.correct[0])
        if loss > max(_BEHIND * error, WORTH):
            standing.stopped = f"{loss * 100:.1f} points behind on the first fold"
    leaders = sorted((s for s in trained if not s.stopped), key=lambda s: -s.score)
    for standing in leaders[LEADERS:]:
        standing.stopped = "not among the two leading options"
    again = [s for s in standings if s not in trained or s in leaders[:LEADERS]]
    if leaders:
        for standing in again:
            standing.correct[1] = runner(standing.entry, 1)
    return standings


def choose(standings: Sequence[Standing]) -> tuple[Standing, list[str]]:
    """Return the simplest option within one paired error of the best, and why.

    On few images one error is several points: a lead of one lucky image must not count.
    """
    running = [s for s in standings if not s.stopped]
    folds = sorted(set.intersection(*(set(s.correct) for s in running)))
    best = max(running, key=lambda s: float(s.on(folds).mean()))
    count = len(best.on(folds))
    for standing in running:
        loss, error = paired_difference(best.on(folds), standing.on(folds))
        if standing is best:
            return best, [_won(best, running, folds, count)]
        if loss <= error:
            return standing, [
                f"On {count} left-out images '{standing.name}' reached "
                f"{standing.on(folds).mean():.1%}; the best option, '{best.name}', was "
                f"{loss * 100:.1f} ± {error * 100:.1f} points better: no clear gain, so the "
                "simpler one is taken."
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
    second = max(others, key=lambda s: float(s.on(folds).mean()))
    gain, error = paired_difference(best.on(folds), second.on(folds))
    return (
        f"On {count} left-out images '{best.name}' reached {best.on(folds).mean():.1%}, "
        f"{gain * 100:.1f} ± {error * 100:.1f} points more than the next, '{second.name}'."
    )


def _epochs(proposal: Proposal) -> int:
    return 0 if isinstance(proposal.action, TapsHead) else proposal.action.recipe.epochs


def _with_epochs(action: Action, epochs: int) -> Action:
    if isinstance(action, TapsHead):
        return action
    recipe = action.recipe.model_copy(update={"epochs": epochs})
    return action.model_copy(update={"recipe": recipe})


def _fold_seconds(context: Context, proposal: Proposal, epochs: int) -> float:
    action = proposal.action
    if isinstance(action, TapsHead):
        return 0.0
    return training_seconds(
        context.network,
        n_images=round(context.n_images * (FOLDS - 1) / FOLDS),
        epochs=epochs,
        freeze_to=getattr(action, "freeze_to", None),
        keep_to=action.keep_to,
        device=context.resolved.device,
    )
