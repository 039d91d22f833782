"""Fit and advise, as short sentences; everything they say lives in the rooms below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from frostline.compute.engines.torch_runtime import accelerators, torch_runtime
from frostline.compute.frozen import Frozen, run_frozen
from frostline.compute.image_loader import PREPROCESSED_BYTES
from frostline.compute.memoized_copies import copies_of
from frostline.compute.set_values import measure_set
from frostline.core.cancel import CancelToken
from frostline.core.plan import NetworkResult, Plan
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings, SettingsDict
from frostline.core.stopwatch import Stopwatch
from frostline.data.audit import Audit, audit, with_unseen
from frostline.data.catalog import Catalog
from frostline.data.problem import Problem
from frostline.data.sources.open_source import Source, open_source, source_identity
from frostline.data.splitting.split import Split, make_split
from frostline.data.unseen import find_unseen
from frostline.evidence.networks import best_network
from frostline.exporting.pytorch.writable import check_writable
from frostline.fitting.assess import TRAINED_FOLDS, Assessed, assess
from frostline.fitting.networks import open_networks
from frostline.fitting.procedure import (
    Fitted,
    Task,
    fit_once,
    gather,
    know_what_is_familiar,
    make_context,
)
from frostline.fitting.publish import pack, publish
from frostline.fitting.run_result import RunResult
from frostline.model.packed import PackedModel
from frostline.run.run_folder import RunFolder
from frostline.strategy.decide import decide
from frostline.strategy.thresholds import FITTED
from frostline.training.layers import redescribe, with_layers
from frostline.wording.decision import with_given_sentence, with_sentences
from frostline.wording.progress import worded
from frostline.wording.unseen import unseen_sentences
from frostline.wording.values import values_sentences

#: parts of the settings that change no result: another number of threads only its last digits
_WITHOUT_EFFECT = {"workers", "threads"}


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is decided."""

    task: Task
    audit: Audit
    split: Split

    @property
    def catalog(self) -> Catalog:
        """The readable images."""
        return self.task.frozen.catalog

    @property
    def refits(self) -> float:
        """How often gradient training would run, in multiples of the training rows."""
        return TRAINED_FOLDS if self.split.method == "cross-validation" else 1.0


@dataclass(frozen=True)
class FittedAll:
    """A classifier that learned from every image of a source, and its model."""

    prepared: Prepared
    fitted: Fitted
    model: PackedModel
    seconds: dict[str, float]


@dataclass(frozen=True)
class Advice:
    """What Frostline would do, and why; nothing was trained."""

    plan: Plan
    prepared: Prepared
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
        columns ``path``, ``label`` and perhaps ``split`` and ``group``; a dataset of Hugging
        Face or torchvision; images and labels in memory; or a dict of these by part. See
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
    identity = _identity(source, chosen, given)
    runtime = _runtime(chosen, progress, cancel)
    with (
        torch_runtime(runtime),
        RunFolder.open(Path(output), settings=identity, overwrite=overwrite) as run,
    ):
        prepared = _prepare(source, chosen, runtime, clock, given)
        run.log("prepared", images=len(prepared.catalog), split=prepared.split.method)
        fitted = _fit(prepared, given, runtime, run, clock)
        run.log("fitted", chosen=fitted.plan.chosen)
        with clock.phase("evaluating"):
            fitted = know_what_is_familiar(prepared.task, fitted, prepared.split.train, runtime)
            assessed = assess(
                prepared.task,
                prepared.split,
                fitted,
                runtime,
                checkpoint_dir=run.checkpoints / "folds",
            )
        return _publish(run, prepared, fitted, assessed, runtime, clock)


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
    runtime = _runtime(chosen, progress, cancel)
    with torch_runtime(runtime):
        prepared = _prepare(source, chosen, runtime, clock, None)
        with clock.phase("evidence"):
            evidence = gather(prepared.task, prepared.split.train, runtime)
            context = make_context(prepared.task, evidence, runtime, refits=prepared.refits)
            plan = with_sentences(with_layers(decide(context).plan, prepared.task.frozen.network))
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
    runtime = _runtime(chosen, progress, cancel)
    with torch_runtime(runtime):
        prepared = _prepare(source, chosen, runtime, clock, None, hold_out=False)
        with clock.phase("deciding and training"):
            fitted = fit_once(prepared.task, prepared.split.train, runtime)
            fitted = know_what_is_familiar(prepared.task, fitted, prepared.split.train, runtime)
        with clock.phase("writing the model"):
            model = pack(prepared.task, prepared.split, fitted, runtime)
    return FittedAll(prepared, fitted, model, clock.report())


def _runtime(settings: Settings, progress: Progress | None, cancel: CancelToken | None) -> Runtime:
    found = accelerators()
    return Runtime.of(settings, accelerators=found, progress=worded(progress), cancel=cancel)


def _prepare(
    source: Source,
    settings: Settings,
    runtime: Runtime,
    clock: Stopwatch,
    plan: Plan | None,
    *,
    hold_out: bool = True,
) -> Prepared:
    progress = runtime.progress
    with clock.phase("listing images"):
        catalog = open_source(
            source,
            group_by=settings.groups,
            folders=settings.part_folders,
            runtime=runtime,
        )
    with clock.phase("loading the network"):
        networks = open_networks(settings, plan, progress)
        for network in networks:
            if settings.cut is not None:
                network.cut(settings.cut)
            for note in network.notes:
                progress.note(note)
            check_writable(network, cut=settings.cut)
    with clock.phase("listing images"):
        values = measure_set(catalog, runtime)
        for network in networks:
            network.read_by(values.rules)
        for sentence in values_sentences(values):
            progress.note(sentence)
    # without training only few images are looked at again
    room = None if settings.may_train else PREPROCESSED_BYTES // 4
    with clock.phase("frozen features"):
        candidates: list[Frozen] = [
            run_frozen(network, catalog, runtime, preprocessed_bytes=room) for network in networks
        ]
        frozen = candidates[0]
    with clock.phase("audit"):
        copies = copies_of(frozen.features) if settings.group_near_duplicates else None
        found = audit(frozen.catalog, copies, values=values)
        split = (
            make_split(
                frozen.catalog,
                found.groups,
                test_size=settings.test_size,
                seed=settings.seed,
            )
            if hold_out
            else Split.everything(len(frozen.catalog))
        )
    problem = Problem.of(
        frozen.catalog,
        groups=found.groups,
        weights="none" if settings.class_weight == "auto" else settings.class_weight,
        seed=settings.seed,
    )
    compared: list[NetworkResult] = []
    if len(candidates) > 1:
        with clock.phase("comparing networks"):
            frozen, compared = best_network(
                problem, candidates, split.train, tie=FITTED.network_tie
            )
    unseen = find_unseen(frozen.catalog, frozen.features.facts, frozen.network.preprocessing)
    for sentence in unseen_sentences(unseen):
        progress.note(sentence)
    found = with_unseen(found, unseen)
    task = Task(
        problem=problem,
        frozen=frozen,
        settings=settings,
        given_plan=plan is not None,
        networks=tuple(compared),
    )
    return Prepared(task, found, split)


def _fit(
    prepared: Prepared, plan: Plan | None, runtime: Runtime, run: RunFolder, clock: Stopwatch
) -> Fitted:
    validation = prepared.split.validation
    if plan is not None:
        plan = with_given_sentence(redescribe(plan, prepared.task.frozen.network))
    with clock.phase("deciding and training"):
        return fit_once(
            prepared.task,
            prepared.split.train,
            runtime,
            plan=plan,
            validation_rows=validation if len(validation) else None,
            refits=prepared.refits,
            checkpoint_dir=run.checkpoints,
        )


def _publish(
    run: RunFolder,
    prepared: Prepared,
    fitted: Fitted,
    assessed: Assessed,
    runtime: Runtime,
    clock: Stopwatch,
) -> RunResult:
    return publish(
        run,
        task=prepared.task,
        audit=prepared.audit,
        split=prepared.split,
        fitted=fitted,
        assessed=assessed,
        runtime=runtime,
        clock=clock,
    )


def _identity(source: Source, settings: Settings, plan: Plan | None) -> dict[str, Any]:
    """Return everything that decides the result of a run, as JSON types."""
    chosen = {k: v for k, v in settings.to_json().items() if k not in _WITHOUT_EFFECT}
    carried_out = None if plan is None else plan.action.model_dump(mode="json")
    return {"source": source_identity(source), **chosen, "plan": carried_out}
