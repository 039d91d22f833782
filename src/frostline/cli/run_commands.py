"""Commands on finished runs: go on, compare, watch. Heavy imports wait until one is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from frostline.cli import options as opt
from frostline.cli.console import TerminalProgress, cli_error_handler
from frostline.cli.settings_options import takes_settings


def update(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    add: Annotated[
        Path | None, typer.Option(help="More images: a folder or table; classes may be new.")
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(help="An image, by name or content, a folder or a class; may be repeated."),
    ] = None,
    relabel: Annotated[
        Path | None, typer.Option(help="A table of images of the run with their right labels.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the new run.")
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Put it in the run's place, which stays as RUN.previous."),
    ] = False,
    no_worse_than: Annotated[
        float | None,
        typer.Option(help="Points; in place only if shown to be no worse by more.", min=0.0),
    ] = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="What is removed leaves the store of features, too.")
    ] = False,
    resplit: Annotated[
        bool, typer.Option("--resplit", help="Divide all images into training and test anew.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run in the folder.")
    ] = False,
) -> None:
    """Go on from a run: more images and classes, right labels, without some images."""
    with cli_error_handler(resumes=True) as cancel:
        from frostline.cli.update import check_place, show_update
        from frostline.updating.update import update as run_update

        check_place(output, in_place=in_place)
        found = run_update(
            run,
            output,
            add=add,
            remove=tuple(remove or ()),
            relabel=relabel,
            resplit=resplit,
            overwrite=overwrite,
            no_worse_than=no_worse_than,
            purge=purge,
            progress=TerminalProgress(),
            cancel=cancel,
        )
        show_update(found, run)


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help=opt.RUN)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another; differences are B less A.")],
    on: Annotated[
        Path | None,
        typer.Option(help="Labelled images; by default those that both runs were judged on."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The score that counts, such as balanced_accuracy.")
    ] = None,
    no_worse_than: Annotated[
        float | None,
        typer.Option(
            help="Exit with 3 unless B is worse by less than so many points, with 95 % confidence.",
            min=0,
        ),
    ] = None,
    speed: Annotated[
        bool, typer.Option("--speed", help="Measure how many images a second each answers.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a page (.html), or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two models on the same images: scores, slices, flipped images."""
    with cli_error_handler() as cancel:
        from frostline.cli.compare import Wanted, show_comparison

        wanted = Wanted(on, metric, no_worse_than, speed, output, as_json)
        show_comparison(a, b, wanted, cancel)


@takes_settings("max_pixels")
def watch(
    run: Annotated[Path, typer.Argument(help=opt.RUN)],
    source: Annotated[
        Path, typer.Argument(help="What came in: a folder or a table, in order of arrival.")
    ],
    false_alarms: Annotated[
        float,
        typer.Option(help="Chance that images like those of training ever raise an alarm."),
    ] = 0.01,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a page (.html), or .json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **settings: Any,
) -> None:
    """Compare what comes in with what a model learned from; exit with 3 on an alarm."""
    with cli_error_handler() as cancel:
        from frostline.cli.watch import Wanted, show_watch

        wanted = Wanted(false_alarms, settings["max_pixels"], output, as_json)
        show_watch(run, source, wanted, cancel)
