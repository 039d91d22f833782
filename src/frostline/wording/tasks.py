"""What there is to predict, and what is reached, in the words of each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from frostline.core.score_record import HeldOutScores
from frostline.core.task import Task
from frostline.wording.numbers import plural


@dataclass(frozen=True, kw_only=True)
class TaskWords:
    """The words of one task.

    What is predicted:

    - ``one``, ``many``: as it is counted: "class", "classes".
    - ``things``: the same in a few letters.
    - ``per``: goes after a count of images for each of them.
    - ``within``, ``having``: go before that count: images "in 6 classes", a set "of 6 classes".
    - ``each``: what the median of these counts has: "each", "images each".
    - ``told``: what a head on frozen features does with them.
    - ``conflict``, ``conflicts``: how copies of one picture are labelled that contradict each
      other: two of them, or several.

    What is reached, each score in percent:

    - ``score``: names the score, ``short`` where there is room for one word, ``axis`` with its
      unit, ``left_out`` where it is of training images that are left out.
    - ``reach``: says that frozen features reach a score on left-out images, ``alone`` that those
      of one depth do, ``reached`` what a model reached.
    - ``gap``: says how much more a head reaches on images that it learned from, in points.
    - ``top``: the depth that reaches most; ``guess``: what reaches the score of chance.
    - ``head``: what is put on frozen features. ``calls``: the output of model.onnx that answers.
    - ``worst``: which mistakes are shown, ``warm``: what is warm in their heat maps.
    """

    one: str
    many: str
    things: str
    per: str
    within: str
    having: str
    each: str
    told: str
    conflict: str
    conflicts: str
    score: str
    short: str
    axis: str
    left_out: str
    reach: Callable[[str], str]
    alone: Callable[[str], str]
    reached: Callable[[str], str]
    gap: Callable[[str], str]
    guess: str
    top: str = "the highest one"
    head: str = "classifier"
    calls: str = "probabilities"
    worst: str = "Wrong predictions that the model was surest of."
    warm: str = "spoke for the prediction"

    def count(self, n: int) -> str:
        """Return such as "6 classes"."""
        return plural(n, self.one, self.many)

    def outputs(self, n: int) -> str:
        """Return such as "in 6 classes"."""
        return f"{self.within} {self.count(n)}"

    @property
    def heading(self) -> str:
        """The score as a heading begins."""
        return self.score[:1].upper() + self.score[1:]


_CLASSES = TaskWords(
    one="class",
    many="classes",
    things="classes",
    per="per class",
    within="in",
    having="of",
    each="each",
    told="tells your classes apart",
    conflict="under two labels",
    conflicts="under more than one label",
    score="accuracy",
    short="accuracy",
    axis="accuracy (% right)",
    left_out="leave-one-out accuracy (% of the training images)",
    reach=lambda score: f"classify {score} of the images left out",
    alone=lambda score: (
        f"A linear classifier on this depth alone is right on {score} of left-out training images."
    ),
    reached=lambda score: f"{score} of the images are classified rightly",
    gap=lambda points: (
        f"On its own training images the head on all depths is right {points} points more often "
        "than on left-out ones."
    ),
    guess="always naming the largest class",
    top="the most accurate",
)

TASKS: dict[Task, TaskWords] = {
    "single": _CLASSES,
    "ordinal": replace(
        _CLASSES,
        one="grade",
        many="grades",
        things="grades",
        per="per grade",
        told="tells your grades apart",
        conflict="under two grades",
        conflicts="under more than one grade",
        guess="always naming the grade that most images have",
    ),
    "multilabel": TaskWords(
        one="label",
        many="labels",
        things="labels",
        per="per label",
        within="with",
        having="with",
        each="images each",
        told="finds your labels",
        conflict="with different labels",
        conflicts="with different labels",
        score="mean average precision",
        short="precision",
        axis="mean average precision of the labels (%)",
        left_out="leave-one-out mean average precision of the labels (%)",
        reach=lambda score: f"reach a mean average precision of {score} on images left out",
        alone=lambda score: (
            f"A linear classifier on this depth alone reaches a mean average precision of {score} "
            "on left-out training images."
        ),
        reached=lambda score: f"the mean average precision of the labels is {score}",
        gap=lambda points: (
            "On its own training images the mean average precision of the head on all depths is "
            f"{points} points higher than on left-out ones."
        ),
        guess="putting the images in any order",
        warm="spoke for the label",
    ),
    "regression": TaskWords(
        one="column of numbers",
        many="columns of numbers",
        things="numbers",
        per="per column",
        within="with",
        having="with",
        each="images each",
        told="predicts your numbers",
        conflict="with different numbers",
        conflicts="with different numbers",
        score="share of the variance explained",
        short="R2",
        axis="variance explained (%)",
        left_out="leave-one-out R2 (% of the variance explained)",
        reach=lambda score: f"explain {score} of the variance of images left out",
        alone=lambda score: (
            f"A linear model on this depth alone explains {score} of the variance of left-out "
            "training images."
        ),
        reached=lambda score: f"{score} of the variance is explained",
        gap=lambda points: (
            "On its own training images the head on all depths explains "
            f"{points} points more of the variance than on left-out ones."
        ),
        guess="always naming the mean",
        worst="The predictions that are furthest from the truth.",
        head="head",
        calls="values",
        warm="raised the number",
    ),
}


def task_judged(test: HeldOutScores) -> Task:
    """Return what kind of thing was judged, as the scores that there are tell."""
    if test.per_column:
        return "regression"
    if test.n_known is not None:
        return "multilabel"
    return "single" if test.within_one is None else "ordinal"
