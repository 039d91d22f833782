"""Command-line options, declared once; their ranges live in the settings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class StrategyName(StrEnum):
    """What to do with the layers."""

    auto = "auto"
    head = "head"
    finetune = "finetune"
    cut = "cut"
    full = "full"


class EffortName(StrEnum):
    """How much work may be done."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


RUN = "Folder of a finished run, or an ONNX file that 'frostline export' wrote."

_CHOICE, _DATA, _TRAIN, _MACHINE = "What to do", "Images", "Training", "Machine"

Source = Annotated[
    Path,
    typer.Argument(help="Folder with one folder per class, or a table (path,label[,split,group])."),
]
Strategy = Annotated[
    StrategyName,
    typer.Option(help="auto: the evidence chooses.", rich_help_panel=_CHOICE),
]
Effort = Annotated[
    EffortName,
    typer.Option(
        help="fast: frozen features only; balanced: about 5 minutes; best: about 60.",
        rich_help_panel=_CHOICE,
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(help="Work to plan for, such as 90s, 5m, 1h.", rich_help_panel=_CHOICE),
]
Seed = Annotated[int, typer.Option(help="Same seed, same result.", rich_help_panel=_CHOICE)]
Backbone = Annotated[
    str,
    typer.Option(
        help="Any name of 'frostline models', or the folder of a run; several, with commas "
        "between, are compared.",
        rich_help_panel=_CHOICE,
    ),
]
InputSize = Annotated[
    str,
    typer.Option(
        help="Side of the images in pixels; several, with commas between, are compared.",
        rich_help_panel=_CHOICE,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Own weights for the backbone's architecture.", rich_help_panel=_CHOICE),
]
CutAt = Annotated[
    str | None,
    typer.Option("--cut", help="Last layer kept by --strategy cut.", rich_help_panel=_CHOICE),
]
TrainAll = Annotated[
    bool,
    typer.Option("--train-all", help="With cut: train every kept layer.", rich_help_panel=_CHOICE),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        help="Never split groups: a table's column, or a pattern in the path.",
        rich_help_panel=_DATA,
    ),
]
TrainFolder = Annotated[
    str | None,
    typer.Option(
        "--train",
        help="Sub-folder that is the training part; . if every sub-folder is a class.",
        rich_help_panel=_DATA,
    ),
]
ValFolder = Annotated[
    str | None,
    typer.Option("--val", help="Sub-folder that is the validation part.", rich_help_panel=_DATA),
]
TestFolder = Annotated[
    str | None,
    typer.Option("--test", help="Sub-folder that is the test part.", rich_help_panel=_DATA),
]
TestFraction = Annotated[
    float, typer.Option(help="Share held out for the final score.", rich_help_panel=_DATA)
]
MaxPixels = Annotated[
    int, typer.Option(help="Larger images are reported and skipped.", rich_help_panel=_DATA)
]
NearDuplicates = Annotated[
    bool, typer.Option(help="Keep near-duplicates together.", rich_help_panel=_DATA)
]
Epochs = Annotated[str, typer.Option(help="A number, or auto.", rich_help_panel=_TRAIN)]
BatchSize = Annotated[str, typer.Option(help="A number, or auto.", rich_help_panel=_TRAIN)]
LearningRate = Annotated[str, typer.Option(help="A number, or auto.", rich_help_panel=_TRAIN)]
LabelSmoothing = Annotated[str, typer.Option(help="0 to 0.5, or auto.", rich_help_panel=_TRAIN)]
ClassWeights = Annotated[str, typer.Option(help="none, balanced, or auto.", rich_help_panel=_TRAIN)]
Augment = Annotated[
    str, typer.Option(help="none, light, standard, or auto.", rich_help_panel=_TRAIN)
]
Workers = Annotated[
    str, typer.Option(help="Threads that decode, or auto.", rich_help_panel=_MACHINE)
]
Threads = Annotated[
    str, typer.Option(help="Threads that compute, or auto.", rich_help_panel=_MACHINE)
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_MACHINE)]
Activations = Annotated[
    str,
    typer.Option(
        help="How stored activations are kept: half, or 8bit for half the room.",
        rich_help_panel=_MACHINE,
    ),
]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.", rich_help_panel=_MACHINE)]
LogTo = Annotated[
    list[str] | None,
    typer.Option(
        help="Hand the numbers to tensorboard or mlflow as well; may be repeated.",
    ),
]

_ACCESS, _LIMITS = "Who may ask", "Limits"

ApiKey = Annotated[
    str | None,
    typer.Option(
        help="Ask for this key; better set FROSTLINE_API_KEY, which others on the machine "
        "cannot see.",
        rich_help_panel=_ACCESS,
    ),
]
Cors = Annotated[
    list[str] | None,
    typer.Option(
        help="A site whose pages may ask, such as https://example.org; may be repeated.",
        rich_help_panel=_ACCESS,
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        help="A name under which the service may be addressed; may be repeated.",
        rich_help_panel=_ACCESS,
    ),
]
MaxFiles = Annotated[
    int | None, typer.Option(help="Images in one request. (100)", rich_help_panel=_LIMITS)
]
MaxBytes = Annotated[
    str | None, typer.Option(help="Size of one file. (20MB)", rich_help_panel=_LIMITS)
]
MaxRequestBytes = Annotated[
    str | None, typer.Option(help="Size of one request. (100MB)", rich_help_panel=_LIMITS)
]
MaxHeldBytes = Annotated[
    str | None,
    typer.Option(help="Uploads in memory at a time. (500MB)", rich_help_panel=_LIMITS),
]
MaxServedPixels = Annotated[
    int | None,
    typer.Option("--max-pixels", help="Of one image. (64 million)", rich_help_panel=_LIMITS),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(help="For a request to arrive and be answered. (30)", rich_help_panel=_LIMITS),
]
MaxQueue = Annotated[
    int | None,
    typer.Option(help="Images and requests at a time. (256)", rich_help_panel=_LIMITS),
]
Batch = Annotated[
    int | None, typer.Option(help="Images computed together. (8)", rich_help_panel=_MACHINE)
]
WaitMs = Annotated[
    float | None,
    typer.Option(help="Milliseconds to wait for others. (2)", rich_help_panel=_MACHINE),
]
ServeThreads = Annotated[
    int | None,
    typer.Option(
        "--threads", help="Threads that compute. (every core)", min=1, rich_help_panel=_MACHINE
    ),
]


def settings_of(values: dict[str, Any]) -> dict[str, Any]:
    """Turn option values into settings: numbers where text says a number, names from enums."""
    numeric = {"epochs", "batch_size", "learning_rate", "label_smoothing", "workers", "threads"}
    return {
        name: _number(value)
        if name in numeric
        else str(value)
        if isinstance(value, StrEnum)
        else value
        for name, value in values.items()
    }


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
