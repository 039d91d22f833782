"""The stages of a training: which layers train when, on batches of what."""

from __future__ import annotations

from dataclasses import dataclass, replace

from frostline.compute.engines.torch_runtime import Compute
from frostline.core.actions import FreezeLater, LayerTraining
from frostline.core.arrays import FloatArray
from frostline.core.runtime import Runtime
from frostline.training.assembly import Assembly, TrainableSuffix
from frostline.training.later import LaterBatches, activations_of, freeze_below
from frostline.training.loaders import Batches
from frostline.training.loop import Stage
from frostline.training.sources import Sources
from frostline.training.train_val_split import TrainValSplit

#: epochs in which a new block trains alone, on stored activations, before the layers below join
NEW_LAYER_EPOCHS = 5


@dataclass(frozen=True)
class Job:
    """What one fine-tuning works on."""

    action: LayerTraining
    assembly: Assembly
    parts: TrainValSplit
    sources: Sources
    weights: FloatArray | None
    seed: int
    compute: Compute


def stages_of(job: Job, runtime: Runtime) -> tuple[list[Stage], list[str]]:
    """Return the stages of a training, and notes on where they get their batches from.

    A new block first trains alone ("LP-FT" with layers instead of a probe), then all; and where
    lower layers freeze later, the upper ones go on alone.
    """
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
    whole = Stage(
        label="Training",
        name="all trainable",
        epochs=recipe.epochs,
        patience=recipe.patience,
        batches=batches,
        above=TrainableSuffix(assembly.between, assembly.classifier),
        groups=assembly.groups(action),
    )
    later = action.frozen_later
    if later is None or later.full_epochs(recipe.epochs) == recipe.epochs:
        return [*stages, whole], [note for note in notes if note]
    upper, note = _upper_layers(job, later, runtime)
    first = replace(whole, epochs=upper.earlier, later=upper.epochs)
    return [*stages, first, upper], [note for note in (*notes, note) if note]


def _upper_layers(job: Job, later: FreezeLater, runtime: Runtime) -> tuple[Stage, str]:
    """Return the epochs after lower layers were frozen, and a note if those run on every batch."""
    assembly, sources, recipe = job.assembly, job.sources, job.action.recipe
    cut = assembly.network.cut(later.freeze_to).name
    full = later.full_epochs(recipe.epochs)
    epochs = recipe.epochs - full
    note = sources.too_large(cut, runtime, epochs=epochs)

    def opened() -> Batches:
        freeze_below(assembly, cut)
        if note:
            return sources.through_prefix(cut, epochs=epochs)
        cache = activations_of(assembly, sources.frozen)
        return sources.stored(cut, runtime, cache, epochs=epochs)

    batches = LaterBatches(sources.batching, opened)
    between = assembly.network.suffix(cut, assembly.keep_to)
    stage = Stage(
        label="Training upper layers",
        name="upper layers",
        epochs=epochs,
        patience=recipe.patience,
        batches=batches,
        above=TrainableSuffix(between, assembly.classifier),
        groups=assembly.groups_above(job.action, cut),
        earlier=full,
        enter=batches.enter,
    )
    return stage, note
