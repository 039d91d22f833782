"""What a run found, as data: written once, read by the report, trackers, cards and exports."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, field_serializer

from frostline.core.audit_record import AuditRecord
from frostline.core.confound_record import ConfoundAudit
from frostline.core.json_record import JsonRecord
from frostline.core.operating_record import (
    AbstentionScores,
    IntervalScores,
    LabelAbstentionScores,
    LabelSetScores,
    SetScores,
)
from frostline.core.plan import Plan
from frostline.core.score_record import HeldOutScores


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


class TrainedBefore(JsonRecord):
    """What training layers had reached, in the run that a later one has its layers from.

    Scores by which people know the task, 1 at best: ``frozen`` that of a head on the layers of
    before, by the evidence of that run (None where it had none), ``reached`` with its ``interval``
    of 95 % that of the trained run, on images that did not train it.
    """

    frozen: float | None
    reached: float
    interval: tuple[float, float]


class Refit(JsonRecord):
    """Whether trained layers that were kept still serve, or it is time to train again.

    ``now``, with its ``interval`` of 95 %, is the score of the new head on these layers. ``kept``
    is the share of what training had gained that is still there; None where it had gained nothing,
    or nobody knows. ``due``: the score lies below what training had reached, by more than chance
    explains.
    """

    before: TrainedBefore
    now: float
    interval: tuple[float, float]
    kept: float | None
    due: bool


class KeptFeatures(JsonRecord):
    """Features that a run keeps in its folder, for a later run without store and images.

    ``left_out``: why it keeps none: their ``bytes`` are too many, or trained layers would not read
    them.
    """

    images: int
    bytes: int = 0
    left_out: Literal["too large", "trained layers"] | None = None


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
    kept_features: KeptFeatures | None = None
    refit: Refit | None = None
    history: tuple[Epoch, ...] = ()
    caveats: tuple[str, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    confounds: ConfoundAudit | None = None
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
