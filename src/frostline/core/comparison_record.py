"""What a comparison of two models found, as data: written as JSON, read by the page and the CLI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from frostline.core.audit_record import Count, UnreadableImage
from frostline.core.confound_record import FactGroupName, FactName
from frostline.core.json_record import JsonRecord
from frostline.core.task import Task

#: the two models, in the order they were named
Which = Literal["a", "b"]
#: ends are None where they are not known, or infinite
Ends = tuple[float | None, float | None]


class ScoreComparison(JsonRecord):
    """One score of both models on the same images.

    Attributes
    ----------
    score : str
    a, b : float
    difference : float
        ``b - a``.
    interval : (float, float)
        Of 95 %, around the difference; it counts groups.
    gain_at_least : float or None
        By how much the second model is better with 95 % confidence, one-sided; below 0 it may be
        worse by so much. None where that is not known.
    lower_is_better : bool
        Whether the score is 0 at best.
    p_value : float
        That there is no difference.
    """

    score: str
    a: float
    b: float
    difference: float
    interval: Ends
    gain_at_least: float | None
    lower_is_better: bool = False
    p_value: float


class PartComparison(JsonRecord):
    """The same for some of the images: those of one class, label or column, or of one slice.

    ``p_adjusted`` holds for all parts that were tested together (Holm 1979); ``verdict`` says which
    model is better on these images where it is below 0.05.
    """

    dimension: str
    value: str
    score: str
    images: Count
    groups: Count
    a: float
    b: float
    difference: float
    interval: Ends
    lower_is_better: bool = False
    p_value: float
    p_adjusted: float
    verdict: Literal["a", "b", "neither"] = "neither"


class UntestedPart(JsonRecord):
    """Some images that are too few to tell anything."""

    dimension: str
    value: str
    images: Count
    groups: Count


class UnusedDimension(JsonRecord):
    """Something by which images could be told apart, and why they are not."""

    dimension: str
    reason: Literal["one value", "too many values", "not known"]
    values: Count = 0


class Flip(JsonRecord):
    """An image that one model gets right, and the other wrong.

    ``right``: the model that gets it right. ``a_confidence``, ``b_confidence``: how sure each is of
    its answer; None where that was not kept.
    """

    path: str
    digest: str
    right: Which
    truth: str
    a: str
    b: str
    a_confidence: float | None = None
    b_confidence: float | None = None


class CalibrationComparison(JsonRecord):
    """Expected calibration error of both, and what exactly right confidences would show."""

    a: float
    b: float
    a_by_chance: float
    b_by_chance: float


class ComparedModel(JsonRecord):
    """One of the models. ``images_a_second`` was measured on this machine, if asked for."""

    name: str
    backbone: str
    input_size: Count
    n_train: Count
    outputs: Count
    bytes: Count
    images_a_second: float | None = None


class CardDifference(JsonRecord):
    """Something that the cards of the models say differently of how they read or answer."""

    name: str
    a: str
    b: str


class OtherOutputs(JsonRecord):
    """Outputs that one model alone has; images of such a class are not judged."""

    kind: Literal["other outputs"] = "other outputs"
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    images: Count


class TrainedOnOthersTest(JsonRecord):
    """One model learned from images that the other is tested on; they are not judged."""

    kind: Literal["trained on the other's test images"] = "trained on the other's test images"
    model: Which
    images: Count
    of: Count


class LeftOutAsTaught(JsonRecord):
    """Images of the source that a model was trained on, or near-duplicates of such; not judged."""

    kind: Literal["left out as taught"] = "left out as taught"
    a: Count
    b: Count
    images: Count
    copies: Count


class OutOfFold(JsonRecord):
    """Predictions of a run's cross-validation: by models that never saw the image."""

    kind: Literal["out of fold"] = "out of fold"
    models: tuple[Which, ...]


class LabelsDiffer(JsonRecord):
    """Images of which the runs were told different things; they are not judged."""

    kind: Literal["labels differ"] = "labels differ"
    images: Count


class TrainingUnknown(JsonRecord):
    """Models of which nobody can tell what they were trained on."""

    kind: Literal["training unknown"] = "training unknown"
    models: tuple[Which, ...]


class AnswersOnly(JsonRecord):
    """Runs that kept what they answered, but not with what probability for every class."""

    kind: Literal["answers only"] = "answers only"
    models: tuple[Which, ...]


class ImagesNotFound(JsonRecord):
    """Judged images that are not where they were: they have no slices and no pictures."""

    kind: Literal["images not found"] = "images not found"
    images: Count
    of: Count


ComparisonCaveat = Annotated[
    OtherOutputs
    | TrainedOnOthersTest
    | LeftOutAsTaught
    | OutOfFold
    | LabelsDiffer
    | TrainingUnknown
    | AnswersOnly
    | ImagesNotFound,
    Field(discriminator="kind"),
]


class LeanComparison(JsonRecord):
    """How much either model leans on a fact that tells the label and should not matter.

    A model leans on it as far as it does better on images whose value is more frequent in their
    class than in all, class by class, than on others.

    Attributes
    ----------
    group, fact : str
        Of the facts; images were divided by the one that tells most.
    images : int
        That count: of classes that have both kinds.
    alone, chance : float
        What the facts tell of the label by themselves, and what facts that tell nothing would.
    score : str
        Of single images.
    a, b : float
        By how much each model leans on it; above 0 always for the worse.
    a_interval, b_interval, interval : (float, float)
        Of 95 %; the last that of ``difference``, b less a.
    p_adjusted : float
        That both lean alike; adjusted for all facts (Holm 1979).
    verdict : {"a", "b", "neither"}
        The one that surely leans more.
    """

    group: FactGroupName
    fact: FactName
    images: Count
    alone: float
    chance: float
    score: str
    a: float
    a_interval: tuple[float, float]
    b: float
    b_interval: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    p_adjusted: float
    verdict: Literal["a", "b", "neither"]


class NonInferiority(JsonRecord):
    """Whether the second model is worse than the first by at most ``margin``, surely enough.

    ``passed``: whether ``gain_at_least``, the one-sided bound of 95 %, is not below ``-margin``;
    all in the unit of the score.
    """

    score: str
    margin: float
    gain_at_least: float | None
    passed: bool


class ComparisonRecord(JsonRecord):
    """Two models on the same images.

    Attributes
    ----------
    a, b : ComparedModel
    task : Task
    source : str
        What was judged; empty for the images that both runs had judged before.
    images, groups : int
        That were judged, and how many succeed and fail by themselves.
    shared, judged_by_a, judged_by_b : int
        Without a source: images that both runs judged, and that each did.
    scores : tuple of ScoreComparison
        The one that counts first.
    parts : tuple of PartComparison
        Every class, label or column, and every slice that was tested, together.
    untested : tuple of UntestedPart
    unused : tuple of UnusedDimension
    leans : tuple of LeanComparison
        Facts that tell the label of these images by themselves.
    correction : str
        How p-values of parts were corrected for their number.
    flips : tuple of Flip
        The surest mistakes first.
    both_right, both_wrong : int
    """

    a: ComparedModel
    b: ComparedModel
    task: Task
    source: str = ""
    images: Count
    groups: Count
    shared: Count | None = None
    judged_by_a: Count | None = None
    judged_by_b: Count | None = None
    outputs: tuple[str, ...] = ()
    scores: tuple[ScoreComparison, ...]
    parts: tuple[PartComparison, ...] = ()
    untested: tuple[UntestedPart, ...] = ()
    unused: tuple[UnusedDimension, ...] = ()
    leans: tuple[LeanComparison, ...] = ()
    correction: Literal["holm"] = "holm"
    fewest_images: Count
    fewest_groups: Count
    flips: tuple[Flip, ...] = ()
    both_right: Count = 0
    both_wrong: Count = 0
    calibration: CalibrationComparison | None = None
    differences: tuple[CardDifference, ...] = ()
    caveats: tuple[ComparisonCaveat, ...] = ()
    unreadable: tuple[UnreadableImage, ...] = ()
    non_inferiority: NonInferiority | None = None
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON types; every name is there."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def lost(self) -> tuple[Flip, ...]:
        """Images that the second model alone gets wrong."""
        return tuple(one for one in self.flips if one.right == "a")

    @property
    def won(self) -> tuple[Flip, ...]:
        """Images that the second model alone gets right."""
        return tuple(one for one in self.flips if one.right == "b")
