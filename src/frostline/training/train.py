"""Carry out the action of a plan; nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.core.actions import Action, Blend, LayerTraining, TapsHead
from frostline.core.errors import InputError
from frostline.core.runtime import Runtime
from frostline.stats.class_weights import class_weights
from frostline.stats.ridge import RidgeLOO
from frostline.training.blend import blend
from frostline.training.finetune import finetune
from frostline.training.parts import make_parts
from frostline.training.result import Trained
from frostline.training.second_try import better, learned_nothing, slower
from frostline.training.store import FrozenWork
from frostline.training.taps_head import train_taps_head

IntArray = npt.NDArray[np.int64]


def train(
    action: Action,
    store: FrozenWork,
    rows: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    n_classes: int,
    groups: npt.ArrayLike | None,
    runtime: Runtime,
    seed: int,
    checkpoint_dir: Path | None,
    probe: Mapping[str, RidgeLOO] | None = None,
    validation_rows: npt.ArrayLike | None = None,
    second_try: bool = True,
) -> Trained:
    """Train the classifier that ``action`` describes, on ``rows`` of the store's catalog.

    Parameters
    ----------
    action : Action
    store : FrozenWork
        A feature store: network, catalog, pooled taps, and activations on demand.
    rows : int array of shape (n,)
        Catalog rows that may be learned from.
    labels : int array of shape (len(catalog),)
        Labels of all catalog rows, in [0, n_classes).
    n_classes : int
    groups : int array of shape (len(catalog),) or None
        Rows of equal groups are never split apart.
    runtime : Runtime
    seed : int
    checkpoint_dir : Path or None
        Gradient training keeps its state here and continues from it.
    probe : mapping of str to RidgeLOO or None, default=None
        Unweighted ridge fits on exactly ``rows``, by tap or ``"all"``; they spare a closed-form
        head its own fit.
    validation_rows : int array or None, default=None
        A given validation part for gradient training; drawn from ``rows`` when None. A
        closed-form head has its own leave-one-out and does not look at it.
    second_try : bool, default=True
        Run a gradient training that learned nothing once more, a tenth as fast.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        If the arrays do not fit the catalog.
    PlanError, CutError
        If the action does not fit the network.
    FrozenChangedError
        If something frozen did not stay bit-identical.
    """
    catalog = store.catalog
    all_labels = _per_image(labels, "labels", n=len(catalog))
    all_groups = None if groups is None else _per_image(groups, "groups", n=len(catalog))
    chosen = np.asarray(rows, dtype=np.int64)
    if not len(chosen):
        raise InputError("There is no image to train on.")

    def of_head(action: TapsHead) -> Trained:
        return train_taps_head(
            action,
            store,
            chosen,
            all_labels[chosen],
            n_classes=n_classes,
            groups=None if all_groups is None else all_groups[chosen],
            class_weights=class_weights(
                all_labels[chosen], n_classes=n_classes, choice=action.class_weights
            ),
            runtime=runtime,
            seed=seed,
            probe=probe,
        )

    def of_layers(action: LayerTraining) -> Trained:
        parts = make_parts(
            catalog,
            chosen,
            all_labels,
            n_classes=n_classes,
            groups=all_groups,
            fraction=action.recipe.validation_fraction,
            seed=seed,
            validation_rows=None
            if validation_rows is None
            else np.asarray(validation_rows, dtype=np.int64),
        )

        def run(action: LayerTraining, place: Path | None) -> Trained:
            return finetune(
                action,
                store,
                parts,
                groups=all_groups,
                runtime=runtime,
                seed=seed,
                checkpoint_dir=place,
            )

        first = run(action, checkpoint_dir)
        if not second_try or not learned_nothing(first, action.recipe, parts):
            return first
        runtime.progress.note("The training learned nothing; it runs once more, a tenth as fast.")
        second = run(slower(action), None if checkpoint_dir is None else checkpoint_dir / "slower")
        return better(first, second, rate=action.recipe.head_learning_rate)

    def of_blend(action: Blend) -> Trained:
        members = [
            train(
                member,
                store,
                rows,
                labels,
                n_classes=n_classes,
                groups=groups,
                runtime=runtime,
                seed=seed,
                checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir / f"member-{i}",
                probe=probe,
                validation_rows=validation_rows,
                second_try=second_try,
            )
            for i, member in enumerate(action.members)
        ]
        return blend(action, members, all_labels)

    return action.dispatch(head=of_head, layers=of_layers, blend=of_blend)


def _per_image(values: npt.ArrayLike, what: str, *, n: int) -> IntArray:
    found = np.asarray(values, dtype=np.int64)
    if found.shape != (n,):
        raise InputError(f"There are {n} images in the catalog, but {what} of {found.shape}.")
    return found
