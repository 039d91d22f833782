"""The race is planned from the budget alone, and the score decides, paired and simplest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.actions import FullTraining, Recipe, TapsHead
from frostline.core.reasons import Fate, SimplerOneTaken, WonRace
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import Entry, FoldResult, RaceEntryState, RaceSchedule, run_race
from frostline.strategy.verdict import choose, results
from frostline.wording.reasons import reason_sentence

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)
N = 200


def entry(name: str, *, trains: bool = True) -> Entry:
    action = FullTraining(recipe=RECIPE) if trains else TapsHead(taps=["layer4"])
    return Entry(Proposal(name, "finetune", action, None, 10.0), action, 1.0 if trains else 0.0)


def standing(name: str, sure: npt.NDArray[np.float64], *, trains: bool = True) -> RaceEntryState:
    one = entry(name, trains=trains)
    return RaceEntryState(one, one, {0: FoldResult(sure > 0.5, sure, np.arange(len(sure)))})


def race(
    scores: Mapping[str, float | tuple[float, ...]], seed: int = 0, n_images: int = 3 * N
) -> tuple[list[RaceEntryState], list[tuple[str, int]]]:
    """Run a race in which every option gives the truth a mean probability; the first is the head.

    A tuple has one for each fold.
    """
    generator = np.random.default_rng(seed)
    difficulty = generator.uniform(-0.1, 0.1, (3, N))
    ran: list[tuple[str, int]] = []

    def runner(one: Entry, fold: int) -> FoldResult:
        ran.append((one.proposal.name, fold))
        found = scores[one.proposal.name]
        level = found[fold] if isinstance(found, tuple) else found
        # the same images are hard for everybody, and a little luck is everybody's own
        sure = np.clip(level + difficulty[fold] + generator.normal(0, 0.02, N), 0, 1)
        return FoldResult(sure > 0.5, sure, np.arange(len(sure)))

    first = next(iter(scores))
    entries = tuple(entry(name, trains=name != first) for name in scores)
    finals = tuple(replace(e, seconds=4 * e.seconds) for e in entries)
    return run_race(RaceSchedule(entries, finals, {}, n_images, 100.0), runner), ran


def test_a_clear_winner_is_chosen_and_the_reason_has_its_numbers() -> None:
    standings, ran = race({"head": 0.7, "a": 0.6, "b": 0.62, "top": 0.8, "all": 0.5})
    winner, verdict = choose(standings)
    assert winner.name == "top"
    assert isinstance(verdict, WonRace)
    assert (verdict.winner.name, verdict.second.name, verdict.n_images) == ("top", "head", N)
    assert verdict.winner.p_true == pytest.approx(0.8, abs=0.01)
    assert verdict.gain == pytest.approx(verdict.winner.p_true - verdict.second.p_true)
    assert f"On {N} left-out images 'top' gave the true class 80" in reason_sentence(verdict)
    assert ("head", 1) in ran
    assert ("all", 1) not in ran, "it promised least: not tried again"
    found = {r.name: r for r in results(standings, winner)}
    assert found["top"].fate is Fate.CHOSEN
    assert found["top"].seconds == 1.0 + 4.0, "the last rung is longer than the first"
    assert found["all"].seconds == 1.0
    assert (found["head"].fate, found["head"].behind) == (Fate.NO_CLEAR_GAIN, None)
    assert found["all"].fate is Fate.BEHIND
    assert found["all"].behind is not None and found["all"].behind > 0
    assert found["head"].kind == "taps_head"


def test_the_final_outweighs_the_heat() -> None:
    winner, _ = choose(race({"head": 0.8, "top": (0.6, 0.9)})[0])
    assert winner.name == "top"
    winner, _ = choose(race({"head": 0.8, "top": (0.9, 0.6)})[0])
    assert winner.name == "head", "a lucky first rung is corrected"


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
    assert pair[0].score([0]) == pair[1].score([0]) == 1.0
    assert choose(pair)[0].name == "top"


@pytest.mark.parametrize(("n_images", "folds"), [(3 * N, 2), (60, 3)])
def test_only_three_leaders_reach_the_final(n_images: int, folds: int) -> None:
    scores = {"head": 0.70, **{f"option {i}": 0.71 + 0.02 * i for i in range(5)}}
    standings, ran = race(scores, n_images=n_images)
    for later in range(1, folds):
        assert [name for name, fold in ran if fold == later] == [
            "head",
            *(f"option {i}" for i in (2, 3, 4)),
        ]
    assert max(fold for _, fold in ran) == folds - 1, "few images are judged on every fold"
    assert [s.name for s in standings if s.stopped] == ["option 0", "option 1"]


def test_a_head_alone_is_the_winner() -> None:
    standings, ran = race({"head": 0.5})
    assert choose(standings)[0].name == "head"
    assert ran == [("head", 0)]
