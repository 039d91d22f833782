"""The command line. Heavy imports wait until a command needs them."""

from __future__ import annotations

import gc
import io
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from frostline._version import __version__
from frostline.cli import cache_commands, labelling, run_commands
from frostline.cli import options as opt
from frostline.cli.console import TerminalProgress, cli_error_handler, out
from frostline.cli.settings_options import chosen, takes_settings

_STARTED = time.perf_counter()

app = typer.Typer(
    name="frostline",
    help="Transfer learning that measures, decides and shows its work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"frostline {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


@app.command()
@takes_settings()
def fit(
    context: typer.Context,
    source: opt.Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the run.")],
    plan: Annotated[
        Path | None, typer.Option(help="Carry out this plan.json instead of deciding.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier run in the folder.")
    ] = False,
    config: opt.Config = None,
    log_to: opt.LogTo = None,
    **settings: Any,
) -> None:
    """Fit a classifier to labelled images: decide, train, evaluate, save."""
    with cli_error_handler(resumes=True) as cancel:
        values = chosen(context, settings, config)
        from frostline.cli.track import check_trackers, track

        check_trackers(log_to)
        from frostline.cli.show import show_result
        from frostline.fitting.pipeline import fit as run_fit

        result = run_fit(
            source,
            output,
            plan=plan,
            overwrite=overwrite,
            progress=TerminalProgress(),
            cancel=cancel,
            started=_STARTED,
            **values,
        )
        show_result(result)
        track(output, log_to)


@app.command()
@takes_settings()
def advise(
    context: typer.Context,
    source: opt.Source,
    save: Annotated[
        Path | None, typer.Option(help="Write the plan here, to edit and pass to fit --plan.")
    ] = None,
    config: opt.Config = None,
    **settings: Any,
) -> None:
    """Measure the images and say what fit would do, and why, without training."""
    with cli_error_handler(resumes=True) as cancel:
        values = chosen(context, settings, config)
        from frostline.cli.advise import show_advice
        from frostline.fitting.pipeline import advise as run_advise

        advice = run_advise(
            source, progress=TerminalProgress(), cancel=cancel, started=_STARTED, **values
        )
        show_advice(advice, source=source, save=save)


@app.command()
@takes_settings("max_pixels", "at_most_wrong")
def predict(
    run: Annotated[Path, typer.Argument(help=opt.RUN)],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One CSV line an image.")] = False,
    top: Annotated[int, typer.Option(help="Classes to show for each image.", min=1)] = 3,
    output: opt.Answers = None,
    embeddings: opt.Embeddings = False,
    nearest: opt.Nearest = None,
    shares: opt.Shares = None,
    **settings: Any,
) -> None:
    """Classify images with a fitted model."""
    with cli_error_handler():
        from frostline.cli.predict import Wanted, predict_images

        wanted = Wanted(
            as_json=as_json,
            as_csv=as_csv,
            top=top,
            output=output,
            embeddings=embeddings,
            nearest=nearest,
        )
        predict_images(run, images, wanted, shares=shares, **settings)


@app.command()
@takes_settings("max_pixels")
def evaluate(
    run: Annotated[Path, typer.Argument(help=opt.RUN)],
    source: opt.Source,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **settings: Any,
) -> None:
    """Score a fitted model on other labelled images."""
    with cli_error_handler() as cancel:
        from frostline.cli.evaluate import show_evaluation

        show_evaluation(run, source, as_json=as_json, cancel=cancel, **settings)


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run; for onnx also an exported file.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; for hub a folder.")
    ],
    to: Annotated[str, typer.Option(help="onnx, torch or hub.")] = "onnx",
    quantize: Annotated[
        str | None, typer.Option(help="int8: an ONNX file about three times smaller.")
    ] = None,
    opset: Annotated[
        int | None, typer.Option(help="ONNX operator set of the file; by default 19.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Images for checks and int8; by default those the run was judged on."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export.")
    ] = False,
) -> None:
    """Write a run as ONNX, for PyTorch or for a model hub, and check it against the model."""
    with cli_error_handler():
        from frostline.cli.export import export_run

        export_run(
            run, output, to=to, quantize=quantize, opset=opset, images=images, overwrite=overwrite
        )


@app.command()
@takes_settings("weights")
def inspect(
    network: Annotated[
        str, typer.Argument(help="A bundled network, any timm name, torchvision:NAME, or a RUN.")
    ],
    cut: Annotated[
        str | None, typer.Option("--cut", help="Mark what lies above as removed.")
    ] = None,
    freeze_to: Annotated[
        str | None, typer.Option(help="Mark what lies below as frozen, the rest as trained.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="The architecture alone: no weights needed.")
    ] = False,
    everywhere: Annotated[
        bool, typer.Option("--all", help="Every place where one tensor passes, inside blocks too.")
    ] = False,
    filters: Annotated[
        Path | None, typer.Option(help="Draw the first layer's filters to this .png.")
    ] = None,
    features: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Draw what successive depths respond to: IMAGE FILE.png", metavar="IMAGE FILE"
        ),
    ] = None,
    checked: Annotated[
        bool, typer.Option("--check", help="Try every promise about cutting and freezing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **settings: Any,
) -> None:
    """Show a network's blocks and cuts, its filters, and what it responds to."""
    with cli_error_handler():
        from frostline.cli.inspect import inspect_network

        inspect_network(
            network,
            random_weights=random_weights,
            cut=cut,
            freeze_to=freeze_to,
            everywhere=everywhere,
            filters=filters,
            features=features,
            as_json=as_json,
            checked=checked,
            **settings,
        )


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Another .html file to write.")
    ] = None,
) -> None:
    """Make the report of a run anew, from what its folder keeps."""
    with cli_error_handler():
        from frostline.cli.report import rebuild_report

        rebuild_report(run, output)


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="A piece of the name, or a pattern with *.")] = "",
    local: Annotated[
        bool, typer.Option("--local", help="Only networks whose weights are on this machine.")
    ] = False,
    max_macs: Annotated[
        float | None, typer.Option(help="At most so many billion multiply-adds an image.", min=0)
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="name, parameters, macs, size or accuracy.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the networks that can be loaded here and now."""
    with cli_error_handler():
        from frostline.cli.models import list_models

        list_models(pattern, local=local, max_macs=max_macs, sort=sort, as_json=as_json)


app.command()(run_commands.update)
app.command()(run_commands.compare)
app.command()(run_commands.watch)
app.command()(labelling.suggest)
app.command()(labelling.label)

app.add_typer(cache_commands.cache, name="cache")


@app.command()
@takes_settings("at_most_wrong")
def serve(
    run: Annotated[Path, typer.Argument(help=opt.RUN)],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 8000,
    api_key: opt.ApiKey = None,
    cors: opt.Cors = None,
    allow_host: opt.AllowHost = None,
    allow_reload: opt.AllowReload = False,
    feedback: opt.Feedback = None,
    keep_images: opt.KeepImages = False,
    nearest: opt.Nearest = None,
    watch: opt.WatchServed = False,
    false_alarms: opt.FalseAlarms = 0.01,
    max_feedback: opt.MaxFeedback = None,
    max_feedback_bytes: opt.MaxFeedbackBytes = None,
    max_files: opt.MaxFiles = None,
    max_bytes: opt.MaxBytes = None,
    max_request_bytes: opt.MaxRequestBytes = None,
    max_held_bytes: opt.MaxHeldBytes = None,
    max_pixels: opt.MaxServedPixels = None,
    max_seconds: opt.MaxSeconds = None,
    max_queue: opt.MaxQueue = None,
    batch: opt.Batch = None,
    wait_ms: opt.WaitMs = None,
    threads: opt.ServeThreads = None,
    shares: opt.Shares = None,
    **settings: Any,
) -> None:
    """Serve a fitted model: a page to drop images on, and an API."""
    with cli_error_handler():
        from frostline.cli.serve import Living, serve_run

        serve_run(
            run,
            host=host,
            port=port,
            api_key=api_key,
            cors=cors or [],
            allow_host=allow_host or [],
            threads=threads,
            answers={"shares": shares, **settings},
            limits={
                "max_files": max_files,
                "max_bytes": max_bytes,
                "max_request_bytes": max_request_bytes,
                "max_held_bytes": max_held_bytes,
                "max_pixels": max_pixels,
                "max_seconds": max_seconds,
                "max_queue": max_queue,
                "max_feedback": max_feedback,
                "max_feedback_bytes": max_feedback_bytes,
                "batch": batch,
                "wait_ms": wait_ms,
            },
            living=Living(
                feedback=feedback,
                keep_images=keep_images,
                allow_reload=allow_reload,
                watch=false_alarms if watch else None,
                nearest=nearest,
            ),
        )


@app.command()
@takes_settings("effort", "seed", effort="fast")
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for table and run.")
    ] = Path("frostline-demo"),
    **settings: Any,
) -> None:
    """Fit 2,624 images of solar cells, from sound to broken (needs frostline\\[demo])."""
    with cli_error_handler(resumes=True) as cancel:
        from frostline.cli.demo import run_demo

        run_demo(output, cancel=cancel, started=_STARTED, **settings)


def run() -> None:
    """Entry point of the ``frostline`` command."""
    # imports make a million objects that live to the end: looking for rubbish among them, again
    # and again, costs over a second
    gc.set_threshold(100_000, 50, 50)
    # PyTorch's threads spin while they wait for each other; beside another busy process, which then
    # has their core, a training step takes five times as long
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        # a terminal that knows few letters shows a question mark instead of a traceback
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(code: int) -> None:
    """End the process at once: every file is written, and tearing PyTorch down takes a second."""
    streams: tuple[TextIO | None, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        try:
            # there is none where it was closed before the start
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            # whoever read it has seen enough
            pass
        except OSError:
            code = code or 1
    os._exit(code)
