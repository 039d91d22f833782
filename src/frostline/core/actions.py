"""Actions: what a plan can carry out, as plain data, and every question that is asked of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from frostline.core.aliases import key_in_files

_T = TypeVar("_T")

#: weights in a file may have been rounded
_ROUNDING = 1e-3


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _Action(_Data):
    """What every action answers, so that nobody has to ask which kind it is.

    Besides these, every action has ``cut`` (the last layer that is kept; None keeps them all),
    ``taps`` (cuts that closed-form heads read, none for trained layers), ``members`` (what a blend
    averages, none for everything else) and ``leader`` (the first member of a blend, which led;
    otherwise the action itself).
    """

    @property
    def closed_form(self) -> bool:
        """Whether all of it is a head that is solved for on stored features."""
        return False

    @property
    def adapts_statistics(self) -> bool:
        """Whether norm statistics are re-estimated first, so that stored features do not serve."""
        return False

    @property
    def epochs(self) -> int:
        """Of gradient training: 0 for a closed-form head, and for a blend, whose members count."""
        return 0

    @property
    def frozen_to(self) -> str | None:
        """The last frozen layer below those that train; None where there is none."""
        return None

    @property
    def from_scratch(self) -> bool:
        """Whether the pretrained weights are thrown away."""
        return False

    @property
    def trains_all(self) -> bool:
        """Whether every weight of every kept layer trains."""
        return False

    @property
    def norms_only(self) -> bool:
        """Whether only norm layers train of what is kept."""
        return False

    @property
    def adapters(self) -> Adapters | None:
        """What trains in place of the kept layers."""
        return None

    @property
    def frozen_later(self) -> FreezeLater | None:
        """What is frozen after a part of the epochs."""
        return None

    def with_epochs(self, epochs: int) -> Self:
        """Return the same action for another number of epochs; itself where it has none."""
        del epochs
        return self

    def dispatch(
        self,
        *,
        head: Callable[[TapsHead], _T],
        layers: Callable[[LayerTraining], _T],
        blend: Callable[[Blend], _T],
    ) -> _T:
        """Call the one function that is meant for this kind of action."""
        if isinstance(self, TapsHead):
            return head(self)
        if isinstance(self, SuffixTraining | FullTraining):
            return layers(self)
        if isinstance(self, Blend):
            return blend(self)
        raise TypeError(f"no action: {type(self)}")


class _Single(_Action):
    @property
    def members(self) -> Sequence[Single]:
        return ()

    @property
    def leader(self) -> Self:
        return self


class TapsHead(_Single):
    """A closed-form head on pooled activations; the network stays frozen.

    ``taps`` are cut names in order of depth; layers above the deepest one are not needed.
    ``alpha`` None means: chosen by leave-one-out on the training rows. With ``statistics``
    "target" the BatchNorm statistics are first re-estimated on the training images, and then
    frozen like everything else. A ``head`` "stacked" adds the heads of every tap alone to that on
    all of them, with weights by leave-one-out; the sum is one linear head again. ``second_stage``
    corrects its outputs: by one bias a class, or by a matrix. With ``kernel`` the head also
    compares an image with training images, by a Gaussian kernel on all taps. A ``head`` "logistic"
    is read in older files, not trained.
    """

    model_config = ConfigDict(
        alias_generator=key_in_files,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    kind: Literal["taps_head"] = "taps_head"
    taps: list[str] = Field(min_length=1)
    head: Literal["ridge", "stacked", "logistic"] = "ridge"
    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    class_weights: Literal["none", "balanced"] = "none"
    statistics: Literal["source", "target"] = "source"
    second_stage: Literal["none", "biases", "ordered", "matrix"] = "none"
    kernel: bool = False

    @property
    def closed_form(self) -> bool:
        return True

    @property
    def adapts_statistics(self) -> bool:
        return self.statistics == "target"

    @property
    def cut(self) -> str | None:
        return self.taps[-1]

    @property
    def new_block(self) -> bool:
        return False


class Recipe(_Data):
    """How gradient training runs. Rates are for the head; deeper groups decay from it.

    ``layer_decay`` multiplies the rate once per stage going down. ``norm_mode`` "eval" keeps
    every norm layer at its stored statistics; "train" updates those of trained layers only.
    ``flip`` allows horizontal mirroring. ``anchor`` pulls trained layers back to their
    pretrained weights, as a share of the distance per unit of learning rate (L2-SP, Li et al.
    2018, decoupled from the gradient). ``interpolate`` looks, after training, for the best point
    on the line from the start to the trained weights (WiSE-FT, Wortsman et al. 2022). ``mixup``
    is the parameter of the Beta distribution by which pairs of inputs are mixed (Zhang et al.
    2018; Verma et al. 2019 for activations), 0 for none; ``noise`` the spread of what is added
    to every input, in standard deviations of its channel. ``drop_path`` is the probability that the
    last block leaves its residual branches out, falling evenly to 0 in the first (stochastic depth,
    Huang et al. 2016).
    """

    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=4096)
    learning_rate: float = Field(gt=0, le=1_000)
    head_learning_rate: float = Field(gt=0, le=1_000)
    layer_decay: float = Field(gt=0, le=1, default=1.0)
    weight_decay: float = Field(ge=0, le=100, default=1e-4)
    warmup_share: float = Field(ge=0, lt=1, default=0.1)
    label_smoothing: float = Field(ge=0, le=0.5, default=0.0)
    class_weights: Literal["none", "balanced"] = "none"
    augment: Literal["none", "light", "standard"] = "standard"
    flip: bool = True
    norm_mode: Literal["eval", "train"] = "eval"
    validation_fraction: float = Field(ge=0, le=0.5, default=0.15)
    patience: int = Field(ge=1, default=5)
    anchor: float = Field(ge=0, le=1, default=0.0)
    interpolate: bool = False
    mixup: float = Field(ge=0, le=10, default=0.0)
    noise: float = Field(ge=0, le=2, default=0.0)
    drop_path: float = Field(ge=0, lt=1, default=0.0)


class _LayerTraining(_Single):
    if TYPE_CHECKING:
        # fields of each kind, in the order that the plan's file has them in
        keep_to: str | None
        recipe: Recipe

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    @property
    def cut(self) -> str | None:
        return self.keep_to

    @property
    def taps(self) -> list[str]:
        return []

    def with_epochs(self, epochs: int) -> Self:
        changes = {"epochs": epochs, "patience": max(1, min(epochs, self.recipe.patience))}
        return self.model_copy(update={"recipe": self.recipe.model_copy(update=changes)})


class SuffixTraining(_LayerTraining):
    """Train the top of the network above a frozen prefix.

    ``keep_to`` is the last layer kept (None: nothing is removed); ``freeze_to`` the last frozen
    one. ``new_block`` puts new layers between the kept ones and the head: a 1x1 convolution block
    on maps, a round of attention on tokens.
    """

    kind: Literal["suffix"] = "suffix"
    keep_to: str | None = None
    freeze_to: str
    new_block: bool = False
    head_init: Literal["probe", "random"] = "probe"
    recipe: Recipe

    @property
    def frozen_to(self) -> str | None:
        return self.freeze_to


class Adapters(_Data):
    """Low-rank updates (LoRA, Hu et al. 2021) train in place of linear layers and convolutions.

    Each is the product of two matrices of ``rank`` rows or columns, times ``alpha / rank``. After
    training it is added to the weight, which until then stays frozen like everything else kept.
    """

    rank: int = Field(ge=1, le=256)
    alpha: float = Field(gt=0, le=1024)


class FreezeLater(_Data):
    """Some epochs of everything, then only the upper layers go on (FreezeOut, Brock et al. 2017).

    Up to ``freeze_to`` layers train for ``full_share`` of the epochs. What they give by then is
    stored, and the layers above train on that, under the same learning rate and optimiser.
    """

    freeze_to: str
    full_share: float = Field(gt=0, lt=1)

    def full_epochs(self, epochs: int) -> int:
        """Of so many epochs, how many train everything: at least one."""
        return max(1, round(self.full_share * epochs))


def _which_part(value: object) -> str:
    return "adapters" if isinstance(value, dict | Adapters) else "layers"


# told apart first, so that an error names the field at fault
_Trained = Annotated[
    Annotated[Literal["all", "norms"], Tag("layers")] | Annotated[Adapters, Tag("adapters")],
    Discriminator(_which_part),
]


class FullTraining(_LayerTraining):
    """Train every kept layer; nothing is frozen.

    With ``part`` "norms" only scale and shift of the norm layers train, and the new layers; with
    adapters only these, and the new layers. With ``start`` "random" the pretrained weights are
    thrown away: the reference for what they gave. ``freeze_later`` freezes lower layers after some
    epochs; None trains all of them to the end.
    """

    kind: Literal["full"] = "full"
    keep_to: str | None = None
    part: _Trained = "all"
    start: Literal["pretrained", "random"] = "pretrained"
    new_block: bool = False
    head_init: Literal["probe", "random"] = "probe"
    recipe: Recipe
    freeze_later: FreezeLater | None = None

    @model_validator(mode="after")
    def _all_trains_first(self) -> Self:
        if self.freeze_later is not None and self.part != "all":
            raise ValueError("freeze_later is for part='all': every layer has to train first")
        return self

    @property
    def frozen_later(self) -> FreezeLater | None:
        return self.freeze_later

    @property
    def from_scratch(self) -> bool:
        return self.start == "random"

    @property
    def trains_all(self) -> bool:
        return self.part == "all"

    @property
    def norms_only(self) -> bool:
        return self.part == "norms"

    @property
    def adapters(self) -> Adapters | None:
        return self.part if isinstance(self.part, Adapters) else None


#: what is trained by gradients
LayerTraining = SuffixTraining | FullTraining
Single = Annotated[TapsHead | SuffixTraining | FullTraining, Field(discriminator="kind")]


class Blend(_Action):
    """Carry out several actions and average their calibrated probabilities.

    On few images no race can tell good options apart, and their mistakes differ. The first member
    is the one that led. ``weights``: one for each member, above 0; they add up to 1. None: all
    members count alike.
    """

    kind: Literal["blend"] = "blend"
    members: list[Single] = Field(min_length=2, max_length=4)
    weights: list[Annotated[float, Field(gt=0, le=1)]] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is None:
            return self
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.members)} members need as many weights.")
        if abs(sum(self.weights) - 1.0) > _ROUNDING:
            raise ValueError(f"The weights must add up to 1, not {sum(self.weights):g}.")
        return self

    @property
    def shares(self) -> list[float]:
        """The weight of each member."""
        return self.weights or [1.0 / len(self.members)] * len(self.members)

    @property
    def leader(self) -> Single:
        return self.members[0]

    @property
    def cut(self) -> str | None:
        return self.leader.cut

    @property
    def taps(self) -> list[str]:
        return [tap for member in self.members for tap in member.taps]


Action = Annotated[TapsHead | SuffixTraining | FullTraining | Blend, Field(discriminator="kind")]
