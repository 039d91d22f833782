"""The plan as plain data: what is removed, frozen, trained and new, and the evidence for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from frostline.core.actions import Action
from frostline.core.aliases import key_in_files
from frostline.core.errors import PlanError
from frostline.core.files import JSON_BYTES, UnfitFileError, peek_json, read_regular
from frostline.core.notebook import card, columns, sentences, strip
from frostline.core.operating_record import AbstentionPoint
from frostline.core.reasons import Fate, Given, Reason, RunnerUp
from frostline.core.settings import MetricName, ResizeMode
from frostline.core.task import Task

_FRESH = "Run 'frostline advise' to get a fresh plan."


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# ---------------------------------------------------------------- evidence, in plain types


class SizeEvidence(_Data):
    """How much labelled data there is. ``per_class`` is the median over classes."""

    n_images: int
    n_classes: int
    per_class: float
    smallest_class: int
    largest_class: int
    label: Literal["small", "medium", "large"]


class LayerShift(_Data):
    """Shift at the input of one norm layer, in squared source standard deviations (debiased)."""

    layer: str
    shift: float
    shift_median: float
    kl: float


class ShiftEvidence(_Data):
    """How far the images lie from what the network saw in pretraining, without any label.

    ``distance`` is the mean of the debiased shift over depth with a bootstrap ``interval``;
    ``relative`` is ``distance`` divided by that of ordinary photos on the network's reference
    card (None without a card). ``kind`` says where the shift sits. ``preprocessing`` is a warning
    that the images may have been fed wrongly, empty where nothing smells of it.

    ``measure`` says what the images were compared with: "batchnorm" stands for the statistics that
    the network stored, "source pictures" for some that it was pretrained on, "reference
    pictures" for photos that come with Frostline, "none" for nothing. ``n_reference`` is the number
    of these pictures, ``noise`` what their choice alone may bring about. From source pictures the
    distance is a squared Mahalanobis distance, in that of one more of them. The label "unknown"
    steers nothing.
    """

    measure: str
    n_images: int
    distance: float
    interval: tuple[float, float]
    relative: float | None
    early: float
    middle: float
    late: float
    kind: Literal["none", "input", "feature", "global", "unknown"]
    label: Literal["similar", "moderate", "different", "unknown"]
    layers: list[LayerShift]
    warnings: list[str] = []
    preprocessing: str = ""
    noise: float | None = None
    n_reference: int = 0


class ProbeEvidence(_Data):
    """Exact leave-one-out ridge on one tap, or on all taps together (``tap="all"``).

    Accuracies lie in [0, 1]; ``standard_error`` belongs to ``accuracy``. ``neighbours`` is the
    accuracy of the nearest other images' vote on the same tap, a second opinion that fits nothing
    (None where it was not asked). ``score`` is that of the plan's metric, 1 at best, with its
    ``score_error``; None where that is accuracy.
    """

    model_config = ConfigDict(
        alias_generator=key_in_files,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    tap: str
    dimensions: int
    accuracy: float
    standard_error: float
    balanced_accuracy: float
    mse: float
    train_accuracy: float
    alpha: float
    neighbours: float | None = None
    score: float | None = None
    score_error: float | None = None

    @property
    def reached(self) -> float:
        """The score by the plan's metric, accuracy or another."""
        return self.accuracy if self.score is None else self.score

    @property
    def reached_error(self) -> float:
        """Standard error of :attr:`reached`."""
        return self.standard_error if self.score_error is None else self.score_error


class StackingEvidence(_Data):
    """How the head on stacked taps was put together.

    ``shares`` are the weights of each tap's own head, of that on all taps ("all") and, where it is
    taken, of a kernel on all taps ("kernel"), and sum to 1. ``log_losses`` has the mean log loss,
    in nats, of every second stage that was tried, on training rows whose fold did not teach it;
    ``second_stage`` is the one that was taken. ``linear_log_loss`` is that of the best head without
    a kernel; None where none was taken.
    """

    shares: dict[str, float]
    second_stage: Literal["none", "biases", "ordered", "matrix"]
    log_losses: dict[str, float]
    linear_log_loss: float | None = None


class Lookalike(_Data):
    """The old class that a new one looks most like; ``probability`` is a mean over its images.

    The old classifier is confident about anything, so this explains and decides nothing.
    """

    label: str
    source: str
    probability: float
    close: bool


class EvidenceSummary(_Data):
    """All that the decision rests on.

    Gains and ``headroom`` are in the plan's metric, all else in accuracy; of several labels
    accuracies are mean average precisions, of numbers shares of the variance explained (``task``).
    ``cut_gain`` is the accuracy of the best single tap minus that of the last one, with its
    paired standard error; ``gap`` is train minus leave-one-out accuracy of all taps;
    ``slope`` is the accuracy gained by the last doubling of the data. ``adapted`` is the probe on
    all taps after the norm layers' statistics were re-estimated on the training images (None
    where that was not tried), ``adapted_gain`` its accuracy minus that of ``all_taps``, with its
    paired standard error. ``agreement`` is Kendall's tau between ridge and nearest neighbours over
    the single taps, from -1 to 1: how far two opinions rank the depths alike. ``best_tap`` is the
    deepest that is not clearly worse than the most accurate one, ``best_below`` the same among
    those that lie below the last feature map; empty for networks with BatchNorm, where a cut takes
    the most accurate of them. ``stacked`` scores the head that adds up all depths, put together as
    ``stacking`` says (None where that was not tried).
    """

    size: SizeEvidence
    shift: ShiftEvidence
    probes: list[ProbeEvidence]
    all_taps: ProbeEvidence
    best_tap: str
    last_tap: str
    cut_gain: float
    cut_gain_error: float
    gap: float
    slope: float
    headroom: float
    chance: float
    lookalikes: list[Lookalike] = []
    adapted: ProbeEvidence | None = None
    agreement: float | None = None
    adapted_gain: float = 0.0
    adapted_gain_error: float = 0.0
    best_below: str = ""
    stacked: ProbeEvidence | None = None
    stacking: StackingEvidence | None = None
    task: Task = "single"

    def probe(self, tap: str) -> ProbeEvidence:
        """Return the probe of one tap; that of all taps where an edited plan names none."""
        also = [probe for probe in (self.adapted, self.stacked) if probe is not None]
        found = (probe for probe in (*self.probes, *also) if probe.tap == tap)
        return next(found, self.all_taps)


class CandidateResult(_Data):
    """One option that was looked at.

    ``score`` is that of the plan's metric on training rows only, 1 at best.

    ``fate`` tells how it ended (None in plans of earlier versions), ``behind`` by how much
    accuracy it fell short where that left it out; ``stopped`` says both in words.
    """

    name: str
    kind: Literal["taps_head", "suffix", "full", "blend"]
    score: float | None
    standard_error: float | None
    seconds: float
    stopped: str = ""
    fate: Fate | None = None
    behind: float | None = None

    @property
    def trains(self) -> bool:
        """Whether it is more than one head in closed form."""
        return self.kind != "taps_head"

    @property
    def averages(self) -> bool:
        """Whether it is an average of others, not an option that was tried itself."""
        return self.kind == "blend"


class NetworkResult(_Data):
    """One network at one input size, scored by the frozen features of all depths.

    ``macs`` are multiply-accumulates for one image; ``accuracy`` is leave-one-out on training
    rows, in [0, 1], and ``interval`` holds it with 95 %, where it is what counts. ``images``: on
    how many rows.
    ``behind`` is how far it lies behind the best on the same rows, and ``behind_error`` the paired
    standard error of that. ``score`` is that of the plan's metric; None where that is accuracy.
    ``seconds`` is the nominal time of its features for all images, ``memory`` the bytes that were
    counted for them beforehand. A candidate that could not run has no accuracy, and ``left_out``
    says why.
    """

    backbone: str
    input_size: int
    macs: int
    accuracy: float | None
    standard_error: float | None
    chosen: bool
    interval: tuple[float, float] | None = None
    images: int | None = None
    behind: float | None = None
    behind_error: float | None = None
    seconds: float | None = None
    memory: int | None = None
    left_out: str = ""
    score: float | None = None

    @property
    def reached(self) -> float | None:
        """The score by the plan's metric, accuracy or another."""
        return self.accuracy if self.score is None else self.score


class ResizeResult(_Data):
    """One way of making pictures square.

    ``unseen`` is the share of their area that is never seen so, on average. ``accuracy`` is
    leave-one-out on ``n_images`` training images, in [0, 1]; None where there was nothing to
    compare, or another way was asked for. ``gain`` is how much more probability the true class
    gets than by the weights' own way, with its paired standard error.
    """

    mode: ResizeMode
    unseen: float
    chosen: bool
    n_images: int = 0
    accuracy: float | None = None
    gain: float = 0.0
    gain_error: float = 0.0


class Plan(_Data):
    """What will be done, and why. Written as ``plan.json``; may be edited and passed back.

    ``case`` is the textbook case (1-4) that the carried-out plan belongs to, ``prior_case`` the
    one that the textbook alone would have named. ``input_size`` is the side of the images that the
    network sees, in pixels (None: that of its pretraining), ``pretraining_size`` that of its
    pretraining where another was chosen for the processor, ``networks`` what was compared;
    ``resize`` is how images become square (None: as the weights want it), ``resizes`` what was
    compared, the weights' own way first.
    ``removed``, ``frozen``, ``trained`` and ``new`` name layers. ``metric`` is what every choice
    was to make as high as possible. ``answering`` says, of a plan that was carried out with a bound
    on wrong answers, how many images are answered, by those that did not teach.

    ``reasons`` settled the choice, the last one above all; ``probe`` names the leave-one-out probe
    that scored it, None where training did. ``prior`` and ``explanation`` say all this in words,
    for people alone. Plans of earlier versions have the words only.
    """

    version: Literal[1] = 1
    case: Literal[1, 2, 3, 4]
    prior: str = ""
    strategy: Literal["auto", "head", "finetune", "cut", "full"]
    chosen: str
    backbone: str
    input_size: int | None = Field(default=None, ge=16, le=2048)
    pretraining_size: int | None = None
    cut: str | None = None
    removed: list[str] = []
    frozen: list[str] = []
    trained: list[str] = []
    new: list[str] = []
    seed: int
    action: Action
    evidence: EvidenceSummary | None = None
    networks: list[NetworkResult] = []
    resize: ResizeMode | None = None
    resizes: list[ResizeResult] = []
    candidates: list[CandidateResult] = []
    explanation: list[str] = []
    estimated_seconds: float = 0.0
    prior_case: Literal[1, 2, 3, 4] | None = None
    probe: str | None = None
    reasons: list[Reason] = []
    runner_up: RunnerUp | None = None
    metric: MetricName = "accuracy"
    answering: AbstentionPoint | None = None

    @property
    def given(self) -> bool:
        """Whether the plan was given rather than decided."""
        return any(isinstance(reason, Given) for reason in self.reasons)

    @property
    def names_case(self) -> bool:
        """Whether anybody can say which of the textbook's cases the data are."""
        return self.evidence is None or self.evidence.shift.label != "unknown"

    def to_json(self) -> str:
        """Return the plan as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"

    def _repr_html_(self) -> str:
        """Show layers, accuracy by depth and reasons in a notebook."""
        fates = ("frozen", "trained", "new", "removed")
        layers = [(name, fate) for fate in fates for name in getattr(self, fate)]
        counts = [f"{len(getattr(self, fate))} {fate}" for fate in fates if getattr(self, fate)]
        probes = [] if self.evidence is None else [*self.evidence.probes, self.evidence.all_taps]
        depth = ""
        textbook = f"; the textbook says: {self.prior}" if self.prior else ""
        if probes:
            depth = columns([(probe.tap, probe.accuracy) for probe in probes], top=1.0) + sentences(
                [
                    f" {probes[0].accuracy:.1%} at {probes[0].tap}, all together "
                    f"{probes[-1].accuracy:.1%}"
                ]
            )
        return card(
            f"Plan: {self.chosen}",
            [
                ("Case", sentences([f"{self.case} of 4{textbook}"] if self.names_case else [])),
                ("Layers", f"{strip(layers)} {sentences([', '.join(counts)])}"),
                ("By depth", depth),
                ("Why", sentences(self.explanation)),
            ],
        )

    @classmethod
    def from_file(cls, path: Path) -> Plan:
        """Read a plan that was written by Frostline and perhaps edited.

        Raises
        ------
        PlanError
            If the file is missing, is no JSON, or has a wrong field (which is named).
        """
        try:
            content = read_regular(path, at_most=JSON_BYTES)
        except UnfitFileError as error:
            raise PlanError(f"Plan file {path} cannot be read: {error}.") from None
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            _check_version(path, content)
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise PlanError(
                f"Plan file {path}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}.",
                hint=_FRESH,
            ) from None


def _check_version(path: Path, content: bytes) -> None:
    """Say so if a plan is of another version than the one that is read."""
    found, known = peek_json(content).get("version"), Plan.model_fields["version"].default
    if isinstance(found, int) and found != known:
        age = "newer" if found > known else "older"
        raise PlanError(
            f"Plan file {path} is of version {found}, {age} than this Frostline, which reads "
            f"version {known}.",
            hint="Update Frostline." if found > known else _FRESH,
        )
