"""What a run found, as data: written once, read by the report, trackers, cards and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from frostline.core.audit_record import AuditRecord, Count
from frostline.core.json_record import JsonRecord
from frostline.core.operating_record import (
    AbstentionScores,
    Interval,
    IntervalScores,
    LabelAbstentionScores,
    LabelSetScores,
    SetScores,
    Share,
)
from frostline.core.plan import Plan
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


class ScoresWithoutLeaks(JsonRecord):
    """Scores on those test images that have no copy in another given part."""

    n: int
    accuracy: float
    accuracy_interval: Interval
    balanced_accuracy: float | None = None


#: scores that stand for all others, by their names here: the first that is there
_HEADLINES = {"accuracy": "Accuracy", "mean_average_precision": "Mean precision", "r2": "R2"}


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
    def headline(self) -> Headline:
        """The score that stands for all: accuracy, or what the task has in its place."""
        for name, said in _HEADLINES.items():
            value = getattr(self, name)
            if value is not None:
                low, high = getattr(self, f"{name}_interval") or (None, None)
                known = None if low is None or high is None else (low, high)
                return Headline(said, value, known)
        return Headline("Score", None, None)

    @model_validator(mode="after")
    def _square(self) -> HeldOutScores:
        n = len(self.confusion)
        if any(len(row) != n for row in self.confusion):
            raise ValueError("the confusion matrix is not square")
        return self


class PassTimes(JsonRecord):
    """Where the time of the pass over the images went."""

    images: int
    seconds_waiting_for_images: float
    seconds_computing: float
    limited_by: str


class UnknownImages(JsonRecord):
    """How the threshold for images unlike those of training came about.

    ``share_of_held_out`` of the held-out images lie beyond it; None where none was held out.
    """

    accepted: float
    n_fitted: int
    n_threshold: int
    rough: bool
    share_of_held_out: float | None = None


LossName = Literal["train_loss", "val_nll"]


class Epoch(JsonRecord):
    """One epoch of training; epoch 0 is the state before the first step."""

    epoch: int
    stage: str = ""
    train_loss: float | None = None
    val_nll: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None

    def loss(self, name: LossName) -> float | None:
        """Return the mean loss on training images, or on images left out of training."""
        return self.train_loss if name == "train_loss" else self.val_nll


#: places on each side of a picture, in which one that gives classes away is looked for
PLACES = 8


class Shortcut(JsonRecord):
    """One place in the picture that gives classes away.

    Attributes
    ----------
    labels : tuple of str
    row, column : int
        Of the place, in [0, ``PLACES``), counted from the top left.
    tells : float
        Share of pairs, one image of the class and one of another, that the place alone tells
        apart, from images left out; 0.5 is chance. The least of these classes.
    elsewhere : float
        The same for the best place that is neither part of the mark nor beside it; the most of
        these classes.
    border : bool
        Whether the mark lies along the border.
    """

    labels: tuple[str, ...]
    row: int
    column: int
    tells: float
    elsewhere: float
    border: bool = False


class Metrics(JsonRecord):
    """The content of ``metrics.json``; what has a default was added by later versions."""

    test: HeldOutScores
    n_train: int
    n_validation: int = 0
    n_test: int
    engine: str = ""
    engine_reason: str = ""
    images_computed: int = 0
    frozen_pass: PassTimes | None = Field(default=None, alias="pass")
    temperature: float | None = None
    unknown: UnknownImages | None = None
    sets: SetScores | None = None
    abstention: AbstentionScores | None = None
    label_sets: tuple[LabelSetScores, ...] = ()
    label_abstention: tuple[LabelAbstentionScores, ...] = ()
    intervals: tuple[IntervalScores, ...] = ()
    history: tuple[Epoch, ...] = ()
    caveats: tuple[str, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)
    peak_memory_bytes: int | None = None
    frozen_verified: bool


class Provenance(JsonRecord):
    """How to make the same model again."""

    command: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    fingerprints: dict[str, str] = Field(default_factory=dict)


class RunRecord(JsonRecord):
    """Everything that a run found.

    Attributes
    ----------
    plan : Plan
        Its evidence may be None (a plan that was given).
    metrics : Metrics
    audit : AuditRecord
    settings : dict
        Settings by name, as they were used.
    provenance : Provenance
    source : str
        What was trained on, as the user named it.
    classes : tuple of str
        In the model's order.
    run : str
        The run folder, as commands name it.
    version : str
        Of Frostline.
    """

    plan: Plan
    metrics: Metrics
    audit: AuditRecord = AuditRecord()
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    source: str = ""
    classes: tuple[str, ...] = ()
    run: str = "RUN"
    version: str = ""
    provenance: Provenance = Provenance()

    @field_serializer("plan")
    def _whole_plan(self, plan: Plan) -> dict[str, Any]:
        return plan.model_dump(mode="json")
