"""Every user-facing setting: declared once, typed, range-checked."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from frostline.core.errors import SettingsError, did_you_mean

Strategy = Literal["auto", "head", "finetune", "cut", "full"]
Effort = Literal["fast", "balanced", "best"]
Auto = Literal["auto"]
PartName = Literal["train", "val", "test"]

#: seconds of work that each effort stands for on the nominal machine
EFFORT_SECONDS: dict[str, float] = {"fast": 60.0, "balanced": 300.0, "best": 3600.0}

#: sides of square inputs, in pixels
_SIZES = (32, 1024)

_BUDGET = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h)?\s*$")


class Settings(BaseModel):
    """What a person may choose for a fit; the CLI and the Python API share these names.

    Attributes
    ----------
    strategy : {"auto", "head", "finetune", "cut", "full"}, default="auto"
        ``auto`` lets the evidence choose; the others are the four textbook cases.
    effort : {"fast", "balanced", "best"}, default="balanced"
        ``fast`` uses closed-form heads only (unless the strategy itself trains layers).
    budget : str or None, default=None
        Nominal time such as ``"90s"``, ``"5m"``, ``"1h"``; overrides what ``effort`` allows.
        It is turned into a fixed list of work before anything starts.
    seed : int in [0, 2**31), default=0
    backbone : str, default="efficientnet_lite0"
        A bundled network, any timm name, or several with commas between: then the one whose
        frozen features serve best is taken.
    input_size : str, default="auto"
        Side of the square input in pixels, such as ``"224"``, or several with commas between to
        be compared. ``auto`` is the size of pretraining; effort ``best`` also tries a larger one.
    weights : path or None, default=None
        Local weights: safetensors, a checkpoint of PyTorch, or a folder with one of them.
    cut : str or None, default=None
        Last layer kept by ``strategy="cut"``; chosen from the evidence when None.
    train_all : bool, default=False
        With ``strategy="cut"``: train every kept layer instead of the top kept stage only.
    test_fraction : float in [0.05, 0.5], default=0.2
        Share held out when the source has no test part and at least 500 labelled images.
    group_by : str or None, default=None
        Images of one group are never split apart. For a table: a column name. For a folder:
        a regular expression whose first group (or whole match) in the relative path is the group.
    train, val, test : str or None, default=None
        Sub-folders of the source that are its parts, whatever they are called, as relative paths
        with forward slashes. ``train="."`` says that every sub-folder is a class, ``train`` and
        ``test`` too. With ``train``, whatever lies in no part is left out.
    workers : int in [0, 64] or "auto", default="auto"
        Threads that decode images; never changes a result.
    threads : int in [1, 256] or "auto", default="auto"
        Threads that compute.
    device : {"auto", "cpu", "cuda"}, default="auto"
    precision : {"auto", "fp32", "bf16"}, default="auto"
        ``auto`` is fp32.
    activations : {"half", "8bit"}, default="half"
        How the activations that training starts from are stored: 8 bits take half the room.
    max_pixels : int, default=100_000_000
        Larger images are reported as unreadable (decompression bombs).
    near_duplicates : bool, default=True
        Look for near-duplicates and never split them apart.
    epochs, batch_size : int or "auto"
    learning_rate : float in (0, 10] or "auto"
    label_smoothing : float in [0, 0.5] or "auto"
        ``auto`` is 0.1 for gradient training.
    class_weights : {"auto", "none", "balanced"}, default="auto"
        ``balanced`` weighs every class alike: better balanced accuracy, at the price of
        accuracy. ``auto`` is ``none``.
    augment : {"auto", "none", "light", "standard"}, default="auto"
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy = "auto"
    effort: Effort = "balanced"
    budget: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    backbone: Annotated[str, Field(min_length=1)] = "efficientnet_lite0"
    input_size: str = "auto"
    weights: Path | None = None
    cut: str | None = None
    train_all: bool = False
    test_fraction: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    group_by: str | None = None
    train: str | None = None
    val: str | None = None
    test: str | None = None
    workers: Annotated[int, Field(ge=0, le=64)] | Auto = "auto"
    threads: Annotated[int, Field(ge=1, le=256)] | Auto = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    activations: Literal["half", "8bit"] = "half"
    max_pixels: Annotated[int, Field(ge=1_000, le=2_000_000_000)] = 100_000_000
    near_duplicates: bool = True
    epochs: Annotated[int, Field(ge=1, le=10_000)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Auto = "auto"
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] | Auto = "auto"
    label_smoothing: Annotated[float, Field(ge=0.0, le=0.5)] | Auto = "auto"
    class_weights: Literal["auto", "none", "balanced"] = "auto"
    augment: Literal["auto", "none", "light", "standard"] = "auto"

    @field_validator("budget")
    @classmethod
    def _budget_parses(cls, value: str | None) -> str | None:
        if value is not None:
            parse_budget(value)
        return value

    @field_validator("train", "val", "test")
    @classmethod
    def _folders_lie_inside(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = PurePosixPath(value)
        if not value or path.is_absolute() or ".." in path.parts:
            raise ValueError("it must name a sub-folder of the source, such as 'data/Training'")
        return str(path)

    @field_validator("backbone")
    @classmethod
    def _backbones_parse(cls, value: str) -> str:
        if not all(part.strip() for part in value.split(",")):
            raise ValueError("a name is missing between commas")
        return value

    @field_validator("input_size", mode="before")
    @classmethod
    def _sizes_parse(cls, value: object) -> str:
        text = str(value)
        if text != "auto" and not all(_is_size(part) for part in text.split(",")):
            low, high = _SIZES
            raise ValueError(
                f"it must be 'auto' or pixels from {low} to {high}, such as '224' or '224,288'"
            )
        return text

    @model_validator(mode="after")
    def _weights_need_one_backbone(self) -> Settings:
        if self.weights is not None and len(self.backbones) > 1:
            raise ValueError("weights belong to one backbone, but several were named")
        return self

    @model_validator(mode="after")
    def _cut_needs_its_strategy(self) -> Settings:
        if self.strategy != "cut":
            if self.cut is not None:
                raise ValueError(f"cut={self.cut!r} needs strategy='cut', not {self.strategy!r}")
            if self.train_all:
                raise ValueError(f"train_all needs strategy='cut', not {self.strategy!r}")
        return self

    @property
    def part_folders(self) -> dict[PartName, str]:
        """Sub-folders that were named as parts, by part."""
        named: tuple[tuple[PartName, str | None], ...] = (
            ("train", self.train),
            ("val", self.val),
            ("test", self.test),
        )
        return {part: folder for part, folder in named if folder is not None}

    @property
    def may_train(self) -> bool:
        """Whether layers may be trained by gradient: asked for, or left to the evidence."""
        if self.strategy == "auto":
            return self.effort != "fast" or self.budget is not None
        return self.strategy != "head"

    @property
    def backbones(self) -> tuple[str, ...]:
        """Every network that was named, in order."""
        return tuple(dict.fromkeys(part.strip() for part in self.backbone.split(",")))

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """Every input size that was asked for, in pixels; empty for "auto"."""
        if self.input_size == "auto":
            return ()
        return tuple(dict.fromkeys(int(part) for part in self.input_size.split(",")))

    @property
    def budget_seconds(self) -> float:
        """Nominal seconds of work that this fit may plan for."""
        return parse_budget(self.budget) if self.budget else EFFORT_SECONDS[self.effort]


def _is_size(text: str) -> bool:
    low, high = _SIZES
    return text.strip().isdigit() and low <= int(text) <= high


def parse_budget(text: str) -> float:
    """Return seconds for ``"90"``, ``"90s"``, ``"5m"`` or ``"1h"``.

    Raises
    ------
    ValueError
        If the text has another form or is not positive.
    """
    match = _BUDGET.match(text)
    if match is None or float(match.group(1)) <= 0:
        raise ValueError(f"budget must look like '90s', '5m' or '1h', not {text!r}")
    return float(match.group(1)) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match.group(2) or "s"]


def make_settings(**values: Any) -> Settings:
    """Build :class:`Settings`, turning every mistake into one helpful :class:`SettingsError`."""
    unknown = [name for name in values if name not in Settings.model_fields]
    if unknown:
        name = unknown[0]
        hint = did_you_mean(name, Settings.model_fields)
        known = ", ".join(Settings.model_fields)
        raise SettingsError(f"There is no setting {name!r}.", hint=hint or f"Settings: {known}.")
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_in_one_sentence(error)) from None


def _in_one_sentence(error: ValidationError) -> str:
    """Name the first wrong setting, what was found and what was expected."""
    first = error.errors()[0]
    found = first.get("input")
    names = [str(part) for part in first["loc"]]
    detail = first["msg"].removeprefix("Value error, ")
    if not names:
        return f"{detail[0].upper()}{detail[1:]}."
    # a union such as int | "auto" reports one error per member; name them all
    same = [e["msg"] for e in error.errors() if e["loc"][:1] == first["loc"][:1]]
    detail = "; or ".join(dict.fromkeys(m.removeprefix("Value error, ") for m in same))
    return f"Setting {names[0]!r} cannot be {found!r}: {detail[0].lower()}{detail[1:]}."
