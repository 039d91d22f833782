"""Gradient training of a suffix or of everything kept, from a plan to a trained classifier."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frostline.backbones.freeze.freezing import verify_frozen
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
from frostline.training.assembly import Assembly, TrainableSuffix, assemble
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
from frostline.training.stochastic_depth import stochastic_depth
from frostline.training.train_val_split import TrainValSplit

#: epochs in which a new block trains alone, on stored activations, before the layers below join
NEW_LAYER_EPOCHS = 5


@dataclass(frozen=True)
class _Job:
    """What one fine-tuning works on."""

    action: LayerTraining
    assembly: Assembly
    parts: TrainValSplit
    sources: Sources
    weights: FloatArray | None
    seed: int
    compute: Compute


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
        job = _Job(
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
    job: _Job,
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
        stages, notes = _stages(job, runtime)
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


def _stages(job: _Job, runtime: Runtime) -> tuple[list[Stage], list[str]]:
    """A new block first trains alone ("LP-FT" with layers instead of a probe), then all."""
    action, assembly, recipe = job.action, job.assembly, job.action.recipe
    stages, notes = [], []
    everything_kept_is_frozen = assembly.between is None
    if action.new_block and action.head_init == "probe" and not everything_kept_is_frozen:
        batches, note = job.sources.activations(assembly.keep_to, runtime, epochs=NEW_LAYER_EPOCHS)
        notes.append(note)
        stages.append(
            Stage(
                label="Training new layers",
                name="new layers",
                epochs=NEW_LAYER_EPOCHS,
                patience=NEW_LAYER_EPOCHS,
                batches=batches,
                above=TrainableSuffix(None, assembly.classifier),
                groups=assembly.new_groups(action),
            )
        )
    if assembly.freeze_to is None:
        batches = job.sources.images()
    else:
        batches, note = job.sources.activations(assembly.freeze_to, runtime, epochs=recipe.epochs)
        notes.append(note)
    stages.append(
        Stage(
            label="Training",
            name="all trainable",
            epochs=recipe.epochs,
            patience=recipe.patience,
            batches=batches,
            above=TrainableSuffix(assembly.between, assembly.classifier),
            groups=assembly.groups(action),
        )
    )
    return stages, [note for note in notes if note]


def _notes(job: _Job) -> list[str]:
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


def _result(job: _Job, loop: Loop) -> Trained:
    state = loop.state
    verify_frozen(job.assembly.classifier, job.assembly.fingerprints)
    assembly = job.assembly.merged()
    classifier = assembly.classifier.eval().cpu().to(memory_format=torch.contiguous_format)
    return Trained(
        action=job.action,
        target=job.parts.target,
        classifier=classifier,
        out_of_fold_logits=loop.best_logits,
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


def _identity(job: _Job, frozen: Frozen, runtime: Runtime) -> dict[str, Any]:
    """What must be equal for a checkpoint to be continued; threads and device may differ."""
    rows = hashlib.sha256()
    for numbers, labels in (
        (job.parts.train, job.parts.train_labels),
        (job.parts.validation, job.parts.validation_labels),
    ):
        for row, label in zip(numbers, labels, strict=True):
            rows.update(f"{frozen.catalog.digests[int(row)]} {int(label)}\n".encode())
        rows.update(b"--\n")
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
