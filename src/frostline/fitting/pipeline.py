"""Fit and advise, as short sentences; everything they say lives in the steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from frostline.compute.torch_context import accelerators, torch_context
from frostline.core.cancel import CancelToken
from frostline.core.malloc import malloc_trim
from frostline.core.plan import Plan
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings, SettingsDict
from frostline.core.stopwatch import Stopwatch
from frostline.core.threads import blas_threads
from frostline.data.class_costs import costs_as_json
from frostline.data.sources.open_source import Source, source_identity
from frostline.fitting.assess import assess
from frostline.fitting.check_extras import check_extras
from frostline.fitting.decide import advised_plan
from frostline.fitting.prepare import Prepared, prepare
from frostline.fitting.procedure import fit_once
from frostline.fitting.run_result import RunResult
from frostline.fitting.train import Fitted, with_ood
from frostline.model.packed import PackedModel
from frostline.run.run_folder import RunFolder
from frostline.training.train import Given
from frostline.wording.progress import worded

#: parts of the settings that change no result: another number of threads only its last digits
_WITHOUT_EFFECT = {"workers", "threads"}


@dataclass(frozen=True)
class Advice:
    """What Frostline would do, and why; nothing was trained."""

    plan: Plan
    prepared: Prepared
    seconds: dict[str, float]


@dataclass(frozen=True)
class FittedAll:
    """A classifier that learned from every image of a source, and its model."""

    prepared: Prepared
    fitted: Fitted
    model: PackedModel
    seconds: dict[str, float]


def fit(
    source: Source,
    output: str | Path,
    *,
    plan: str | Path | Plan | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    started: float | None = None,
    **settings: Unpack[SettingsDict],
) -> RunResult:
    """Fit a classifier to labelled images: decide, train, evaluate, save.

    Parameters
    ----------
    source : path, DataFrame, dataset, (images, labels) or dict
        A folder with one folder per class; a CSV, TSV or Parquet table, or a DataFrame, with the
        columns ``path``, ``label`` and perhaps ``split``, ``group`` and ``weight``; a dataset of
        Hugging Face or torchvision; images and labels in memory; or a dict of these by part. See
        :func:`frostline.data.sources.open_source.open_source`.
    output : str or Path
        The run folder. An unfinished run with the same settings is resumed.
    plan : str, Path, Plan or None, default=None
        A plan to carry out instead of deciding, for example an edited ``plan.json``.
    overwrite : bool, default=False
        Replace an earlier run in ``output``.
    progress : Progress or None, default=None
        Who is told about long work.
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread; what was done is kept.
    started : float or None, default=None
        ``time.perf_counter()`` at the start of the process, for the reported total.
    **settings
        See :class:`frostline.Settings`.

    Returns
    -------
    RunResult

    Raises
    ------
    FrostlineError
        For anything wrong with the images, the settings, the network or the folder.
    """
    clock = Stopwatch(started)
    chosen = Settings(**settings)
    given = None if plan is None else plan if isinstance(plan, Plan) else Plan.from_file(Path(plan))
    check_extras(chosen, given)
    identity = identity_of(source, chosen, given)
    runtime = runtime_of(chosen, progress, cancel)
    with (
        torch_context(runtime),
        RunFolder.open(Path(output), settings=identity, overwrite=overwrite) as run,
    ):
        prepared = prepare(source, chosen, runtime, clock, plan=given)
        return fit_prepared(run, prepared, runtime, clock)


def fit_prepared(
    run: RunFolder, prepared: Prepared, runtime: Runtime, clock: Stopwatch
) -> RunResult:
    """Decide, train, evaluate and save, from images that have gone through the frozen layers."""
    # not before: a source that is refused must not cost an earlier run
    run.begin()
    run.log("prepared", images=len(prepared.catalog), split=prepared.split.method)
    malloc_trim()
    with blas_threads(1), clock.phase("deciding and training"):
        fitted = _decided_and_trained(prepared, runtime, run)
    run.log("fitted", chosen=fitted.plan.chosen)
    with blas_threads(1), clock.phase("evaluating"), torch_context(runtime):
        fitted = with_ood(prepared.inputs, fitted, prepared.split.train, runtime)
        folds = run.checkpoints / "folds"
        assessed = assess(prepared.inputs, prepared.split, fitted, runtime, checkpoint_dir=folds)
    # report and export import much, none of which is needed before the first image
    from frostline.fitting.finish import finish

    malloc_trim()
    with torch_context(runtime), blas_threads(1):
        return finish(run, prepared, fitted, assessed, runtime, clock)


def advise(
    source: Source,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    started: float | None = None,
    **settings: Unpack[SettingsDict],
) -> Advice:
    """Say what :func:`fit` would do with these images, and why, without training.

    Takes and raises what :func:`fit` does.
    """
    clock = Stopwatch(started)
    chosen = Settings(**settings)
    check_extras(chosen)
    runtime = runtime_of(chosen, progress, cancel)
    with torch_context(runtime):
        prepared = prepare(source, chosen, runtime, clock)
        with blas_threads(1), clock.phase("evidence"):
            rows, refits = prepared.split.train, prepared.refits
            plan = advised_plan(prepared.inputs, rows, runtime, refits=refits)
    return Advice(plan, prepared, clock.report())


def fit_all(
    source: Source,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    **settings: Unpack[SettingsDict],
) -> FittedAll:
    """Fit to every image of a source: none is held out, nothing is written.

    Takes and raises what :func:`fit` does; for callers that judge the result on images of their
    own.
    """
    clock = Stopwatch()
    chosen = Settings(**settings)
    check_extras(chosen)
    runtime = runtime_of(chosen, progress, cancel)
    with torch_context(runtime):
        prepared = prepare(source, chosen, runtime, clock, hold_out=False)
        with blas_threads(1), clock.phase("deciding and training"):
            fitted = fit_once(prepared.inputs, prepared.split.train, runtime)
            fitted = with_ood(prepared.inputs, fitted, prepared.split.train, runtime)
        with clock.phase("writing the model"):
            from frostline.fitting.finish import pack

            model = pack(prepared, fitted, runtime)
    return FittedAll(prepared, fitted, model, clock.report())


def _decided_and_trained(prepared: Prepared, runtime: Runtime, run: RunFolder) -> Fitted:
    inputs, validation = prepared.inputs, prepared.split.validation
    return fit_once(
        inputs,
        prepared.split.train,
        runtime,
        plan=inputs.plan,
        refits=prepared.refits,
        given=Given(
            validation=validation if len(validation) else None, checkpoint_dir=run.checkpoints
        ),
    )


def runtime_of(
    settings: Settings, progress: Progress | None, cancel: CancelToken | None
) -> Runtime:
    """Return how to compute, as settings and machine say."""
    found = accelerators(settings.device)
    return Runtime.of(settings, accelerators=found, progress=worded(progress), cancel=cancel)


def identity_of(source: Source, settings: Settings, plan: Plan | None) -> dict[str, Any]:
    """Return everything that decides the result of a run, as JSON types."""
    chosen = {k: v for k, v in settings.to_json().items() if k not in _WITHOUT_EFFECT}
    if settings.costs is not None:
        # what stands in the file, not its name
        chosen["costs"] = costs_as_json(settings.costs)
    carried_out = None if plan is None else plan.action.model_dump(mode="json")
    return {"source": source_identity(source), **chosen, "plan": carried_out}
