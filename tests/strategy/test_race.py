"""The race is planned from the budget alone, and the score decides, paired and simplest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from frostline.plan import FullTraining, Recipe, TapsHead
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import Entry, Standing, Work, run_race
from frostline.strategy.verdict import choose, results

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)
N = 200


def entry(name: str, *, trains: bool = True) -> Entry:
    action = FullTraining(recipe=RECIPE) if trains else TapsHead(taps=["layer4"])
    return Entry(Proposal(name, "finetune", action, None, 10.0), action, 1.0 if trains else 0.0)


def standing(name: str, right: npt.NDArray[np.bool_], *, trains: bool = True) -> Standing:
    one = entry(name, trains=trains)
    return Standing(one, one, {0: right})


def race(
    scores: Mapping[str, float | tuple[float, ...]], seed: int = 0, n_images: int = 3 * N
) -> tuple[list[Standing], list[tuple[str, int]]]:
    """Run a race in which every option has a true accuracy; the first one is the head."""
    generator = np.random.default_rng(seed)
    difficulty = generator.random((3, N))
    ran: list[tuple[str, int]] = []

    def runner(one: Entry, fold: int) -> npt.NDArray[np.bool_]:
        ran.append((one.proposal.name, fold))
        found = scores[one.proposal.name]
        level = found[fold] if isinstance(found, tuple) else found
        # the same images are hard for everybody
        return np.asarray(difficulty[fold] < level)

    first = next(iter(scores))
    entries = tuple(entry(name, trains=name != first) for name in scores)
    finals = tuple(replace(e, seconds=4 * e.seconds) for e in entries)
    work = Work(entries, finals, {}, n_images)
    return run_race(work, runner), ran


def test_a_clear_winner_is_chosen_and_the_reason_has_its_numbers() -> None:
    standings, ran = race({"head": (0.9, 0.7), "top": 0.9, "all": 0.7})
    winner, reasons = choose(standings)
    assert winner.name == "top"
    assert "'top' reached" in reasons[0]
    assert "more than the next" in reasons[0]
    assert ("head", 1) in ran
    assert ("all", 1) not in ran, "far behind: not tried again"
    found = {r.name: r for r in results(standings, winner)}
    assert found["top"].stopped == "chosen"
    assert found["top"].seconds == 1.0 + 4.0, "a final is longer than a heat"


def test_no_final_is_run_where_the_heat_left_one_option() -> None:
    standings, ran = race({"head": 0.4, "top": 0.9, "all": 0.6})
    winner, reasons = choose(standings)
    assert winner.name == "top"
    assert "clearly behind" in reasons[0]
    assert {fold for _, fold in ran} == {0}


def test_the_final_outweighs_the_heat() -> None:
    standings, _ = race({"head": 0.8, "top": (0.79, 0.9)})
    winner, reasons = choose(standings)
    assert winner.name == "top"
    assert f"On {N} left-out images" in reasons[0]


@pytest.mark.parametrize(
    ("better", "worse", "wins"), [(10, 9, "head"), (12, 9, "top"), (30, 9, "top")]
)
def test_the_simpler_one_wins_where_the_gain_is_unclear(better: int, worse: int, wins: str) -> None:
    head = np.arange(N) < 160
    top = head.copy()
    top[160 : 160 + better] = True
    top[:worse] = False
    standings = [standing("head", head, trains=False), standing("top", top)]
    winner, reasons = choose(standings)
    assert winner.name == wins
    assert ("no clear gain" in reasons[0]) == (wins == "head")


@pytest.mark.parametrize(("n_images", "folds"), [(3 * N, 2), (60, 3)])
def test_only_two_leaders_get_further_folds(n_images: int, folds: int) -> None:
    scores = {"head": 0.70, **{f"option {i}": 0.71 + 0.002 * i for i in range(5)}}
    standings, ran = race(scores, n_images=n_images)
    for later in range(1, folds):
        second = [name for name, fold in ran if fold == later]
        assert second[0] == "head"
        assert len(second) == 3
    assert max(fold for _, fold in ran) == folds - 1, "few images are judged on every fold"
    second = [name for name, fold in ran if fold == 1]
    stopped = [s.stopped for s in standings if s.name not in second]
    assert all(stopped)


def test_a_lucky_first_fold_is_corrected_by_the_second() -> None:
    standings, _ = race({"head": 0.8, "top": (0.84, 0.74)})
    assert choose(standings)[0].name == "head"


def test_losers_stop_by_score_with_their_deficit() -> None:
    standings, _ = race({"head": 0.9, "all": 0.5})
    behind = next(s for s in standings if s.name == "all")
    assert behind.stopped.endswith("points behind in the heat")
    found = {r.name: r for r in results(standings, choose(standings)[0])}
    assert found["all"].score == pytest.approx(behind.score)
    assert found["all"].standard_error is not None
    assert 0 < found["all"].standard_error < 0.05
    assert found["head"].kind == "taps_head"


def test_a_head_alone_is_the_winner() -> None:
    standings, ran = race({"head": 0.5})
    assert choose(standings)[0].name == "head"
    assert ran == [("head", 0)]
