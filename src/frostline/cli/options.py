"""Command-line options, declared once; their ranges live in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RUN = "Folder of a finished run, or an ONNX file that 'frostline export' wrote."

Source = Annotated[
    Path,
    typer.Argument(help="Folder with one folder per class, or a table (path,label[,split,group])."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="Settings from a JSON, TOML or YAML file, such as the settings.json of a run; options "
        "win."
    ),
]
LogTo = Annotated[
    list[str] | None,
    typer.Option(help="Hand the numbers to tensorboard or mlflow as well; may be repeated."),
]

Answers = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the answers to this .jsonl, .json, .csv or .parquet file (the last needs "
        "frostline\\[tables]).",
    ),
]
Embeddings = Annotated[
    bool,
    typer.Option(
        "--embeddings",
        help="Add what the model's head reads of each image: a vector, for --json and -o.",
    ),
]
Nearest = Annotated[
    int | None,
    typer.Option(
        help="Name so many training images that each image is most like; needs the run folder.",
        min=1,
    ),
]

_ACCESS, _LIMITS, _MACHINE = "Who may ask", "Limits", "Machine"
_FEEDBACK, _WATCH = "What people say", "What comes in"

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
AllowReload = Annotated[
    bool,
    typer.Option(
        "--allow-reload",
        help="Let POST /reload, with the key, serve the model that the folder holds by then; the "
        "signal SIGHUP always does.",
        rich_help_panel=_ACCESS,
    ),
]
Feedback = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Keep there what people say is right, one line each; none is taken without.",
        rich_help_panel=_FEEDBACK,
    ),
]
WatchServed = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Watch whether pictures are still what the model learned from: /state, /metrics.",
        rich_help_panel=_WATCH,
    ),
]
FalseAlarms = Annotated[
    float,
    typer.Option(
        help="Chance that pictures like those of training ever raise an alarm of --watch.",
        rich_help_panel=_WATCH,
    ),
]
KeepImages = Annotated[
    bool,
    typer.Option("--keep-images", help="Keep the image with each.", rich_help_panel=_FEEDBACK),
]
MaxFeedback = Annotated[
    int | None,
    typer.Option(
        help="Entries that are kept; then new ones are refused. (10,000)",
        rich_help_panel=_FEEDBACK,
    ),
]
MaxFeedbackBytes = Annotated[
    str | None,
    typer.Option(help="Size of these and their images. (1GB)", rich_help_panel=_FEEDBACK),
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
    str | None, typer.Option(help="Uploads in memory at a time. (500MB)", rich_help_panel=_LIMITS)
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
    int | None, typer.Option(help="Images and requests at a time. (256)", rich_help_panel=_LIMITS)
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
Shares = Annotated[
    str | None,
    typer.Option(
        help="Shares of classes among these images where they differ from training: a=0.02,b=0.98; "
        "for predict also auto, which estimates them."
    ),
]
