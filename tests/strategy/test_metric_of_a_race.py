"""A race is won by what serves the metric, on real predictions for unequal classes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict

from frostline.core.actions import FullTraining, Recipe, TapsHead
from frostline.core.plan import Plan
from frostline.core.reasons import WonRace
from frostline.stats.decision_rule import LIKELIEST
from frostline.stats.intervals import paired_difference
from frostline.stats.metrics import METRICS, Judge, class_shares
from frostline.strategy.blending import blend_of
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.race import Entry, FoldResult, RaceEntryState
from frostline.strategy.replay import settle
from frostline.strategy.verdict import choose, results
from frostline.targets.single_label import SingleLabel
from frostline.wording.reasons import reason_sentence

Float = npt.NDArray[np.float64]
RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.1, head_learning_rate=0.1)


@cache
def _left_out() -> tuple[dict[str, Float], npt.NDArray[np.int64]]:
    """Probabilities by two models: one ignores the rare class, the other is unsure of the rest."""
    x, y = load_digits(return_X_y=True)
    truth = np.where(y == 9, 1, 0)
    rng = np.random.default_rng(0)
    noisy = (x + rng.normal(scale=8.0, size=x.shape)) / 16
    seen = cross_val_predict(
        LogisticRegression(max_iter=300), noisy, truth, cv=3, method="predict_proba"
    )
    share = truth.mean()
    sure_of_many = np.tile([1 - share * 0.2, share * 0.2], (len(truth), 1))
    return {"head": sure_of_many, "top": 0.75 * seen + 0.125}, truth


def _race(metric: str) -> list[RaceEntryState]:
    each, truth = _left_out()
    found = []
    for name, p in each.items():
        action = TapsHead(taps=["layer4"]) if name == "head" else FullTraining(recipe=RECIPE)
        entry = Entry(Proposal(name, "finetune", action, None, 0.0), action, 1.0)
        own = METRICS[metric]
        rule = own.rule(p, truth, class_shares(truth, None, n_outputs=2))
        judge = None if own.plain else Judge(own, rule, truth)
        result = FoldResult.of(SingleLabel(2), p, truth, np.arange(len(truth)), judge)
        found.append(RaceEntryState(entry, {1: result}))
    return found


def test_the_metric_decides_who_wins() -> None:
    winner, _ = choose(_race("accuracy"))
    assert winner.name == "head"
    race = _race("balanced_accuracy")
    winner, reason = choose(race)
    assert winner.name == "top"
    assert isinstance(reason, WonRace)
    assert "balanced accuracy" in reason_sentence(reason, "balanced_accuracy")
    p, truth = _left_out()[0]["top"], _left_out()[1]
    judge = race[1].judged[1].judge
    assert judge is not None
    expected = balanced_accuracy_score(truth, judge.rule.decide(p))
    scored = {result.name: result for result in results(race, winner)}
    assert scored["top"].score == pytest.approx(expected)
    assert reason.winner.accuracy == pytest.approx(expected)
    # drawn anew, balanced accuracy scatters as the error says
    rng, again = np.random.default_rng(1), []
    for _ in range(300):
        rows = rng.integers(0, len(truth), len(truth))
        again.append(balanced_accuracy_score(truth[rows], judge.rule.decide(p[rows])))
    assert scored["top"].standard_error == pytest.approx(np.std(again), rel=0.15)


def test_an_average_that_serves_the_metric_worse_is_not_taken() -> None:
    race = _race("balanced_accuracy")
    winner, _ = choose(race)
    settled = settle(race, n_images=400, seconds=100.0)
    blended = blend_of(race, n_images=400)
    assert settled.winner is winner
    if blended is not None:
        assert blended.gains is not None
        loss, error = paired_difference(winner.gains, blended.gains)
        assert (settled.blend is None) is bool(loss > error) is blended.loses_to(winner)
        alone = replace(blended, gains=winner.gains - np.linspace(0.1, 0.2, len(winner.gains)))
        assert alone.loses_to(winner)
    plain = blend_of(_race("accuracy"), n_images=400)
    assert plain is None or plain.gains is None


def test_plans_of_earlier_versions_served_accuracy() -> None:
    assert Plan.model_fields["metric"].default == "accuracy"
    assert METRICS["accuracy"].rule(np.zeros((0, 2)), np.zeros(0, int), np.ones(2)) is LIKELIEST
