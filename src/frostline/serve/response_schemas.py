"""The shapes of what the service answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from frostline.serve.problem_details import Problem
from frostline.stats.presence import Presence

_NAME = "The file's name as it was sent, or its place in the request."


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


class Unclassified(BaseModel):
    """Why one image got no answer; the others are not affected."""

    name: str = Field(description=_NAME)
    error: Problem


class Predictions(BaseModel):
    """One result for every file, in their order."""

    results: list[Classified | Unclassified]


class Explanation(BaseModel):
    """Where the evidence for a class or a label lies in an image, or what raises a number."""

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
