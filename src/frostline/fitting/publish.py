"""Write down what a run found: the model, the numbers, the plan, the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline._version import __version__
from frostline.backbones.fingerprints import fingerprint
from frostline.core.aliases import as_kept_in_files
from frostline.core.files import write_text
from frostline.core.machine import peak_memory_bytes
from frostline.core.notebook import card, columns, sentences
from frostline.core.plan import Plan
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.stopwatch import Stopwatch
from frostline.data.audit import Audit
from frostline.data.naming import encodable, visible
from frostline.data.splitting.split import Split
from frostline.data.unseen import Blank, shares_seen
from frostline.evidence.shortcuts import find_shortcuts
from frostline.explain.gallery import Gallery
from frostline.explain.kept_gallery import gallery_once
from frostline.explain.make import LIMITS, Subject
from frostline.exporting.save_model import save_model
from frostline.fitting.assess import Assessed
from frostline.fitting.procedure import Fitted, Task
from frostline.model.model import Model
from frostline.model_format.card import FamiliarImages, Fingerprints, ModelCard
from frostline.report import ReportData, save_record, write_report
from frostline.report.reproduce import fingerprint_of_images, provenance
from frostline.run.manifest import write_manifest
from frostline.run.predictions import write_predictions
from frostline.run.run_folder import (
    AUDIT,
    MANIFEST,
    PLAN,
    PREDICTIONS,
    REPORT,
    REPORT_DATA,
    RunFolder,
)
from frostline.stats.caveats import caveats, largest_class
from frostline.stats.out_of_fold import OutOfFold
from frostline.stats.rejection import ACCEPTED
from frostline.stats.reliability import chance_calibration_error
from frostline.stats.scores import Scores, score

IntArray = npt.NDArray[np.int64]

#: prepared images that the exported model is checked on
_CHECKED = 8
#: classes with a column of their own in a notebook
_SHOWN = 40


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes
    ----------
    folder : Path
    plan : Plan
    metrics : dict
        The content of ``metrics.json``.
    scores : Scores
        On images that did not teach the model.
    audit : dict
        The content of ``audit.json``.
    classes : tuple of str
    """

    folder: Path
    plan: Plan
    metrics: dict[str, Any]
    scores: Scores
    audit: dict[str, Any]
    classes: tuple[str, ...]

    @property
    def model(self) -> Model:
        """The fitted model, loaded from the folder."""
        return Model.load(self.folder)

    def _repr_html_(self) -> str:
        """Show how good the model is, and why it is as it is, in a notebook."""
        low, high = self.scores.accuracy_interval
        recalls = [(self.classes[row["class"]], row["recall"]) for row in self.scores.per_class]
        found = [(name, recall) for name, recall in recalls if recall is not None]
        accuracy = f"{self.scores.accuracy:.1%} (95 %: {low:.1%} to {high:.1%})"
        method = f"on {self.scores.n:,} images, {self.metrics['test']['method']}"
        return (
            card(
                f"Run: {self.plan.chosen}",
                [
                    ("Accuracy", f"<b>{sentences([accuracy])}</b> {sentences([method])}"),
                    ("By class", columns(found[:_SHOWN], top=1.0)),
                    ("Files", sentences([f"{self.folder} (report.html, plan.json, model)"])),
                ],
            )
            + self.plan._repr_html_()
        )


def publish(
    run: RunFolder,
    *,
    task: Task,
    audit: Audit,
    split: Split,
    fitted: Fitted,
    assessed: Assessed,
    runtime: Runtime,
    clock: Stopwatch,
) -> RunResult:
    """Write the run folder; ``metrics.json`` comes last and ends the run."""
    catalog = task.store.catalog
    truth = task.problem.labels[assessed.rows]
    groups = task.problem.groups[assessed.rows]
    scores = score(assessed.probabilities, truth, seed=task.settings.seed, groups=groups)
    baseline = largest_class(task.problem.labels[split.train], truth)
    test = {
        "method": assessed.method,
        "folds": assessed.folds,
        **_expected(assessed),
        "baseline": {
            "always": catalog.classes[baseline.label],
            "accuracy": baseline.accuracy,
        },
        **scores.to_json(catalog.classes),
        "calibration": _calibration(assessed, scores, truth),
    }
    clean = ~audit.leaked[assessed.rows]
    if assessed.method == "given" and not clean.all() and clean.any():
        without = score(
            assessed.probabilities[clean],
            truth[clean],
            seed=task.settings.seed,
            groups=groups[clean],
        )
        test["without_leaks"] = {"n": without.n, **_headline(without)}
    with clock.phase("looking for shortcuts"):
        shortcuts = find_shortcuts(
            task.problem,
            task.store,
            split.train,
            seen=shares_seen(task.store.facts.sizes, task.store.network.preprocessing),
        )
    leaked = 0.0 if assessed.method != "given" else float(1.0 - clean.mean())
    blank = float(np.mean(task.store.facts.blank != Blank.NO))
    warnings = [
        *caveats(scores, baseline, catalog.classes, leaked=leaked, blank=blank),
        *(() if audit.unseen is None else audit.unseen.warnings()),
        *(one.sentence for one in shortcuts),
    ]
    with clock.phase("writing the model"):
        card = _card(task, split, fitted, scores, assessed)
        checked = task.store.pixels(split.train[:_CHECKED])
        card = save_model(
            run.model,
            fitted.trained.module,
            card,
            familiarity=None if fitted.familiar is None else fitted.familiar.familiarity,
            images=checked,
            threads=runtime.threads,
            origin=_origin(task, fitted),
        )
    if card.onnx_difference:
        warnings.append(
            f"model.onnx differs from the trained network by up to {card.onnx_difference:.1%} in a "
            f"probability (the same classes on all {len(checked)} images that were checked): more "
            "than rounding explains. The figures here are the trained network's."
        )
    with clock.phase("drawing pictures"):
        gallery = _gallery(task, audit, fitted, assessed, runtime)
    plan, found = fitted.plan, audit.to_json(catalog)
    write_text(run.path / PLAN, plan.to_json())
    run.write_json(AUDIT, found)
    write_predictions(run.path / PREDICTIONS, catalog, assessed.rows, assessed.probabilities)
    write_manifest(run.path / MANIFEST, catalog, split)
    metrics = {
        "test": test,
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_test": len(assessed.rows),
        "engine": task.store.engine,
        "engine_reason": task.store.engine_reason,
        "images_computed": task.store.computed,
        "pass": {
            "images": task.store.times.images,
            "seconds_waiting_for_images": round(task.store.times.waiting, 2),
            "seconds_computing": round(task.store.times.computing, 2),
            "limited_by": task.store.times.limited_by,
        },
        "temperature": fitted.temperature,
        "unknown": _unknown(fitted, assessed),
        "history": fitted.trained.history,
        "caveats": warnings,
        "shortcuts": [asdict(one) for one in shortcuts],
        "notes": [*task.store.network.notes, *fitted.trained.notes],
        "seconds": clock.report(),
        "peak_memory_bytes": peak_memory_bytes(),
        "frozen_verified": assessed.frozen_verified,
    }
    data = ReportData(
        source=catalog.source,
        classes=catalog.classes,
        run=visible(encodable(str(run.path))),
        version=__version__,
        provenance=_provenance(run, task, card),
        plan=plan,
        metrics=metrics,
        audit=found,
        scores=scores.to_json(catalog.classes),
        settings={
            "source": catalog.source,
            **task.settings.to_json(),
            "resolved": _resolved(task.settings, runtime),
        },
        gallery=gallery,
    )
    save_record(run.path / REPORT_DATA, data)
    write_report(run.path / REPORT, data=data)
    metrics["seconds"] = clock.report()
    run.log("finished", accuracy=scores.accuracy)
    run.finish(metrics)
    return RunResult(run.path, plan, metrics, scores, found, catalog.classes)


def _card(
    task: Task, split: Split, fitted: Fitted, scores: Scores, assessed: Assessed
) -> ModelCard:
    headline = {"n": scores.n, **_headline(scores), **_expected(assessed)}
    return model_card(
        task, fitted, n_train=len(split.train), test={"method": assessed.method, **headline}
    )


def model_card(task: Task, fitted: Fitted, *, n_train: int, test: dict[str, Any]) -> ModelCard:
    """Describe a fitted model; ``test`` says how it was judged, and how well it did."""
    network, action, familiar = task.store.network, fitted.plan.action, fitted.familiar
    return ModelCard(
        frostline=__version__,
        classes=task.store.catalog.classes,
        preprocessing=network.preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        cut=fitted.plan.cut,
        taps=tuple(action.taps) if action.closed_form else (),
        action=action,
        temperature=fitted.temperature,
        familiar=None
        if familiar is None
        else FamiliarImages(n_fitted=familiar.n_fitted, n_threshold=familiar.n_threshold),
        fingerprints=Fingerprints(frozen=fingerprint(fitted.trained.module, fitted.trained.frozen)),
        n_train=n_train,
        test=test,
        source=task.store.catalog.source,
    )


def _gallery(
    task: Task, audit: Audit, fitted: Fitted, assessed: Assessed, runtime: Runtime
) -> Gallery:
    judged = [OutOfFold(assessed.rows, assessed.probabilities), *fitted.out_of_fold]
    subject = Subject(fitted.trained.module, fitted.trained.frozen, _origin(task, fitted))
    limits = LIMITS[task.settings.effort]
    return gallery_once(task.problem, task.store, subject, judged, audit, runtime, limits)


def _origin(task: Task, fitted: Fitted) -> str:
    """What the tensors of a classifier do not tell: the network it came from, and the plan."""
    network = task.store.network
    return f"{network.name} {network.weights_id} {fitted.plan.action.model_dump_json()}"


def _calibration(assessed: Assessed, scores: Scores, truth: IntArray) -> dict[str, Any]:
    """What the temperature changed on images that did not teach, and what chance alone shows."""
    before = score(assessed.uncalibrated, truth)
    return {
        "before": {"ece": before.ece, "nll": before.nll},
        "after": {"ece": scores.ece, "nll": scores.nll},
        "ece_by_chance": chance_calibration_error(assessed.probabilities.max(axis=1)),
    }


def _unknown(fitted: Fitted, assessed: Assessed) -> dict[str, Any] | None:
    """How the threshold for unknown images came about; None where there is none."""
    familiar = fitted.familiar
    if familiar is None:
        return None
    return {
        "accepted": ACCEPTED,
        "n_fitted": familiar.n_fitted,
        "n_threshold": familiar.n_threshold,
        "rough": familiar.rough,
        "share_of_held_out": assessed.unknown_share,
    }


def _headline(scores: Scores) -> dict[str, Any]:
    low, high = scores.accuracy_interval
    return {
        "accuracy": scores.accuracy,
        "accuracy_interval": [low, high],
        "balanced_accuracy": scores.balanced_accuracy,
    }


def _expected(assessed: Assessed) -> dict[str, Any]:
    return {
        "expected_accuracy": assessed.expected.accuracy,
        "expected_interval": list(assessed.expected.interval),
    }


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


def _provenance(run: RunFolder, task: Task, card: ModelCard) -> dict[str, Any]:
    catalog, prints = task.store.catalog, card.fingerprints
    images = (
        (row.name, digest, catalog.classes[row.label])
        for row, digest in zip(catalog.rows, catalog.digests, strict=True)
    )
    return provenance(
        task.settings,
        source=catalog.source,
        run=str(run.path),
        plan_given=task.given_plan,
        on_disk=catalog.on_disk,
        fingerprints={
            "images and labels": fingerprint_of_images(images),
            "frozen layers": prints.frozen,
            "model/weights.safetensors": prints.weights,
            "model/model.onnx": prints.onnx,
        },
    )
