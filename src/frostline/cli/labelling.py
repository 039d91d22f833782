"""The commands about labels: which to give next, and what was given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from frostline.cli.console import cli_error_handler
from frostline.cli.settings_options import takes_settings

_RUN = "Folder of a finished run."


@takes_settings("max_pixels")
def suggest(
    run: Annotated[Path, typer.Argument(help=_RUN)],
    pool: Annotated[
        Path | None,
        typer.Argument(help="Images without labels: a folder, or a table with a column path."),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Images to suggest.", min=1)] = 100,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="Labels of the run to look at again, without a pool.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Table to write; by default suggestions.csv in the run folder."
        ),
    ] = None,
    sheet: Annotated[bool, typer.Option(help="Write a page beside it on which to answer.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **settings: Any,
) -> None:
    """Say which images to label next, and what that is expected to bring."""
    with cli_error_handler() as cancel:
        from frostline.cli.suggest import suggest_images

        suggest_images(
            run,
            pool,
            n=n,
            doubtful=doubtful,
            output=output,
            sheet=sheet,
            as_json=as_json,
            cancel=cancel,
            **settings,
        )


def label(
    run: Annotated[Path, typer.Argument(help=_RUN)],
    answers: Annotated[
        Path | None,
        typer.Argument(
            help="What a sheet saved, suggestions.csv with labels, or a service's feedback.jsonl."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Table of labels; by default labels.csv in the run."),
    ] = None,
    new_class: Annotated[
        list[str] | None,
        typer.Option(help="A class that the run does not know and that is meant; repeatable."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last answers back.")] = False,
    measure: Annotated[bool, typer.Option(help="Say what the answers brought.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take labels that people gave, and keep them beside the run."""
    with cli_error_handler() as cancel:
        from frostline.cli.label import label_images

        label_images(
            run,
            answers,
            output=output,
            new_classes=new_class or [],
            undo=undo,
            measure=measure,
            as_json=as_json,
            cancel=cancel,
        )
