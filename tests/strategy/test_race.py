"""The score decides a race, paired and simplest first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.actions import FullTraining, Recipe, TapsHead
from frostline.core.reasons import Fate, SimplerOneTaken, WonRace
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import (
    Entry,
    FoldResult,
    RaceEntryState,
    RaceSchedule,
    folds_of,
    run_race,
)
from frostline.strategy.verdict import choose, results
from frostline.wording.reasons import reason_sentence

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)
N = 200


def entry(name: str, *, trains: bool = True) -> Entry:
    action = FullTraining(recipe=RECIPE) if trains else TapsHead(taps=["layer4"])
    return Entry(Proposal(name, "finetune", action, None, 10.0), action, 1.0 if trains else 0.0)


def standing(name: str, sure: npt.NDArray[np.float64], *, trains: bool = True) -> RaceEntryState:
    judged = {1: FoldResult(sure > 0.5, sure, np.arange(len(sure)))}
    return RaceEntryState(entry(name, trains=trains), judged)


def race(
    scores: Mapping[str, float | tuple[float, ...]], n_folds: int = 2
) -> tuple[list[RaceEntryState], list[tuple[str, int]]]:
    """Run a race in which every option gives the truth a mean probability; the first is the head.

    A tuple has one for each fold.
    """
    generator = np.random.default_rng(0)
    difficulty = generator.uniform(-0.1, 0.1, (3, N))
    ran: list[tuple[str, int]] = []

    def runner(one: Entry, fold: int) -> FoldResult:
        ran.append((one.proposal.name, fold))
        found = scores[one.proposal.name]
        level = found[fold - 1] if isinstance(found, tuple) else found
        # the same images are hard for everybody, and a little luck is everybody's own
        sure = np.clip(level + difficulty[fold] + generator.normal(0, 0.02, N), 0, 1)
        return FoldResult(sure > 0.5, sure, np.arange(len(sure)))

    first = next(iter(scores))
    entries = tuple(entry(name, trains=name != first) for name in scores)
    return run_race(RaceSchedule(entries, {}, 3 * N, n_folds), runner), ran


def test_a_clear_winner_is_chosen_and_the_reason_has_its_numbers() -> None:
    standings, ran = race({"head": 0.7, "a": 0.6, "b": 0.62, "top": 0.8})
    winner, verdict = choose(standings)
    assert winner.name == "top"
    assert isinstance(verdict, WonRace)
    assert (verdict.winner.name, verdict.second.name, verdict.n_images) == ("top", "head", 2 * N)
    assert verdict.winner.p_true == pytest.approx(0.8, abs=0.01)
    assert verdict.gain == pytest.approx(verdict.winner.p_true - verdict.second.p_true)
    assert f"On {2 * N} left-out images 'top' gave the true class 80" in reason_sentence(verdict)
    assert ran == [(name, fold) for fold in (1, 2) for name in ("head", "a", "b", "top")]
    found = {r.name: r for r in results(standings, winner)}
    assert found["top"].fate is Fate.CHOSEN
    assert found["top"].seconds == 2.0, "one for each fold"
    assert (found["head"].fate, found["head"].behind) == (Fate.NO_CLEAR_GAIN, None)
    assert found["head"].kind == "taps_head"


def test_all_folds_count() -> None:
    assert choose(race({"head": 0.8, "top": (0.6, 0.9)})[0])[0].name == "head"
    assert choose(race({"head": 0.8, "top": (0.8, 0.9)})[0])[0].name == "top"
    assert choose(race({"head": 0.8, "top": (0.9, 0.6)}, n_folds=1)[0])[0].name == "top"


def test_very_few_images_are_judged_on_more_folds() -> None:
    assert (folds_of(60), folds_of(600)) == (2, 1)
    assert folds_of(600, thorough=True) == 2


@pytest.mark.parametrize(("lead", "wins"), [(0.004, "head"), (0.03, "top")])
def test_the_simpler_one_wins_where_the_gain_is_unclear(lead: float, wins: str) -> None:
    rng = np.random.default_rng(0)
    head = np.full(N, 0.7)
    top = head + lead + rng.normal(0, 0.1, N)
    winner, verdict = choose([standing("head", head, trains=False), standing("top", top)])
    assert winner.name == wins
    assert isinstance(verdict, SimplerOneTaken if wins == "head" else WonRace)
    assert verdict.gain == pytest.approx(float(top.mean() - 0.7))


def test_being_sure_of_the_truth_tells_apart_what_being_right_does_not() -> None:
    head, top = np.full(40, 0.6), np.full(40, 0.9)
    pair = [standing("head", head, trains=False), standing("top", top)]
    assert pair[0].score == pair[1].score == 1.0
    assert choose(pair)[0].name == "top"


def test_a_head_alone_is_the_winner() -> None:
    standings, ran = race({"head": 0.5})
    assert choose(standings)[0].name == "head"
    assert ran == [("head", 1), ("head", 2)]
