"""What a watch of a source found, as data: written as JSON, read by the page and the CLI."""

from __future__ import annotations

from typing import Any, Literal

from frostline.core.audit_record import Count, UnreadableImage
from frostline.core.json_record import JsonRecord
from frostline.core.task import Task

#: where a change begins: nowhere, at the early end of the network (the camera: blur, noise, colour,
#: compression), or at the late one (the content: new kinds of things)
OnsetKind = Literal["none", "early", "late"]


class Alarm(JsonRecord):
    """The image at which a watch raised its alarm. ``image``: its number among those counted."""

    image: Count
    path: str


class DepthDrift(JsonRecord):
    """How far the last images are from those of training at one depth.

    Attributes
    ----------
    name : str
        The cut of the network.
    depth : float
        Share of the network's work that lies below.
    distance : float
        In standard deviations of left-out training images; ``by_chance`` is what images that did
        not change show on average.
    p_value, p_adjusted : float
        Of an exact permutation test; corrected for the number of depths (Holm 1979).
    """

    name: str
    depth: float
    distance: float
    by_chance: float
    p_value: float
    p_adjusted: float


class DriftOnset(JsonRecord):
    """Where a change begins. ``depth``: the name of the depth; None for no change."""

    kind: OnsetKind
    depth: str | None = None


class OutputDrift(JsonRecord):
    """A class or label: its share now and in training; or a number: its mean.

    ``interval``: of 95 %, of ``now``. ``verdict``: where ``p_adjusted``, corrected for all outputs
    (Holm 1979), is below 0.05.
    """

    name: str
    trained: float
    now: float
    interval: tuple[float, float]
    p_adjusted: float
    verdict: Literal["more", "less", "as before"] = "as before"


class UnknownShare(JsonRecord):
    """The share of images that the model calls unknown; of images like those of training 0.05."""

    share: float
    interval: tuple[float, float]
    expected: float = 0.05


class EvidencePoint(JsonRecord):
    """The evidence of a watch after so many images, as a logarithm to base 10."""

    images: Count
    evidence: float


class WatchRecord(JsonRecord):
    """A model and what came in.

    Attributes
    ----------
    name, source : str
    task : Task
    images : int
        That could be read.
    counted : int
        Of them, those that the watch counted: of copies, and of images of one group, the first.
    trained_on : int
        Images of the source that the model was trained on, as far as its run folder tells; left
        out, since a model knows them by heart.
    mixed : bool
        Whether they were taken in an order as good as random: folders beside each other say nothing
        about what came first.
    false_alarms : float
        Chance that a source like the training images ever raises an alarm.
    alarm : Alarm or None
    evidence, needed : float
        The most evidence, and that of an alarm, as logarithms to base 10.
    course : tuple of EvidencePoint
    depths : tuple of DepthDrift
    onset : DriftOnset
    located_by : int
        The images that ``depths`` and ``onset`` rest on: the last ones, or those around the alarm
        where all is well again since.
    outputs : tuple of OutputDrift
        Classes and labels by their share, as the likeliest explanation of all probabilities;
        numbers by their mean.
    unknown : UnknownShare or None
        None for a model that does not tell.
    n_fitted, n_left_out : int
        Training images that the depths were described by, and others that were compared with.
    left_out : {"not trained on", "trained on"}
        Whether the layers never learned from those others.
    """

    name: str
    source: str
    task: Task
    images: Count
    counted: Count
    trained_on: Count = 0
    mixed: bool = False
    false_alarms: float
    alarm: Alarm | None = None
    evidence: float
    needed: float
    course: tuple[EvidencePoint, ...] = ()
    depths: tuple[DepthDrift, ...]
    onset: DriftOnset
    located_by: Count
    outputs: tuple[OutputDrift, ...] = ()
    unknown: UnknownShare | None = None
    n_fitted: Count
    n_left_out: Count
    left_out: Literal["not trained on", "trained on"] = "not trained on"
    unreadable: tuple[UnreadableImage, ...] = ()
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON types; every name is there."""
        return self.model_dump(mode="json", by_alias=True)
