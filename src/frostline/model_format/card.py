"""The model card: all that is known about a model except its weights, as ``model.json``."""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from frostline.core.actions import Action
from frostline.core.arrays import FloatArray, Truth
from frostline.core.cuts import Part
from frostline.core.files import CHECKSUM, checksum
from frostline.core.preprocessing import Preprocessing
from frostline.core.reading_rules import FIRST_RULES
from frostline.core.score_record import ScoreSummary
from frostline.core.settings import MetricName
from frostline.core.task import Task
from frostline.stats.abstention import Abstention
from frostline.stats.conformal import PredictionSets
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.number_intervals import NumberIntervals
from frostline.stats.rejection import ACCEPTED, FEW_SCORES
from frostline.targets.choose import target_of
from frostline.targets.protocol import Target

_FIRST_WITH_CHECKSUM = 3
_FIRST_WITH_READING = 4
#: of a card without a rule of its own for decisions, and of one with such a rule, or a kernel
WITHOUT_RULE: Literal[4] = 4
WITH_RULE: Literal[5] = 5
#: of a card that says which classes an image may be of, or when to abstain
WITH_OPERATING: Literal[6] = 6
#: answers that there are for each of several labels: absent, present
_PRESENCE = 2


class Fingerprints(BaseModel):
    """SHA-256, as hex digits, of what belongs to a model; empty where there is nothing.

    ``weights``, ``onnx`` and ``familiar``: of the files ``weights.safetensors``, ``model.onnx``
    and ``familiar.safetensors``; set when they are written. ``frozen``: of the frozen parameters
    and buffers, taken after training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = ""
    onnx: str = ""
    familiar: str = ""
    frozen: str = ""


class FamiliarImages(BaseModel):
    """How a model tells images that are unlike everything in training.

    ``n_fitted``: training images that it rests on. ``n_threshold``: images that set the threshold;
    none of them taught what scored it. ``accepted``: share of images like those of training that
    should stay at or below an unfamiliarity of 1. ``rough``: whether so few images set the
    threshold that it may lie elsewhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_fitted: int = Field(ge=1)
    n_threshold: int = Field(ge=1)
    accepted: float = Field(default=ACCEPTED, gt=0, lt=1)

    @property
    def rough(self) -> bool:
        return self.n_threshold < FEW_SCORES


class ModelCard(BaseModel):
    """What a model is, where it comes from and how its images must be prepared.

    Attributes
    ----------
    format_version : int
        Of this file: 6 with ``sets``, ``abstention`` or ``shares``; without them 4, or 5 with a
        ``metric`` and a ``rule``; 3 for one that was written before
        reading rules had a version, 2 before cards had a checksum, 1 before models could tell what
        is unfamiliar to them. Other versions are refused.
    frostline : str
        Version that wrote the model.
    classes : tuple of str
        In the order of the output columns: classes, labels, grades, or columns of numbers.
    task : Task
        What kind of thing is predicted; not written for one class an image.
    preprocessing : Preprocessing
        From any RGB image to the network's input.
    backbone : str
        Name of the pretrained network.
    weights_licence : str
        Of the pretrained weights; what was trained from them inherits its terms.
    cut : str or None
        Deepest kept layer; None when nothing was removed.
    taps : tuple of str
        Layers whose pooled activations feed the head, by depth; empty for other heads.
    pooling : tuple of {"class", "mean", "spread"}
        What tokens are read as; empty, and not written, for models that read everything alike.
    action : plan.Action
        The part of the plan that was carried out.
    temperature : float
        Logits are divided by it before the softmax; 1 when not calibrated.
    metric : MetricName
        What every choice was to make as high as possible; not written for accuracy.
    rule : DecisionRule
        Which class is answered for given probabilities; not written where that is the likeliest.
    sets : PredictionSets or None
        Which classes an image may be of; not written where there were too few cases for it.
    abstention : Abstention or None
        How sure an answer must be for any bound on wrong ones; not written where nothing was left
        out of training.
    label_sets : tuple of PredictionSets or None
        Of several labels, each with the answers absent and present; None for one that too few
        images have, or lack. Not written where an image has one class.
    label_abstention : tuple of Abstention or None
        The same of how sure the answer must be.
    intervals : NumberIntervals or None
        How far from predicted numbers the true ones may be; only written for numbers.
    at_most_wrong : float or None
        The bound that is kept where a prediction asks for none; not written without one.
    shares : tuple of float
        Of the classes, as the probabilities are calibrated for them; empty if unknown.
    familiar : FamiliarImages or None
        None for a model that cannot tell which images are unlike those of training.
    n_train : int
        Images that the weights were fitted on.
    test : ScoreSummary
        Of the held-out scores (accuracy, its interval, method and so on).
    source : str
        What the model was trained on, as the user named it.
    created : str or None
        ISO 8601 time; information only, never part of a result.
    onnx_difference : float
        Largest difference of a probability between ``model.onnx`` and PyTorch on the images that
        it was checked on, where rounding does not explain it; 0 where it does.
    checksum : str
        SHA-256 of all other values as :func:`frostline.core.files.checksum` takes it, set when the
        card is written; empty for a card without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2, 3, 4, 5, 6] = WITHOUT_RULE
    frostline: str
    classes: tuple[str, ...] = Field(min_length=1)
    task: Task = "single"
    preprocessing: Preprocessing
    backbone: str
    weights_licence: str
    cut: str | None = None
    taps: tuple[str, ...] = ()
    pooling: tuple[Part, ...] = ()
    action: Action
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    metric: MetricName = "accuracy"
    rule: DecisionRule = LIKELIEST
    sets: PredictionSets | None = None
    abstention: Abstention | None = None
    label_sets: tuple[PredictionSets | None, ...] = ()
    label_abstention: tuple[Abstention | None, ...] = ()
    intervals: NumberIntervals | None = None
    at_most_wrong: float | None = Field(default=None, gt=0, lt=1)
    shares: tuple[float, ...] = ()
    familiar: FamiliarImages | None = None
    fingerprints: Fingerprints = Fingerprints()
    n_train: int = Field(ge=0)
    test: ScoreSummary = ScoreSummary()
    source: str = ""
    created: str | None = None
    onnx_difference: float = Field(default=0.0, ge=0, le=1)
    checksum: str = ""

    @model_validator(mode="before")
    @classmethod
    def _older_formats_read_by_the_first_rules(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        version = values.get("format_version", _FIRST_WITH_READING)
        found = values.get("preprocessing")
        if version in range(1, _FIRST_WITH_READING) and isinstance(found, dict):
            return {**values, "preprocessing": {"reading": FIRST_RULES, **found}}
        return values

    @model_validator(mode="after")
    def _first_format_knows_no_familiar(self) -> Self:
        if self.format_version == 1 and self.familiar is not None:
            raise ValueError("format 1 has no field familiar")
        return self

    @model_validator(mode="after")
    def _rule_fits_the_classes(self) -> Self:
        if self.rule.n_outputs not in (None, len(self.classes)):
            raise ValueError(
                f"the rule is for {self.rule.n_outputs} classes, not {len(self.classes)}"
            )
        return self

    @model_validator(mode="after")
    def _one_class_tells_nothing(self) -> Self:
        if self.target.exclusive and len(self.classes) < 2:
            raise ValueError("there is only one class")
        return self

    @model_validator(mode="after")
    def _operating_fits_the_classes(self) -> Self:
        n = len(self.classes)
        every = {"sets": self.sets, "abstention": self.abstention, "intervals": self.intervals}
        for name, found in every.items():
            if found is not None and found.n_outputs != n:
                raise ValueError(f"{name} are for {found.n_outputs} classes, not {n}")
        for each in (self.label_sets, self.label_abstention):
            if each and len(each) != n:
                raise ValueError(f"there are sets or abstention of {len(each)} labels, not {n}")
            if any(one is not None and one.n_outputs != _PRESENCE for one in each):
                raise ValueError("a label is absent or present")
        if self.shares and len(self.shares) != n:
            raise ValueError(f"there are {len(self.shares)} shares for {n} classes")
        if any(not 0.0 <= share <= 1.0 for share in self.shares):
            raise ValueError("shares of classes lie between 0 and 1")
        return self

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("two classes have the same name")
        return value

    @property
    def written_format(self) -> Literal[4, 5, 6]:
        """The format that says all of it, for older versions to tell what they cannot read."""
        if self.task != "single" or self.sets or self.abstention or self.shares:
            return WITH_OPERATING
        return WITHOUT_RULE if self.metric == "accuracy" else WITH_RULE

    @property
    def target(self) -> Target:
        """What the model's outputs mean."""
        return target_of(self.task, len(self.classes))

    def decide(self, probabilities: FloatArray) -> Truth:
        """Return what is answered for predictions (n, k): classes (n,), or values (n, k)."""
        return self.target.decide(probabilities, self.rule)

    def sealed(self) -> Self:
        """Return the card with the checksum of what it says now, if its format has one."""
        if self.format_version < _FIRST_WITH_CHECKSUM:
            return self
        return self.model_copy(update={CHECKSUM: checksum(self._values())})

    def to_json(self) -> str:
        """Return the sealed card as indented JSON."""
        values, seal = self._values(), self.sealed().checksum
        if seal:
            values[CHECKSUM] = seal
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.model_dump_json(exclude={CHECKSUM}))
        return values

    @model_serializer(mode="wrap")
    def _without_what_most_lack(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        # most models have no tokens and answer the likeliest class; their cards say nothing of it
        usual = {
            "task": "single",
            "pooling": (),
            "metric": "accuracy",
            "rule": LIKELIEST,
            "sets": None,
            "abstention": None,
            "label_sets": (),
            "label_abstention": (),
            "intervals": None,
            "at_most_wrong": None,
            "shares": (),
        }
        left_out = [name for name, value in usual.items() if getattr(self, name) == value]
        return {name: value for name, value in values.items() if name not in left_out}
