"""Gradient training of a suffix or of everything kept, from a plan to a trained classifier."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frostline.backbones.freeze.freezing import verify_frozen
from frostline.backbones.heads.classifiers import CutClassifier
from frostline.backbones.heads.linear import set_linear
from frostline.backbones.trainable import trainable
from frostline.compute.engines.torch_runtime import Compute, torch_runtime
from frostline.compute.features import Features
from frostline.compute.frozen import Frozen
from frostline.core.actions import LayerTraining
from frostline.core.aliases import as_kept_in_files
from frostline.core.arrays import FloatArray, IntArray
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.training.accelerate.accelerated import accelerated
from frostline.training.assembly import assemble
from frostline.training.checkpoints import Checkpoints, TrainingState
from frostline.training.head_start import (
    probe_head,
    recalibrate_learning_norms,
    recalibrate_new_norms,
)
from frostline.training.loaders import SMALLEST_NORM_BATCH, Batching
from frostline.training.loop import Loop, Stage
from frostline.training.result import Trained
from frostline.training.sources import Sources
from frostline.training.stages import Job, stages_of
from frostline.training.stochastic_depth import stochastic_depth
from frostline.training.train_val_split import TrainValSplit


def finetune(
    problem: Problem,
    frozen: Frozen,
    action: LayerTraining,
    parts: TrainValSplit,
    runtime: Runtime,
    *,
    checkpoint_dir: Path | None,
) -> Trained:
    """Train as ``action`` says; the best epoch on the validation part is kept.

    The state before the first step is a candidate too, so training never ends worse on the
    validation part than it began. Without a validation part the last epoch is kept. Raises
    FrozenChangedError if something frozen is not bit-identical at the end; PlanError or CutError if
    the action does not fit the network.

    ``problem``: rows of one group are left out together when the head's probe is fitted.
    ``frozen``: its network is copied, never changed. ``checkpoint_dir``: where every epoch's state
    goes, and where an earlier run is continued from.
    """
    compute, seed = Compute.of(runtime), problem.seed
    with torch_runtime(runtime):
        assembly = assemble(
            action,
            trainable(frozen.network),
            n_outputs=parts.target.n_outputs,
            seed=seed,
            compute=compute,
        )
        recipe = action.recipe
        drop = SMALLEST_NORM_BATCH if assembly.norms_learn else 0
        job = Job(
            action=action,
            assembly=assembly,
            parts=parts,
            sources=Sources(
                frozen=frozen,
                network=assembly.network,
                batching=Batching(parts, recipe.batch_size, drop, seed, compute),
                recipe=recipe,
            ),
            weights=parts.target.output_weights(parts.train_labels, recipe.class_weights),
            seed=seed,
            compute=compute,
        )
        checkpoints = None
        if checkpoint_dir is not None:
            checkpoints = Checkpoints(checkpoint_dir, _identity(job, frozen, runtime))
        with (
            accelerated(assembly.network, assembly.classifier),
            stochastic_depth(assembly.network.module, recipe.drop_path),
        ):
            loop = _run(job, frozen.features, problem.groups, runtime, checkpoints)
        return _result(job, loop)


def _run(
    job: Job,
    features: Features,
    groups: IntArray,
    runtime: Runtime,
    checkpoints: Checkpoints | None,
) -> Loop:
    assembly = job.assembly
    state = _stored_state(checkpoints, runtime.progress)
    fresh = state is None
    state = state or TrainingState(notes=_notes(job))
    stages: list[Stage] = []
    if not state.finished:
        stages, notes = stages_of(job, runtime)
        state.notes += [note for note in notes if note not in state.notes]
    loop = Loop(
        assembly,
        job.parts,
        job.action.recipe,
        weights=job.weights,
        seed=job.seed,
        compute=job.compute,
        checkpoints=checkpoints,
        state=state,
    )
    if fresh:
        first = stages[0]
        if assembly.norms_learn and not job.action.from_scratch:
            recalibrate_learning_norms(first.above, first.batches)
        recalibrate_new_norms(first.above, first.batches)
        if job.action.head_init == "probe" and not job.action.new_block:
            state.alpha = probe_head(
                assembly,
                features,
                job.parts,
                first.above,
                first.batches,
                groups=groups,
                weights=job.weights,
            )
        loop.begin(first)
    loop.run(stages, runtime)
    for note in state.notes:
        runtime.progress.note(note)
    return loop


def _notes(job: Job) -> list[str]:
    notes = []
    recipe = job.action.recipe
    if recipe.norm_mode == "train" and not job.assembly.norms_learn:
        notes.append(
            f"Norm layers kept their statistics: batches of {recipe.batch_size} are too small "
            f"to learn them from (at least {SMALLEST_NORM_BATCH})."
        )
    if not len(job.parts.validation):
        notes.append("There was no validation part, so the last epoch was kept.")
    return notes


def _stored_state(checkpoints: Checkpoints | None, progress: Progress) -> TrainingState | None:
    if checkpoints is None:
        return None
    state, reason = checkpoints.load()
    if reason:
        progress.note(reason)
    elif state is not None:
        progress.note(f"Training continues after epoch {state.epoch}.")
    return state


def _result(job: Job, loop: Loop) -> Trained:
    state = loop.state
    verify_frozen(job.assembly.classifier, job.assembly.fingerprints)
    assembly = job.assembly.merged()
    classifier = assembly.classifier.eval().cpu().to(memory_format=torch.contiguous_format)
    logits = _suited(classifier, job.parts, loop.best_logits)
    return Trained(
        action=job.action,
        target=job.parts.target,
        classifier=classifier,
        out_of_fold_logits=logits,
        out_of_fold_rows=job.parts.validation,
        frozen_verified=True,
        history=state.history,
        epochs_done=sum(entry["train_loss"] is not None for entry in state.history),
        best_epoch=state.best_epoch,
        alpha=state.alpha,
        frozen=assembly.frozen,
        trained=assembly.trained,
        new_layers=assembly.new,
        notes=state.notes,
    )


def _suited(classifier: CutClassifier, parts: TrainValSplit, logits: FloatArray) -> FloatArray:
    """Put the units of the truth, and what makes labels honest, into the head; return its logits.

    ``logits``, shape (n, k): of the validation part.
    """
    target, head = parts.target, classifier.head
    steps = [] if parts.units is None else [parts.units]
    if not steps and len(parts.validation):
        found = target.touch_up(logits, parts.validation_labels, parts.validation_weights)
        steps = [] if found is None else [found]
    for step in steps:
        weight, bias = (one.detach().double().numpy() for one in (head.weight, head.bias))
        set_linear(head, weight.T * step.scale, step.apply(bias))
        logits = step.apply(logits)
    return logits


def _identity(job: Job, frozen: Frozen, runtime: Runtime) -> dict[str, Any]:
    """What must be equal for a checkpoint to be continued; threads and device may differ."""
    rows = hashlib.sha256()
    for numbers, labels in (
        (job.parts.train, job.parts.train_labels),
        (job.parts.validation, job.parts.validation_labels),
    ):
        for row, label in zip(numbers, labels, strict=True):
            told = int(label) if np.ndim(label) == 0 else label.tolist()
            rows.update(f"{frozen.catalog.digests[int(row)]} {told}\n".encode())
        rows.update(b"--\n")
    for weights in (job.parts.train_weights, job.parts.validation_weights):
        rows.update(b"" if weights is None else weights.tobytes())
    return {
        "action": job.action.model_dump(mode="json"),
        "seed": job.seed,
        "backbone": frozen.network.name,
        "weights": frozen.network.weights_id,
        "n_outputs": job.parts.target.n_outputs,
        "precision": runtime.precision,
        **as_kept_in_files({"activation_dtype": runtime.activation_dtype}),
        "rows": rows.hexdigest(),
    }
