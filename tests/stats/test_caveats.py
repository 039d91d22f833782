"""Each sentence comes where it is true, names what it is about, and only there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.errors import InputError
from frostline.stats.caveats import Baseline, caveats, largest_class
from frostline.stats.scores import Scores, score
from frostline.wording.caveats import caveat_sentence

CLASSES = ("cat", "dog", "owl")


def scored(truth: npt.NDArray[np.int64], guess: npt.NDArray[np.int64]) -> Scores:
    """Scores of predictions that are sure."""
    return score(np.eye(3)[guess], truth)


def said(truth: npt.NDArray[np.int64], guess: npt.NDArray[np.int64], leaked: float = 0.0) -> str:
    found = caveats(scored(truth, guess), largest_class(truth, truth), CLASSES, leaked=leaked)
    return "\n".join(map(caveat_sentence, found))


def test_a_good_model_needs_no_words() -> None:
    truth = np.repeat([0, 1, 2], 20)
    guess = truth.copy()
    guess[:3] = 1
    assert said(truth, guess) == ""


def test_random_labels_are_no_better_than_the_largest_class() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, (2, 300))
    words = said(truth, guess)
    share = np.bincount(truth).max() / 300
    assert f"{share:.1%}" in words
    assert f"'{CLASSES[np.bincount(truth).argmax()]}'" in words
    assert "labels may be wrong" in words


def test_a_rare_class_that_is_found_is_worth_more_than_accuracy_says() -> None:
    truth = np.repeat([0, 1, 2], [900, 50, 50])
    guess = truth.copy()
    guess[:110] = 1
    words = said(truth, guess)
    assert "90.0%" in words and "89.0%" in words
    assert "balanced accuracy" in words
    assert "labels may be wrong" not in words


def test_one_rare_image_does_not_prove_that_nothing_was_learned() -> None:
    truth = np.repeat([0, 1], [300, 1])
    words = said(truth, np.zeros(301, dtype=np.int64))
    assert "too unequal" in words
    assert "labels may be wrong" not in words


def test_classes_that_are_never_recognised_are_named() -> None:
    truth = np.repeat([0, 1, 2], [60, 30, 7])
    guess = np.where(truth == 2, 0, truth)
    assert said(truth, guess) == "No image was recognised of 'owl' (7 judged)."


def test_classes_that_were_hardly_judged_are_named_with_their_interval() -> None:
    truth = np.repeat([0, 1], [60, 2])
    words = said(truth, truth)
    assert "'owl' is unknown" in words
    assert "2 images of 'dog'" in words and "34% to 100%" in words
    assert "'cat'" not in words.replace("Always naming 'cat'", "")


def test_a_test_part_that_was_learned_says_nothing() -> None:
    truth = np.repeat([0, 1, 2], 20)
    assert "nothing about new images" in said(truth, truth, leaked=1.0)
    # a part that is partly leaked is scored without it
    assert said(truth, truth, leaked=0.9) == ""


def test_the_baseline_is_learned_from_training_and_counted_on_what_is_judged() -> None:
    assert largest_class([0, 0, 1], [1, 1, 1, 0]) == Baseline(0, 0.25)
    with pytest.raises(InputError, match="label"):
        largest_class([], [1])


def test_blank_pictures_take_the_blame_from_labels() -> None:
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 3, (2, 300))
    scores, baseline = scored(truth, guess), largest_class(truth, truth)
    for blank, named in ((0.0, False), (0.4, False), (0.6, True), (1.0, True)):
        words = "\n".join(map(caveat_sentence, caveats(scores, baseline, CLASSES, blank=blank)))
        assert ("of one colour" in words) == named
        assert ("labels may be wrong" in words) != named
