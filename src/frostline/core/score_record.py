"""Scores of images that did not train a model, as data: of classes, labels, grades and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from frostline.core.audit_record import Count
from frostline.core.json_record import JsonRecord
from frostline.core.operating_record import Interval, Share
from frostline.core.settings import MetricName

#: ends are None where they are not known
UnknownInterval = tuple[float | None, float | None]
Method = Literal["given", "held-out", "cross-validation"]


class ScoreSummary(JsonRecord):
    """What a model card tells of the scores on images that did not train the model.

    ``expected_accuracy`` is that of the delivered model, which learned from more images than the
    one that was judged. Nothing is set on the card of a model that was not judged. The card in an
    8-bit file has ``before_quantising`` besides: the model that was judged computes in float32.
    """

    model_config = ConfigDict(extra="allow", defer_build=True)

    method: Method | None = None
    n: int | None = None
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    balanced_accuracy: float | None = None
    expected_accuracy: float | None = None
    expected_interval: Interval | None = None

    @model_serializer(mode="wrap")
    def _as_it_was(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # a card is sealed: what was not written is not written later
        return {name: value for name, value in whole(self).items() if name in self.model_fields_set}


class Baseline(JsonRecord):
    """The accuracy of always naming one class."""

    always: str
    accuracy: float


class ClassScores(JsonRecord):
    """Scores of one class, or of one label of several; None where undefined.

    A label has ``positives`` among the ``known`` images, is given from the ``threshold`` on, and
    has a calibration error beside that which chance alone would show. ``curve``: a few points
    (recall, precision).
    """

    label: str = Field(alias="class")
    precision: Share | None = None
    recall: Share | None = None
    f1: Share | None = None
    support: Count = 0
    known: Count = 0
    positives: Count = 0
    average_precision: Share | None = None
    average_precision_interval: UnknownInterval | None = None
    area_under_roc: Share | None = None
    area_under_roc_interval: UnknownInterval | None = None
    threshold: float | None = None
    ece: float | None = None
    ece_by_chance: float | None = None
    curve: tuple[tuple[Share, Share], ...] = ()


class LabelPair(JsonRecord):
    """Two labels: the images that have both, and as many as would if they were independent."""

    labels: tuple[str, str]
    images: Count
    expected: float


class SetMistake(JsonRecord):
    """Labels that were missed and labels that were added, and in how many images."""

    missed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    images: Count


class ColumnScores(JsonRecord):
    """Scores of one column of numbers, in its own unit; None where undefined.

    ``points``: true and predicted numbers of some images, by the true ones.
    """

    column: str
    n: Count = 0
    r2: float | None = None
    r2_interval: UnknownInterval | None = None
    mae: float | None = None
    mae_interval: UnknownInterval | None = None
    rmse: float | None = None
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Headline:
    """The one score that people know a task by, 1 at best, with its interval of 95 %."""

    name: str
    value: float | None
    interval: Interval | None


class Bin(JsonRecord):
    """Predictions of about the same confidence; all shares lie in [0, 1].

    Attributes
    ----------
    n : int
        How many predictions.
    low, high : float
        The lowest and the highest confidence among them.
    confidence : float
        Their mean confidence.
    accuracy : float
        How many of them are right.
    interval : tuple of two floats
        Wilson, 95 %, around ``accuracy``.
    """

    n: Annotated[int, Field(ge=1)]
    low: float = 0.0
    high: float = 1.0
    confidence: Share
    accuracy: Share
    interval: Interval = (0.0, 1.0)


class CalibrationScores(JsonRecord):
    """Expected calibration error, and log loss in nats."""

    ece: float
    nll: float


class Calibration(JsonRecord):
    """What the temperature changed, and the calibration error that chance alone would show."""

    before: CalibrationScores
    after: CalibrationScores
    ece_by_chance: float


#: scores that stand for all others, by their names here: the first that is there
_HEADLINES = {"accuracy": "Accuracy", "mean_average_precision": "Mean precision", "r2": "R2"}


class ScoresWithoutLeaks(JsonRecord):
    """Scores on those test images that have no copy in another given part.

    Which of them there are turns on the task.
    """

    n: int
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    balanced_accuracy: float | None = None
    mean_average_precision: float | None = None
    mean_average_precision_interval: UnknownInterval | None = None
    r2: float | None = None
    r2_interval: UnknownInterval | None = None

    @property
    def headline(self) -> Headline:
        """The score that stands for all."""
        return _headline(self)


class HeldOutScores(JsonRecord):
    """Scores on images that did not train the model, and how they were held out.

    Which of them there are turns on the task. ``confusion`` has shape (C, C); rows are the truth.
    Where something else than accuracy was to be
    as high as possible, ``metric`` names it, ``metric_score`` is 1 at best and has a standard error
    that counts groups; of log loss and cost it says how much of what the shares of the classes
    alone would leave is gone; ``metric_weighted`` says that images count by their weight in it, as
    in no other score. ``expected_cost`` is the mean cost of an answer.
    """

    metric: MetricName = "accuracy"
    metric_score: float | None = None
    metric_error: float | None = None
    metric_weighted: bool = False
    expected_cost: float | None = None
    method: Method
    folds: int = 1
    expected_accuracy: float | None = None
    expected_interval: Interval | None = None
    baseline: Baseline | None = None
    n: int
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    balanced_accuracy: float | None = None
    balanced_accuracy_interval: Interval | None = None
    macro_f1: float | None = None
    nll: float | None = None
    brier: float | None = None
    ece: float | None = None
    n_known: int | None = None
    mean_average_precision: float | None = None
    mean_average_precision_interval: UnknownInterval | None = None
    micro_f1: float | None = None
    micro_f1_interval: UnknownInterval | None = None
    macro_f1_interval: UnknownInterval | None = None
    exact_match: float | None = None
    exact_match_interval: UnknownInterval | None = None
    qwk: float | None = None
    qwk_interval: UnknownInterval | None = None
    rps: float | None = None
    rps_interval: UnknownInterval | None = None
    within_one: float | None = None
    within_one_interval: UnknownInterval | None = None
    r2: float | None = None
    r2_interval: UnknownInterval | None = None
    mae: float | None = None
    mae_interval: UnknownInterval | None = None
    per_column: tuple[ColumnScores, ...] = ()
    pairs: tuple[LabelPair, ...] = ()
    mistakes: tuple[SetMistake, ...] = ()
    reliability: tuple[Bin, ...] = ()
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] = ()
    per_class: tuple[ClassScores, ...] = ()
    calibration: Calibration | None = None
    without_leaks: ScoresWithoutLeaks | None = None

    @property
    def summary(self) -> ScoreSummary:
        """What a model card tells."""
        told = {name: getattr(self, name) for name in ScoreSummary.model_fields}
        if self.accuracy is None or self.qwk is not None:
            told = {name: value for name, value in told.items() if value is not None}
            names = ("mean_average_precision", "micro_f1", "macro_f1", "qwk", "r2", "mae")
            more = (*names, *(f"{name}_interval" for name in names))
            told |= {name: own for name in more if (own := getattr(self, name)) is not None}
        return ScoreSummary(**told)

    @property
    def mean_error(self) -> float | None:
        """The mean absolute error, where it has one unit: not over several columns of numbers."""
        return None if len(self.per_column) > 1 else self.mae

    @property
    def headline(self) -> Headline:
        """The score that stands for all: accuracy, or what the task has in its place."""
        return _headline(self)

    @model_validator(mode="after")
    def _square(self) -> HeldOutScores:
        n = len(self.confusion)
        if any(len(row) != n for row in self.confusion):
            raise ValueError("the confusion matrix is not square")
        return self


def _headline(scores: HeldOutScores | ScoresWithoutLeaks) -> Headline:
    for name, said in _HEADLINES.items():
        value = getattr(scores, name)
        if value is not None:
            low, high = getattr(scores, f"{name}_interval") or (None, None)
            known = None if low is None or high is None else (low, high)
            return Headline(said, value, known)
    return Headline("Score", None, None)
