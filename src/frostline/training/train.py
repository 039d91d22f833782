"""Carry out the action of a plan; nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.compute.frozen import Frozen
from frostline.core.actions import Action, Blend, LayerTraining, TapsHead
from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.stats.kernel_ridge import KernelRidge
from frostline.stats.ridge import RidgeLOO
from frostline.training.blend import blend
from frostline.training.result import Trained
from frostline.training.taps_head import train_taps_head


@dataclass(frozen=True)
class Given:
    """What a training may be given beside the rows that it learns from.

    Attributes
    ----------
    probe : mapping of str to RidgeLOO
        Unweighted ridge fits on exactly those rows, by tap or ``"all"``; they spare a closed-form
        head its own fit.
    kernel : KernelRidge or None, default=None
        A kernel fitted on exactly those rows, which spares a head with one that fit.
    validation : int array or None, default=None
        A validation part for gradient training; drawn from the rows when None. A closed-form head
        has its own leave-one-out and does not look at it.
    checkpoint_dir : Path or None, default=None
        Gradient training keeps its state here and continues from it.
    retry : bool, default=True
        Run a gradient training that learned nothing once more, a tenth as fast.
    """

    probe: Mapping[str, RidgeLOO] = field(default_factory=dict)
    kernel: KernelRidge | None = None
    validation: IntArray | None = None
    checkpoint_dir: Path | None = None
    retry: bool = True

    def inside(self, name: str) -> Given:
        """Return the same, with checkpoints in a sub-folder."""
        return replace(
            self, checkpoint_dir=None if self.checkpoint_dir is None else self.checkpoint_dir / name
        )


_NOTHING = Given()


def train(
    problem: Problem,
    frozen: Frozen,
    action: Action,
    rows: npt.ArrayLike,
    runtime: Runtime,
    given: Given = _NOTHING,
) -> Trained:
    """Train the classifier that ``action`` describes, on ``rows`` of the catalog.

    Raises InputError if there is no row; PlanError or CutError if the action does not fit the
    network; FrozenChangedError if something frozen did not stay bit-identical.

    ``frozen``: network, pooled taps, and activations on demand. ``rows``, shape (n,): catalog rows
    that may be learned from.
    """
    chosen = np.asarray(rows, dtype=np.int64)
    if not len(chosen):
        raise InputError("There is no image to train on.")

    def of_head(action: TapsHead) -> Trained:
        return train_taps_head(
            problem, frozen, action, chosen, runtime, probe=given.probe, kernel=given.kernel
        )

    def of_layers(action: LayerTraining) -> Trained:
        # only what trains loads PyTorch
        from frostline.training.finetune import finetune
        from frostline.training.retry import better, made_no_progress, slower
        from frostline.training.train_val_split import split_train_val

        fraction = action.recipe.validation_fraction
        parts = split_train_val(
            problem, chosen, fraction=fraction, validation_rows=given.validation
        )

        def run(action: LayerTraining, given: Given) -> Trained:
            place = given.checkpoint_dir
            return finetune(problem, frozen, action, parts, runtime, checkpoint_dir=place)

        first = run(action, given)
        if not given.retry or not made_no_progress(first, action.recipe, parts):
            return first
        runtime.progress.note("The training learned nothing; it runs once more, a tenth as fast.")
        second = run(slower(action), given.inside("slower"))
        return better(first, second, rate=action.recipe.head_learning_rate)

    def of_blend(action: Blend) -> Trained:
        members = [
            train(problem, frozen, member, chosen, runtime, given.inside(f"member-{i}"))
            for i, member in enumerate(action.members)
        ]
        return blend(action, members, problem)

    return action.dispatch(head=of_head, layers=of_layers, blend=of_blend)
