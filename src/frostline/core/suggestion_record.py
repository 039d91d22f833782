"""What is suggested to be labelled, and what became of the answers, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Why(StrEnum):
    """Why an image is worth a label.

    - ``covers``: nothing labelled is like it and many others are, so it stands for them.
    - ``unsure``: the model wavers between classes.
    - ``teaches``: its label would change what is said of many others.
    - ``unlike``: it is unlike everything in training: a new class perhaps, or no picture of yours.
    - ``doubtful``: it has a label, and the other images speak against it.
    """

    COVERS = "covers"
    UNSURE = "unsure"
    TEACHES = "teaches"
    UNLIKE = "unlike"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One image to be labelled.

    Attributes
    ----------
    path : str
        Of the file, absolute.
    name : str
        What people see of it.
    digest : str
        SHA-256 of its content.
    rank : int
        From 1 on; 0 for what stands apart.
    why : Why
    predicted : str
        What the model answers.
    confidence : float
        Its probability, in [0, 1].
    others : tuple of (str, float)
        The next likeliest classes with their probabilities.
    expected_gain : float
        How much its label is expected to change the outputs for the pool: mean squared change,
        knowing those of the images before it. 0 for what stands apart.
    unfamiliarity : float or None
        How unlike the images of training it is; above 1 it counts as unknown.
    copies : tuple of str
        Other images of the pool that show the same.
    label : str
        The label that is in doubt; blank for an image without one.
    """

    path: str
    name: str
    digest: str
    rank: int
    why: Why
    predicted: str
    confidence: float
    others: tuple[tuple[str, float], ...] = ()
    expected_gain: float = 0.0
    unfamiliarity: float | None = None
    copies: tuple[str, ...] = ()
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            **asdict(self),
            "why": str(self.why),
            "others": [list(one) for one in self.others],
            "copies": list(self.copies),
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What labels are expected to bring, in accuracy from 0 to 1.

    - ``accuracy``: of a head in closed form on the labelled images, by leave-one-out.
    - ``labels``: how many more the gain is for.
    - ``gain``, ``margin``: of the suggested images; twice the standard error.
    - ``at_random``: gain of as many images at random.
    - ``doubling``, ``doubling_labels``: gain of labelling as many again as there are labels, or
      the whole pool where it has fewer.
    - ``worth_it``: whether that may be half a point or more.
    """

    accuracy: float
    labels: int
    gain: float
    margin: float
    at_random: float
    doubling: float
    doubling_labels: int
    worth_it: bool

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Images to be labelled next, and what that is expected to bring.

    Attributes
    ----------
    run : str
        The folder of the run.
    pool : str
        What the images are from; blank for doubtful labels.
    classes : tuple of str
        What can be answered.
    chosen : tuple of Suggestion
        Best first.
    apart : tuple of Suggestion
        Unlike everything in training, and not counted among the chosen.
    labelled : int
        Images that the ranking rests on.
    pool_images : int
        Readable images of the pool.
    in_run : int
        Of these, how many the run has, or somebody answered already.
    near_run : int
        Of these, how many are near-duplicates of images of the run.
    near_copies : int
        Of these, how many show the same as another one that stands for them.
    unreadable : tuple of (str, str)
        Images that could not be read, with reasons.
    forecast : Forecast or None
        None for doubtful labels, and where none was chosen.
    """

    run: str
    pool: str
    classes: tuple[str, ...]
    chosen: tuple[Suggestion, ...]
    apart: tuple[Suggestion, ...] = ()
    labelled: int = 0
    pool_images: int = 0
    in_run: int = 0
    near_run: int = 0
    near_copies: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    forecast: Forecast | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            "run": self.run,
            "pool": self.pool,
            "classes": list(self.classes),
            "chosen": [one.to_json() for one in self.chosen],
            "apart": [one.to_json() for one in self.apart],
            "labelled": self.labelled,
            "pool_images": self.pool_images,
            "in_run": self.in_run,
            "near_run": self.near_run,
            "near_copies": self.near_copies,
            "unreadable": [{"path": p, "reason": r} for p, r in self.unreadable],
            "forecast": None if self.forecast is None else self.forecast.to_json(),
        }


@dataclass(frozen=True, slots=True)
class RealisedGain:
    """What answers brought to a head in closed form, in accuracy from 0 to 1.

    - ``images``: labelled images of the run, which are judged by leave-one-out before and after.
    - ``before``, ``after``: share of them that is right, without the answers and with them.
    - ``margin``: twice the standard error of the difference.
    - ``forecast``: what had been expected of these answers.
    """

    images: int
    before: float
    after: float
    margin: float
    forecast: float

    @property
    def gain(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Labelling:
    """What became of answers.

    Attributes
    ----------
    table : str
        The table of labels that was written.
    taken : int
        Answers that changed it.
    same : int
        Answers that it had already.
    corrected : int
        Of those taken, answers about images that the run has with another label.
    aside : int
        Of those taken, images that are none of the classes.
    skipped : int
        Images without an answer.
    labels : int
        Labels in the table now.
    corrections : bool
        Whether the answers are about images of the run.
    new_classes : tuple of str
        Classes in the table that the run does not know.
    undone : int
        Answers that were taken back.
    realised : RealisedGain or None
        None where it was not asked for, or cannot be told.
    untold : str
        Why it cannot be told; blank where it is, or was not asked for.
    of_run : Labelling or None
        What became of the answers about images of the run, where a file has both kinds; they are in
        a table of their own.
    """

    table: str
    taken: int = 0
    same: int = 0
    corrected: int = 0
    aside: int = 0
    skipped: int = 0
    labels: int = 0
    corrections: bool = False
    new_classes: tuple[str, ...] = ()
    undone: int = 0
    realised: RealisedGain | None = None
    untold: str = ""
    of_run: Labelling | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        of_run = None if self.of_run is None else self.of_run.to_json()
        return {**asdict(self), "new_classes": list(self.new_classes), "of_run": of_run}
