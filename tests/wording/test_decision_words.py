"""The explanation is made of the numbers, and says what would change the decision."""

from __future__ import annotations

from typing import Any

import pytest

from frostline.core.actions import TapsHead
from frostline.core.plan import EvidenceSummary, Plan, ProbeEvidence, ShiftEvidence, SizeEvidence
from frostline.strategy.cases import prior_case
from frostline.strategy.outlook import GAIN_PER_DOUBLING, runner_up
from frostline.wording.decision import explanation


def probe(tap: str, accuracy: float, neighbours: float | None = None) -> ProbeEvidence:
    return ProbeEvidence(
        tap=tap,
        dimensions=8,
        accuracy=accuracy,
        standard_error=0.02,
        balanced_accuracy=accuracy,
        mse=0.1,
        train_accuracy=1.0,
        alpha=1.0,
        neighbours=neighbours,
    )


def summary(**changes: Any) -> EvidenceSummary:
    label = changes.pop("label", "different")
    preprocessing = changes.pop("preprocessing", "")
    values: dict[str, Any] = {
        "size": SizeEvidence(
            n_images=100,
            n_classes=5,
            per_class=20,
            smallest_class=20,
            largest_class=20,
            label="small",
        ),
        "shift": ShiftEvidence(
            measure="batchnorm",
            n_images=64,
            distance=0.5,
            interval=(0.4, 0.6),
            relative=None,
            early=0.5,
            middle=0.5,
            late=0.5,
            kind="global",
            label=label,
            layers=[],
            preprocessing=preprocessing,
        ),
        "probes": [probe("early", 0.6, 0.5), probe("middle", 0.7, 0.6), probe("late", 0.8, 0.75)],
        "all_taps": probe("all", 0.82),
        "best_tap": "late",
        "last_tap": "late",
        "cut_gain": 0.0,
        "cut_gain_error": 0.0,
        "gap": 0.2,
        "slope": 0.04,
        "headroom": 0.18,
        "chance": 0.2,
    }
    return EvidenceSummary(**(values | changes))


def said(found: EvidenceSummary, behind: float | None = None) -> list[str]:
    """What is said of a head on the last layer, ``behind`` which the next option is."""
    nearest = None if behind is None else runner_up(found, "train everything", behind)
    prior = prior_case(found)
    plan = Plan(
        case=1,
        prior_case=None if prior is None else prior.number,
        strategy="auto",
        chosen="head on the last layer",
        probe="late",
        backbone="x",
        cut=None,
        removed=[],
        frozen=["early", "middle", "late"],
        trained=[],
        new=["head"],
        seed=0,
        action=TapsHead(taps=["late"]),
        evidence=found,
        runner_up=nearest,
    )
    return explanation(plan)


def test_expected_accuracy_has_an_interval_that_scipy_agrees_with() -> None:
    from scipy.stats import binomtest

    low, high = binomtest(80, 100).proportion_ci(method="wilson")
    line = next(x for x in said(summary()) if x.startswith("Expected accuracy"))
    assert f"80% ({low:.0%} to {high:.0%})" in line


@pytest.mark.parametrize(("doublings", "more"), [(1.0, 20), (2.0, 60), (3.0, 100), (0.0, 5)])
def test_a_rival_close_behind_says_how_many_images_it_needs(doublings: float, more: int) -> None:
    line = said(summary(), doublings * GAIN_PER_DOUBLING["different"])[-1]
    assert f"With about {more} more images per class 'train everything' starts to pay" in line


def test_a_rival_far_behind_changes_nothing() -> None:
    line = said(summary(label="similar"), 0.2)[-1]
    assert "trails by 20.0 points" in line
    assert "would change the decision" in line


def test_a_smell_of_wrong_preprocessing_comes_first() -> None:
    assert said(summary(preprocessing="Check the preprocessing."))[0] == "Check the preprocessing."
    assert said(summary())[0].startswith("You have 100 training images")


@pytest.mark.parametrize(
    ("tau", "words"), [(1.0, "rank the depths alike"), (0.1, "which depth is best is uncertain")]
)
def test_a_second_opinion_is_told(tau: float, words: str) -> None:
    text = " ".join(said(summary(agreement=tau)))
    assert "75.0% at the last layer" in text
    assert words in text


def test_re_estimated_statistics_are_told_with_their_effect() -> None:
    found = summary(adapted=probe("adapted", 0.87), adapted_gain=0.05, adapted_gain_error=0.02)
    assert "re-estimated on your images: 87.0% (+5.0 ± 2.0 points)" in " ".join(said(found))
