"""Write down what a run found: the model, the numbers, the plan, the report."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from frostline._version import __version__
from frostline.compute.kept_features import keep_features
from frostline.core.aliases import as_kept_in_files
from frostline.core.arrays import IntArray
from frostline.core.files import write_text
from frostline.core.machine import peak_memory_bytes
from frostline.core.malloc import malloc_trim
from frostline.core.preprocessing import UInt8Array
from frostline.core.run_record import Epoch, KeptFeatures, Metrics, PassTimes, Provenance, RunRecord
from frostline.core.runtime import Runtime
from frostline.core.score_record import ScoreSummary
from frostline.core.settings import Settings
from frostline.core.stopwatch import Stopwatch
from frostline.core.threads import meanwhile
from frostline.data.audit import Audit
from frostline.data.naming import encodable, visible
from frostline.data.unseen import shares_seen
from frostline.evidence.shortcuts import find_shortcuts
from frostline.explain.gallery import Gallery
from frostline.exporting.save_model import save_model
from frostline.fitting.assess import Assessed
from frostline.fitting.confounding import find_confounds
from frostline.fitting.drift import write_drift
from frostline.fitting.inputs import FitInputs
from frostline.fitting.measure import measure, unknown_images
from frostline.fitting.operating_scores import operating_scores
from frostline.fitting.prepare import Prepared
from frostline.fitting.refit import refit_of
from frostline.fitting.run_result import RunResult
from frostline.fitting.train import Fitted
from frostline.model.packed import PackedModel
from frostline.model_format.card import (
    FamiliarImages,
    Fingerprints,
    ModelCard,
)
from frostline.report import ReportData, save_record, write_report
from frostline.report.reproduce import fingerprint_of_images, provenance
from frostline.run.manifest import write_manifest
from frostline.run.predictions import write_numbers, write_predictions
from frostline.run.run_folder import (
    AUDIT,
    FEATURES,
    MANIFEST,
    NUMBERS,
    PLAN,
    PREDICTIONS,
    REPORT,
    REPORT_DATA,
    RunFolder,
)
from frostline.stats.out_of_fold import OutOfFold
from frostline.wording.audit import audit_record
from frostline.wording.caveats import caveat_sentence, onnx_sentence
from frostline.wording.confounds import confound_warnings
from frostline.wording.shortcuts import shortcut_sentence
from frostline.wording.unseen import unseen_warnings

#: prepared images that the exported model is checked on
_CHECKED = 8


def finish(
    run: RunFolder,
    prepared: Prepared,
    fitted: Fitted,
    assessed: Assessed,
    runtime: Runtime,
    clock: Stopwatch,
) -> RunResult:
    """Write the run folder; ``metrics.json`` comes last and ends the run."""
    inputs, audit, split = prepared.inputs, prepared.audit, prepared.split
    catalog = inputs.frozen.catalog
    measured = measure(inputs, audit, split, assessed)
    classifier = fitted.trained.classifier
    draw = partial(_gallery, inputs, audit, fitted, assessed, runtime)
    with meanwhile(draw, threads=runtime.threads if classifier.shareable else 1) as drawn:
        with clock.phase("looking for shortcuts"):
            shortcuts = find_shortcuts(
                inputs.problem,
                inputs.frozen.features.thumbnails,
                split.train,
                seen=shares_seen(
                    inputs.frozen.features.facts.sizes, inputs.frozen.network.preprocessing
                ),
            )
            known = fitted.plan.evidence
            confounds = find_confounds(
                inputs.problem,
                inputs.frozen,
                split.train,
                runtime,
                alpha=None if known is None else known.all_taps.alpha,
            )
        with clock.phase("writing the model"):
            checked = _checked(inputs, split.train)
            card = save_model(
                run.model,
                classifier,
                model_card(inputs, fitted, n_train=len(split.train), test=measured.record.summary),
                ood_scorer=None if fitted.ood is None else fitted.ood.scorer,
                images=checked,
                threads=runtime.threads,
                origin=_origin(inputs, fitted),
            )
            write_drift(run.model, card.fingerprints.onnx, inputs, fitted, split, runtime)
        malloc_trim()
        # what is left of it: it began with the search for shortcuts
        with clock.phase("drawing pictures"):
            gallery = drawn()
    warnings = [
        *map(caveat_sentence, measured.caveats),
        *(() if audit.unseen is None else unseen_warnings(audit.unseen)),
        *map(shortcut_sentence, shortcuts),
        *confound_warnings(confounds),
    ]
    if card.onnx_difference:
        warnings.append(onnx_sentence(card.onnx_difference, len(checked), card.task))
    write_predictions(
        run.path / PREDICTIONS,
        inputs.problem,
        assessed.rows,
        assessed.probabilities,
        assessed.decided,
    )
    table, numbers = run.path / PREDICTIONS, run.path / NUMBERS
    write_numbers(numbers, table, assessed.probabilities)
    write_manifest(run.path / MANIFEST, catalog, split)
    kept = None
    if inputs.settings.keep_features:
        kept = _kept_features(run, inputs, fitted, runtime)
    metrics = Metrics(
        test=measured.record,
        n_train=len(split.train),
        n_validation=len(split.validation),
        n_test=len(assessed.rows),
        engine=inputs.frozen.report.engine,
        engine_reason=inputs.frozen.report.reason,
        images_computed=inputs.frozen.report.computed,
        frozen_pass=_pass_times(inputs),
        temperature=fitted.temperature,
        unknown=unknown_images(fitted, assessed),
        **_operating(inputs, fitted, assessed),
        kept_features=kept,
        refit=refit_of(prepared.trained, measured.record),
        history=tuple(map(Epoch.model_validate, fitted.trained.history)),
        caveats=tuple(warnings),
        shortcuts=tuple(shortcuts),
        confounds=confounds,
        notes=(*inputs.frozen.network.notes, *fitted.trained.notes),
        seconds=clock.report(),
        peak_memory_bytes=peak_memory_bytes(),
        frozen_verified=assessed.frozen_verified,
    )
    record = RunRecord(
        plan=fitted.plan,
        metrics=metrics,
        audit=audit_record(audit, catalog),
        settings={
            "source": catalog.source,
            **inputs.settings.to_json(),
            "resolved": _resolved(inputs.settings, runtime),
        },
        source=catalog.source,
        classes=catalog.classes,
        run=visible(encodable(str(run.called))),
        version=__version__,
        provenance=_provenance(run, inputs, card, prepared.command),
    )
    _write(run, ReportData(record=record, gallery=gallery))
    return RunResult(run.path, record, measured.scores)


def _kept_features(
    run: RunFolder, inputs: FitInputs, fitted: Fitted, runtime: Runtime
) -> KeptFeatures:
    """Keep what an update will need: of trained layers other features, made by them."""
    if not fitted.plan.action.closed_form:
        return KeptFeatures(images=0, left_out="trained layers")
    frozen = inputs.frozen
    return keep_features(run.path / FEATURES, frozen.network, frozen.features, runtime)


def _write(run: RunFolder, data: ReportData) -> None:
    record = data.record
    write_text(run.path / PLAN, record.plan.to_json())
    run.write_json(AUDIT, record.audit.to_json())
    save_record(run.path / REPORT_DATA, data)
    write_report(run.path / REPORT, data=data)
    run.log("finished", accuracy=record.metrics.test.accuracy)
    run.finish(record.metrics.to_json())


def pack(prepared: Prepared, fitted: Fitted, runtime: Runtime) -> PackedModel:
    """Return the files of a model that nobody judged."""
    inputs, split = prepared.inputs, prepared.split
    with TemporaryDirectory(prefix="frostline-") as folder:
        save_model(
            Path(folder),
            fitted.trained.classifier,
            model_card(inputs, fitted, n_train=len(split.train), test=ScoreSummary()),
            ood_scorer=None if fitted.ood is None else fitted.ood.scorer,
            images=_checked(inputs, split.train),
            threads=runtime.threads,
        )
        return PackedModel.read(Path(folder))


def _checked(inputs: FitInputs, rows: IntArray) -> UInt8Array:
    """Return prepared images that a model is checked on; noise where none is there any more."""
    frozen = inputs.frozen
    there = list(islice((i for i in rows if frozen.catalog.rows[i].is_there), _CHECKED))
    if there:
        return frozen.runner.pixels(np.array(there, dtype=np.int64))
    size = frozen.network.preprocessing.size
    noise = np.random.default_rng(0)
    return noise.integers(0, 256, (_CHECKED, size, size, 3), dtype=np.uint8)


def _pass_times(inputs: FitInputs) -> PassTimes:
    times = inputs.frozen.report.times
    return PassTimes(
        images=times.images,
        seconds_waiting_for_images=round(times.waiting, 2),
        seconds_computing=round(times.computing, 2),
        limited_by=times.limited_by,
    )


def model_card(inputs: FitInputs, fitted: Fitted, *, n_train: int, test: ScoreSummary) -> ModelCard:
    """Describe a fitted model; ``test`` says how it was judged, and how well it did."""
    network, action, ood = inputs.frozen.network, fitted.plan.action, fitted.ood
    return ModelCard(
        task=inputs.problem.target.task,
        metric=inputs.problem.metric.name,
        rule=fitted.rule,
        sets=fitted.operating.known_sets,
        abstention=fitted.operating.abstention,
        label_sets=tuple(one.known_sets for one in fitted.operating.labels),
        label_abstention=tuple(one.abstention for one in fitted.operating.labels),
        intervals=fitted.operating.intervals,
        at_most_wrong=_bound(inputs, fitted),
        shares=fitted.operating.shares,
        frostline=__version__,
        classes=inputs.frozen.catalog.classes,
        preprocessing=network.preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        cut=fitted.plan.cut,
        taps=tuple(action.taps) if action.closed_form else (),
        pooling=network.pooling,
        action=action,
        temperature=fitted.temperature,
        familiar=None
        if ood is None
        else FamiliarImages(n_fitted=ood.n_fitted, n_threshold=ood.n_threshold),
        fingerprints=Fingerprints(
            frozen=fitted.trained.classifier.fingerprint(fitted.trained.frozen)
        ),
        n_train=n_train,
        test=test,
        source=inputs.frozen.catalog.source,
    )


def _bound(inputs: FitInputs, fitted: Fitted) -> float | None:
    """Return the bound on wrong answers that was asked for, if the model can keep it."""
    asked, operating = inputs.settings.at_most_wrong, fitted.operating
    if asked is None:
        return None
    every = [operating.abstention, *(label.abstention for label in operating.labels)]
    known = [one for one in every if one is not None]
    kept = any(isinstance(one.thresholds(asked), np.ndarray) for one in known)
    return asked if kept else None


def _operating(inputs: FitInputs, fitted: Fitted, assessed: Assessed) -> dict[str, Any]:
    """Judge sets and abstention, where there are any."""
    truth = inputs.problem.labels[assessed.rows]
    groups = inputs.problem.groups[assessed.rows]
    return operating_scores(
        fitted.operating,
        assessed.operated,
        truth,
        assessed.decided,
        groups,
        right=inputs.problem.target.agrees(assessed.decided, truth),
        names=inputs.frozen.catalog.classes,
        asked=inputs.settings.at_most_wrong,
    )


def _gallery(
    inputs: FitInputs, audit: Audit, fitted: Fitted, assessed: Assessed, runtime: Runtime
) -> Gallery | None:
    # drawing comes last, and nothing of it has to be there when the first image is read
    from frostline.explain.make import LIMITS, Subject
    from frostline.explain.memoized_gallery import memoized_gallery

    answers = None if inputs.problem.metric.plain else assessed.decided
    judged = [OutOfFold(assessed.rows, assessed.probabilities, answers), *fitted.out_of_fold]
    subject = Subject(fitted.trained.classifier, fitted.trained.frozen, _origin(inputs, fitted))
    limits = LIMITS[inputs.settings.effort]
    return memoized_gallery(inputs.problem, inputs.frozen, subject, judged, audit, runtime, limits)


def _origin(inputs: FitInputs, fitted: Fitted) -> str:
    """What the tensors of a classifier do not tell: the network it came from, and the plan."""
    network = inputs.frozen.network
    return f"{network.name} {network.weights_id} {fitted.plan.action.model_dump_json()}"


def _resolved(settings: Settings, runtime: Runtime) -> dict[str, Any]:
    """What "auto" became on this machine, and why."""
    why = "as asked" if settings.budget else f"effort {settings.effort}"
    return {
        "workers": runtime.workers,
        "threads": runtime.threads,
        "device": runtime.device,
        "precision": runtime.precision,
        **as_kept_in_files({"activation_dtype": runtime.activation_dtype}),
        "budget_seconds": settings.budget_seconds,
        "reasons": {**runtime.reasons, "budget_seconds": why},
    }


def _provenance(run: RunFolder, inputs: FitInputs, card: ModelCard, command: str) -> Provenance:
    catalog, prints = inputs.frozen.catalog, card.fingerprints
    images = (
        (row.name, digest, said)
        for row, digest, said in zip(catalog.rows, catalog.digests, catalog.said, strict=True)
    )
    found = provenance(
        inputs.settings,
        source=catalog.source,
        run=str(run.called),
        plan_given=inputs.plan is not None,
        on_disk=catalog.on_disk,
        fingerprints={
            "images and labels": fingerprint_of_images(images),
            "frozen layers": prints.frozen,
            "model/weights.safetensors": prints.weights,
            "model/model.onnx": prints.onnx,
        },
    )
    return found.model_copy(update={"command": command}) if command else found
