"""Ten frames of a patient count as one patient wherever options are compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.actions import FullTraining, Recipe, TapsHead
from frostline.core.reasons import SimplerOneTaken, WonRace
from frostline.strategy.blending import blend_of
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.gates import simplest_of_the_best
from frostline.strategy.race import Entry, FoldResult, RaceEntryState
from frostline.strategy.verdict import choose, results
from frostline.targets.single_label import SingleLabel

Float = npt.NDArray[np.float64]

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)
PATIENTS, FRAMES = 40, 10
GROUPS = np.repeat(np.arange(PATIENTS), FRAMES)
ALONE = np.arange(PATIENTS * FRAMES)
TRUTH = ALONE % 2


def cluster_robust_error(values: npt.ArrayLike, groups: npt.ArrayLike) -> float:
    """Standard error of a mean by the sandwich of Liang and Zeger (1986), with G / (G - 1)."""
    y, belongs = np.asarray(values, dtype=np.float64), np.asarray(groups)
    x = np.ones((len(y), 1))
    bread = np.linalg.inv(x.T @ x)
    residuals = y - x @ (bread @ x.T @ y)
    meat = np.zeros((1, 1))
    names = set(belongs.tolist())
    for name in names:
        score = x[belongs == name].T @ residuals[belongs == name]
        meat += np.outer(score, score)
    correction = len(names) / (len(names) - 1)
    return float(np.sqrt(correction * (bread @ meat @ bread)[0, 0]))


def standing(name: str, p_true: Float, groups: npt.NDArray[np.int64]) -> RaceEntryState:
    action = TapsHead(taps=["layer4"]) if name == "head" else FullTraining(recipe=RECIPE)
    entry = Entry(Proposal(name, "finetune", action, None, 0.0), action, 1.0)
    both = np.column_stack([1 - p_true, p_true])
    both[TRUTH == 0] = both[TRUTH == 0][:, ::-1]
    return RaceEntryState(entry, {1: FoldResult.of(SingleLabel(2), both, TRUTH, groups)})


def race(groups: npt.NDArray[np.int64], *, lead: float) -> list[RaceEntryState]:
    """Let two options differ by patient: the frames of one are alike for both."""
    rng = np.random.default_rng(1)
    by_patient = rng.normal(size=PATIENTS)
    by_patient -= by_patient.mean()
    head = np.repeat(rng.uniform(0.3, 0.7, PATIENTS), FRAMES)
    noise = rng.normal(0, 0.005, len(head))
    top = head + lead + np.repeat(0.03 * by_patient, FRAMES) + noise
    return [standing("head", head, groups), standing("top", top, groups)]


def test_the_error_of_a_race_is_that_of_patients() -> None:
    found = {}
    for groups in (GROUPS, ALONE):
        pair = race(groups, lead=0.02)
        _, reason = choose(pair)
        assert isinstance(reason, WonRace)
        difference = pair[1].p_true - pair[0].p_true
        assert reason.error == pytest.approx(cluster_robust_error(difference, groups))
        found[len(set(groups))] = reason.error
    assert 2.5 < found[PATIENTS] / found[PATIENTS * FRAMES] < 3.3


def test_a_lead_within_the_error_of_patients_is_no_clear_gain() -> None:
    for groups, taken in ((GROUPS, "head"), (ALONE, "top")):
        winner, reason = choose(race(groups, lead=0.003))
        assert winner.name == taken
        assert isinstance(reason, SimplerOneTaken) == (taken == "head")


def test_scores_of_a_race_and_of_an_average_have_errors_of_patients() -> None:
    for groups in (GROUPS, ALONE):
        pair = race(groups, lead=0.02)
        blended = blend_of(pair, n_images=400)
        assert blended is not None
        n_groups = len(set(groups.tolist()))
        mean = np.mean([np.asarray(one.judged[1].probabilities) for one in pair], axis=0)
        rights = [one.judged[1].right for one in pair] + [mean.argmax(axis=1) == TRUTH]
        for result, right in zip([*results(pair, pair[1]), blended.result], rights, strict=True):
            assert result.standard_error is not None
            share = right.mean()
            # weights that differ between parts of the images move a few
            assert result.score == pytest.approx(share, abs=0.01)
            robust = cluster_robust_error(right, groups)
            if n_groups == len(right):
                alone = np.sqrt(share * (1 - share) / len(right))
                assert result.standard_error == pytest.approx(alone, rel=0.01)
            else:
                # few groups are worth less: by the quantile of Student's law
                assert 0.99 * robust < result.standard_error < 1.06 * robust
                assert result.standard_error > 2.5 * np.sqrt(share * (1 - share) / len(right))


def test_a_head_that_lost_one_patient_hardly_lost() -> None:
    groups = np.repeat(np.arange(200), 10)
    best, simple = np.ones(2000, dtype=bool), np.ones(2000, dtype=bool)
    simple[:10] = False
    best[10:12] = False
    # 8 frames of 2,000: far beyond the error of frames, within that of patients
    assert simplest_of_the_best([simple, best], groups) == 0
    assert simplest_of_the_best([simple, best], np.arange(2000)) == 1


def test_without_groups_the_simplest_head_is_the_one_it_always_was() -> None:
    rng = np.random.default_rng(0)
    for n in (*range(2, 40), 400, 3000):
        for _ in range(40):
            right = rng.random(n) < rng.uniform(0.4, 1.0)
            other = right ^ (rng.random(n) < rng.uniform(0.0, 6.0 / n))
            pair = [other, right]
            best = max(pair, key=lambda one: float(np.mean(one)))
            loss = best.astype(float) - other
            keeps = loss.mean() <= min(float(np.std(loss)) / np.sqrt(n), 0.005)
            assert simplest_of_the_best(pair, np.arange(n)) == (0 if keeps else 1)
