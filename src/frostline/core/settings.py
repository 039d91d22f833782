"""Every user-facing setting: declared once, with its default, its range and its help.

The command line, the estimator and :func:`frostline.fit` all take theirs from here. Importing this
module is cheap; pydantic, which checks values, is imported when there are values to check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, Unpack

from frostline.core.aliases import as_kept_in_files, under_current_names
from frostline.core.checking import (
    Range,
    Read,
    check,
    parse_budget,
    read_backbones,
    read_budget,
    read_columns,
    read_costs,
    read_device,
    read_folder,
    read_none,
    read_pretrained_on,
    read_separator,
    read_sizes,
)
from frostline.core.errors import SettingsError
from frostline.core.task import TaskSetting

Strategy = Literal["auto", "head", "finetune", "cut", "full"]
Effort = Literal["fast", "balanced", "best"]
Auto = Literal["auto"]
ActivationDtype = Literal["float16", "uint8"]
PartName = Literal["train", "val", "test"]
#: what a decision makes as good as it can
MetricSetting = Literal[
    "auto", "accuracy", "balanced_accuracy", "macro_f1", "log_loss", "mae", "qwk"
]
#: the same, where costs or what is predicted may say it
MetricName = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "log_loss", "cost", "r2", "mae", "qwk"
]
#: how a picture that is not square becomes one
ResizeMode = Literal["crop", "squash", "pad"]

#: seconds of work that each effort stands for on the nominal machine
EFFORT_SECONDS: dict[str, float] = {"fast": 60.0, "balanced": 300.0, "best": 3600.0}

#: in place of a name: every network whose weights are on this machine
AUTO = "auto"

#: under which heading a setting is listed
_CHOICE, _IMAGES, _TRAINING, _MACHINE = "What to do", "Images", "Training", "Machine"


class ModelSettings(TypedDict, total=False):
    """Keywords of whatever fits a model: what :class:`Settings` declares, for editors."""

    strategy: Strategy
    effort: Effort
    budget: str | None
    metric: MetricSetting
    costs: str | Path | Mapping[str, Mapping[str, float]] | None
    at_most_wrong: float | None
    input_size: int | str | Sequence[int]
    resize: ResizeMode | Auto
    weights: str | Path | None
    pretrained_on: str
    cut: str | None
    train_all: bool
    workers: int | Auto
    threads: int | Auto
    device: str
    precision: Literal["auto", "fp32", "bf16"]
    activation_dtype: ActivationDtype
    max_pixels: int
    group_near_duplicates: bool
    epochs: int | Auto
    batch_size: int | Auto
    learning_rate: float | Auto
    label_smoothing: float | Auto
    class_weight: Literal["auto", "none", "balanced"] | None
    augment: Literal["auto", "none", "light", "standard"]


class SettingsDict(ModelSettings, total=False):
    """Keywords of :func:`frostline.fit` and :func:`frostline.advise`."""

    backbone: str | Sequence[str]
    task: TaskSetting
    target: str | list[str] | tuple[str, ...]
    label_separator: str | None
    seed: int
    test_size: float
    groups: str | None
    train: str | None
    val: str | None
    test: str | None
    keep_features: bool


@dataclass(frozen=True)
class About:
    """What people read about a setting: the heading it is listed under, and its help."""

    panel: str
    help: str


@dataclass(frozen=True, init=False)
class Settings:
    """What a person may choose for a fit, checked.

    Parameters
    ----------
    **values
        Settings by name; those that are not given have their default. A name of an earlier
        release is taken with a :class:`DeprecationWarning`.

    Raises
    ------
    SettingsError
        If a name is unknown, a value is out of range, or two are at odds.
    """

    strategy: Annotated[
        Strategy,
        About(_CHOICE, "auto: the evidence chooses. The others are the four textbook cases."),
    ] = "auto"
    effort: Annotated[
        Effort,
        About(
            _CHOICE,
            "fast: frozen features only, unless the strategy itself trains; balanced: about 5 "
            "minutes; best: about 60.",
        ),
    ] = "balanced"
    budget: Annotated[
        str | None,
        Read(read_budget),
        About(
            _CHOICE,
            "Nominal work to plan for, such as 90s, 5m, 1h; overrides what effort allows. It "
            "becomes a fixed list of work before anything starts.",
        ),
    ] = None
    metric: Annotated[
        MetricSetting,
        About(
            _CHOICE,
            "What every choice makes as good as it can, and how a class follows from "
            "probabilities. accuracy and log_loss: the likeliest one; balanced_accuracy: every "
            "class counts alike; macro_f1: so do hits and false calls of each; of grades mae: the "
            "median, and qwk: that of the highest kappa with quadratic weights. auto: accuracy of "
            "classes, mae of grades, log_loss of several labels, R2 of numbers.",
        ),
    ] = "auto"
    costs: Annotated[
        str | None,
        Read(read_costs),
        About(
            _CHOICE,
            "What each mistake costs, in place of a metric: a CSV file with a row for every true "
            "class and a column for every answer, or such a table in Python or JSON. The answer "
            "with the lowest expected cost is given.",
        ),
    ] = None
    at_most_wrong: Annotated[
        Annotated[float, Range(gt=0.0, lt=1.0)] | None,
        About(
            _CHOICE,
            "Answer only where at most this share of answers is wrong, such as 0.01, and abstain "
            "elsewhere.",
        ),
    ] = None
    seed: Annotated[int, Range(ge=0, lt=2**31), About(_CHOICE, "Same seed, same result.")] = 0
    backbone: Annotated[
        str,
        Read(read_backbones),
        About(
            _CHOICE,
            "Any name of 'frostline models', or the folder of a run; several, with commas "
            "between, are compared; auto: all that are on this machine.",
        ),
    ] = "efficientnet_lite0"
    input_size: Annotated[
        str,
        Read(read_sizes),
        About(
            _CHOICE,
            "Side of the square input in pixels; several, with commas between, are compared. "
            "auto: the size of pretraining, on a processor 224 in place of one above 256; effort "
            "best also tries a larger one.",
        ),
    ] = "auto"
    resize: Annotated[
        ResizeMode | Auto,
        About(
            _CHOICE,
            "How pictures become square. crop: the middle is kept; squash: whatever their shape; "
            "pad: whole, with bars of the mean colour. auto: as the weights want it, unless much "
            "is never seen so and another way is clearly better.",
        ),
    ] = "auto"
    weights: Annotated[
        Path | None,
        About(
            _CHOICE,
            "Own weights for the backbone's architecture: safetensors, a checkpoint of PyTorch, "
            "or a folder with one of them.",
        ),
    ] = None
    pretrained_on: Annotated[
        str,
        Read(read_pretrained_on),
        About(
            _CHOICE,
            "What networks that store no statistics of it are compared with: a folder with some "
            "pictures that they were pretrained on; photos: those that come with Frostline. auto: "
            "photos for weights of timm and torchvision, nothing for others.",
        ),
    ] = "auto"
    cut: Annotated[
        str | None,
        About(
            _CHOICE, "Last layer kept by strategy cut; the evidence chooses where none is named."
        ),
    ] = None
    train_all: Annotated[
        bool,
        About(_CHOICE, "With strategy cut: train every kept layer, not the top kept stage alone."),
    ] = False
    task: Annotated[
        TaskSetting,
        About(
            _IMAGES,
            "single: one of several classes; multilabel: any number of labels; ordinal: classes "
            "in order, such as grades; regression: numbers. auto: as the source says it, by "
            "lists of labels or the columns of target, else single.",
        ),
    ] = "auto"
    target: Annotated[
        tuple[str, ...],
        Read(read_columns),
        About(
            _IMAGES,
            "Columns of a table that are predicted, with commas between: 0 and 1 for labels, "
            "other numbers for numbers.",
        ),
    ] = ()
    label_separator: Annotated[
        str | None,
        Read(read_separator),
        About(
            _IMAGES,
            "What stands between the labels of one image in a table; found out where it is not "
            "given.",
        ),
    ] = None
    test_size: Annotated[
        float,
        Range(ge=0.05, le=0.5),
        About(
            _IMAGES,
            "Share held out for the final score where the source has no test part and at least "
            "500 labelled images.",
        ),
    ] = 0.2
    groups: Annotated[
        str | None,
        About(
            _IMAGES,
            "Never split groups: a table's column, or a pattern whose first group, or whole "
            "match, in the path is the group.",
        ),
    ] = None
    train: Annotated[
        str | None,
        Read(read_folder),
        About(
            _IMAGES,
            "Sub-folder that is the training part; . if every sub-folder is a class. What lies in "
            "no part is then left out.",
        ),
    ] = None
    val: Annotated[
        str | None, Read(read_folder), About(_IMAGES, "Sub-folder that is the validation part.")
    ] = None
    test: Annotated[
        str | None, Read(read_folder), About(_IMAGES, "Sub-folder that is the test part.")
    ] = None
    keep_features: Annotated[
        bool,
        About(
            _IMAGES,
            "Put features of the images, at most 2 GB, into the run folder: an update then needs "
            "neither the images nor the store of features.",
        ),
    ] = False
    workers: Annotated[
        Annotated[int, Range(ge=0, le=64)] | Auto,
        About(_MACHINE, "Threads that decode images; auto: one a core, at most 8."),
    ] = "auto"
    threads: Annotated[
        Annotated[int, Range(ge=1, le=256)] | Auto,
        About(_MACHINE, "Threads that compute; auto: one a core."),
    ] = "auto"
    device: Annotated[
        str,
        Read(read_device),
        About(_MACHINE, "cpu, cuda, cuda:1 or mps; auto: cuda where PyTorch finds it, else cpu."),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], About(_MACHINE, "Numbers to compute with; auto: fp32.")
    ] = "auto"
    activation_dtype: Annotated[
        ActivationDtype,
        About(
            _MACHINE,
            "How the activations that training starts from are stored; uint8 takes half the room.",
        ),
    ] = "float16"
    max_pixels: Annotated[
        int,
        Range(ge=1_000, le=2_000_000_000),
        About(_IMAGES, "Larger images are reported and skipped."),
    ] = 100_000_000
    group_near_duplicates: Annotated[
        bool, About(_IMAGES, "Look for near-duplicates, and never split them apart.")
    ] = True
    epochs: Annotated[
        Annotated[int, Range(ge=1, le=10_000)] | Auto,
        About(_TRAINING, "Passes over the training images; auto: what the budget pays for."),
    ] = "auto"
    batch_size: Annotated[
        Annotated[int, Range(ge=1, le=4096)] | Auto,
        About(_TRAINING, "Images a step; auto: by the number of images."),
    ] = "auto"
    learning_rate: Annotated[
        Annotated[float, Range(gt=0.0, le=10.0)] | Auto,
        About(_TRAINING, "Highest rate; auto: by the strategy."),
    ] = "auto"
    label_smoothing: Annotated[
        Annotated[float, Range(ge=0.0, le=0.5)] | Auto,
        About(_TRAINING, "From 0 to 0.5; auto: 0.1."),
    ] = "auto"
    class_weight: Annotated[
        Literal["auto", "none", "balanced"],
        Read(read_none),
        About(
            _TRAINING,
            "balanced: every class counts alike, for better balanced accuracy at the price of "
            "accuracy; auto: none.",
        ),
    ] = "auto"
    augment: Annotated[
        Literal["auto", "none", "light", "standard"],
        About(_TRAINING, "How images are varied; auto: by the number of images."),
    ] = "auto"

    def __init__(self, **values: Unpack[SettingsDict]) -> None:
        for name, value in check(Settings, under_current_names(values)).items():
            object.__setattr__(self, name, value)
        if self.weights is not None and (len(self.backbones) > 1 or self.backbone == AUTO):
            raise SettingsError("Weights belong to one backbone, but several were named.")
        if self.costs is not None and self.metric not in (AUTO, "accuracy"):
            raise SettingsError(
                f"Either costs or metric={self.metric!r} says what is wanted, not both.",
                hint="Leave one of them out.",
            )
        if AUTO in self.backbones and self.backbone != AUTO:
            raise SettingsError("backbone='auto' means all on this machine; name no others beside.")
        if self.strategy == "cut":
            return
        if self.cut is not None:
            raise SettingsError(f"cut={self.cut!r} needs strategy='cut', not {self.strategy!r}.")
        if self.train_all:
            raise SettingsError(f"train_all needs strategy='cut', not {self.strategy!r}.")

    @property
    def metric_name(self) -> MetricName:
        """What is to be made as good as it can: the metric, of classes, or the expected cost."""
        if self.costs is not None:
            return "cost"
        return "accuracy" if self.metric == "auto" else self.metric

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

    def to_json(self) -> dict[str, Any]:
        """Return every setting as JSON types, under the keys that files of runs keep."""
        values = {name: getattr(self, name) for name in setting_names()}
        return {name: _as_json(value) for name, value in as_kept_in_files(values).items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def setting_names() -> tuple[str, ...]:
    """Return the name of every setting, in the order of their declaration."""
    return tuple(one.name for one in fields(Settings))
