"""The shapes of what the service answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from frostline.core.task import Task
from frostline.serve.problem_details import Problem
from frostline.stats.presence import Presence

_NAME = "The file's name as it was sent, or its place in the request."

_MODEL = (
    "Fingerprint of the model that answered: the checksum of its card, so that another model has "
    "another one."
)


class NearestImage(BaseModel):
    """A training image that is like an image."""

    path: str = Field(description="As the run's list of images names it.")
    label: str = Field(description="What is true of it, written as the field label of answers.")
    similarity: float = Field(ge=-1, le=1, description="Cosine between the embeddings of both.")


class Classified(BaseModel):
    """What the model says about one image."""

    name: str = Field(description=_NAME)
    label: str = Field(
        description="The class that is answered: the likeliest, or by the model's rule. Of several "
        "labels all that the image has, and of numbers these, as text with ; between."
    )
    confidence: float | None = Field(
        ge=0,
        le=1,
        description="Its calibrated probability; of several labels that of the least sure one; "
        "null for numbers.",
    )
    probabilities: dict[str, float] = Field(
        description="Calibrated probabilities by class, likeliest first; empty for numbers. Those "
        "of several labels do not add up to 1."
    )
    unknown: bool | None = Field(
        default=None,
        description="Whether the image is unlike everything in training, so that the label is only "
        "the nearest of the known classes; null for a model that does not tell.",
    )
    unfamiliarity: float | None = Field(
        default=None,
        ge=0,
        description="How unlike the images of training it is: 95 % of images like those stay at or "
        "below 1; null for a model that does not tell.",
    )
    set_95: list[str] | dict[str, Presence | None] | None = Field(
        default=None,
        description="The classes that it may be of, likeliest first: they hold the true one for "
        "95 % of new images, and always the label. Of several labels by name whether each is "
        "present, absent or either, null for one that too few images had. Null for a model that "
        "does not tell.",
    )
    abstain: bool | list[str] | None = Field(
        default=None,
        description="Whether the label is too unsure for the bound on wrong answers, or which of "
        "several labels are; null where there is no bound.",
    )
    labels: list[str] | None = Field(
        default=None,
        description="The labels of the image; null for a model of one class an image, or numbers.",
    )
    value: dict[str, float] | None = Field(
        default=None,
        description="Predicted numbers by column; null for a model of classes or labels.",
    )
    interval: dict[str, tuple[float, float] | None] | None = Field(
        default=None,
        description="Lower and upper end around each number, which hold the true one for 90 % of "
        "new images; null where the model does not tell.",
    )
    embedding: list[float] | None = Field(
        default=None,
        description="What the model's head reads of the image, unscaled, in float32; null unless "
        "?embeddings=true asked for it.",
    )
    nearest: list[NearestImage] | None = Field(
        default=None,
        description="The training images that it is most like, the nearest first; null unless the "
        "service was told to name them.",
    )


class Unclassified(BaseModel):
    """Why one image got no answer; the others are not affected."""

    name: str = Field(description=_NAME)
    error: Problem


class Predictions(BaseModel):
    """One result for every file, in their order."""

    model: str = Field(description=_MODEL)
    results: list[Classified | Unclassified]


class Explanation(BaseModel):
    """Where the evidence for a class or a label lies in an image, or what raises a number."""

    model: str = Field(description=_MODEL)
    name: str = Field(description=_NAME)
    label: str = Field(description="The class, label or column of numbers that is explained.")
    probability: float | None = Field(
        ge=0, le=1, description="Its probability for the whole image; null for numbers."
    )
    value: float | None = Field(
        default=None, description="The number for the whole image; null for classes and labels."
    )
    heat: list[list[float]] = Field(
        description="Rows of the map over the network's square input, from the top: log-odds that "
        "the class loses when the place is blurred, or what a number loses, in its unit; below "
        "zero where the place speaks against the class or lowers the number."
    )
    strongest: float = Field(ge=0, description="The map's largest distance from zero.")
    image: str = Field(
        description="What the network saw, without bars and in the shape of the image, as the "
        "data URI of a JPEG."
    )
    overlay: str = Field(
        description="The map as the data URI of a transparent PNG of the same size: orange speaks "
        "for the class or raises the number, blue the other way."
    )


class Health(BaseModel):
    """Whether the service can answer."""

    status: Literal["ok", "stopping"]
    frostline: str = Field(description="Version of Frostline.")
    queue: int = Field(ge=0, description="Images that wait or are worked on.")


class Judged(BaseModel):
    """What is kept of feedback on one answer."""

    time: str = Field(description="When it came: ISO 8601, UTC.")
    model: str = Field(description=_MODEL)
    digest: str = Field(description="SHA-256 of the picture's file.")
    predicted: str = Field(description="The answer, as text.")
    label: str = Field(description="What is right, as text; blank for none of the classes.")
    wrong: bool = Field(description="Whether these differ.")
    confidence: float | None = Field(description="Of the answer; null for numbers.")
    image: str = Field(
        description="Where the picture is kept in the folder of the service; blank where it is not."
    )


class Reloaded(BaseModel):
    """Which model is served now."""

    model: str = Field(description=_MODEL)
    before: str = Field(description="Fingerprint of the model that was served before.")
    changed: bool = Field(description="Whether these differ.")


class CalledWrong(BaseModel):
    """How many answers were judged by people, and how many of all called wrong."""

    answers: int = Field(ge=0, description="Answers since the model was loaded.")
    judged: int = Field(ge=0, description="Those that people called right or wrong.")
    wrong: int = Field(ge=0, description="Those that they called wrong.")
    share: float | None = Field(
        ge=0,
        le=1,
        description="Share of the answers called wrong: at least so many are; null before the "
        "first answer.",
    )
    interval: tuple[float, float] | None = Field(
        description="Its 95 % interval (Wilson); null before the first answer."
    )


class KeptFeedback(BaseModel):
    """What the folder of feedback holds, of all models."""

    entries: int = Field(ge=0)
    max_entries: int = Field(ge=1, description="Where no more is taken.")
    keeps_images: bool


class WatchingDepth(BaseModel):
    """How far the last pictures are from those of training at one depth of the network."""

    name: str
    distance: float = Field(description="In standard deviations of left-out training images.")
    by_chance: float = Field(description="What pictures like those of training show on average.")
    p_value: float = Field(description="Exact, corrected for the number of depths.")


class Watching(BaseModel):
    """Whether pictures are still what the model learned from; each is counted once."""

    pictures: int
    false_alarms: float = Field(description="Chance of ever raising a false alarm.")
    alarm_at: int | None = Field(description="Pictures there had been at the alarm, if any.")
    evidence: float = Field(description="Now, as a logarithm to base 10.")
    strongest: float = Field(description="The most there ever was.")
    needed: float = Field(description="What an alarm takes.")
    onset: Literal["none", "early", "late"] = Field(
        description="Where the change of the last pictures begins: early is the camera, late the "
        "content."
    )
    onset_depth: str | None
    recent: int = Field(description="Pictures that onset and depths rest on: the last ones.")
    depths: list[WatchingDepth]
    unknown: int = Field(description="Pictures unlike everything in training.")


class State(BaseModel):
    """What is served, and what was seen of its answers since it was loaded."""

    model: str = Field(description=_MODEL)
    backbone: str
    task: Task
    outputs: int = Field(ge=1, description="Number of classes, labels, grades or columns.")
    created: str | None = Field(description="When the model was made.")
    loaded: str = Field(description="When it was loaded: ISO 8601, UTC.")
    whole: CalledWrong = Field(description="Pictures.")
    by_answer: dict[str, CalledWrong] = Field(
        description="By what was answered, the most often called wrong first; of several labels "
        "each counts for itself."
    )
    feedback: KeptFeedback | None = Field(description="Null where no feedback is taken.")
    watch: Watching | None = Field(default=None, description="Null where nothing is watched.")
