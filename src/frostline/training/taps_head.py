"""A linear head on pooled taps; the network stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from frostline.backbones.heads.fitted_classifier import HEAD_BIAS, HEAD_KERNEL, HEAD_WEIGHT
from frostline.backbones.heads.linear_on_taps import head_on_taps
from frostline.compute.frozen import Frozen
from frostline.compute.frozen_runner import Adapted
from frostline.core.actions import TapsHead
from frostline.core.arrays import IntArray
from frostline.core.cuts import tap_columns
from frostline.core.errors import FrozenChangedError, PlanError, did_you_mean
from frostline.core.runtime import Runtime
from frostline.core.threads import blas_threads
from frostline.data.problem import Problem
from frostline.stats.kernel_ridge import KernelRidge, kernel_ridge
from frostline.stats.ridge import RidgeLOO, ridge_loo
from frostline.stats.selection import Selection
from frostline.stats.stacked_head import STACK_FOLDS, stack_prior
from frostline.targets.labelled import product
from frostline.training.result import Trained

# rows on which a given probe must agree with its own fitted outputs
_COMPARED = 64


def train_taps_head(
    problem: Problem,
    frozen: Frozen,
    action: TapsHead,
    rows: IntArray,
    runtime: Runtime,
    *,
    probe: Mapping[str, RidgeLOO] | None = None,
    kernel: KernelRidge | None = None,
) -> Trained:
    """Fit a ridge head on all ``rows``, or one that is put together of several.

    Raises PlanError if a tap is none of the network's, or the head is of a kind that is no longer
    trained.

    ``rows``, shape (n,): catalog rows. ``probe``: unweighted ridge fits on exactly these rows, by
    tap or ``"all"``; one that fits the action is taken instead of fitting it again, and so is
    ``kernel``. The result: the classifier shares the frozen network; ridge outputs serve as logits.
    The out-of-fold logits are leave-one(-group)-out; where they were added up or corrected, as the
    other folds say.
    """
    if action.head == "logistic":
        raise PlanError(
            f"The plan asks for a {action.head} head, which is no longer trained.",
            hint='Write "head": "ridge" in the plan.',
        )
    adapts = action.statistics == "target"
    known = frozen.runner.adapted(rows, runtime) if adapts else frozen
    target, truth = problem.target, problem.labels[rows]
    weights = target.output_weights(truth, action.class_weights)
    network = known.network
    cuts = sorted(
        {network.cut(_tap_of(name, known)) for name in action.taps}, key=lambda cut: cut.position
    )
    taps = [cut.name for cut in cuts]
    features = known.features.table(taps, rows)
    columns = tap_columns(cuts)
    row_weights = product(target.row_weights(truth, weights), problem.image_weights(rows))
    given = {} if probe is None or weights is not None else probe

    def fitted(key: str, features: Selection, blocks: list[slice]) -> RidgeLOO:
        found = given.get(key)
        if found is not None and _belongs(found, action, features):
            return found
        return ridge_loo(
            features,
            target.matrix(truth),
            alphas=None if action.alpha is None else [action.alpha],
            groups=problem.groups[rows],
            weights=row_weights,
            blocks=blocks,
        )

    def near() -> KernelRidge:
        if kernel is not None and weights is None and _says_the_same(kernel, features):
            return kernel
        # the same bits with any number of threads
        with blas_threads(1):
            return kernel_ridge(
                features,
                target.matrix(truth),
                blocks=list(columns.values()),
                groups=problem.groups[rows],
                weights=row_weights,
                seed=problem.seed,
            )

    key = "all" if tuple(taps) == network.taps else taps[0] if len(taps) == 1 else ""
    fit = fitted("adapted" if adapts else key, features, list(columns.values()))
    fits, read = [fit], [slice(0, features.shape[1])]
    if action.head == "stacked" and len(taps) > 1:
        for tap, block in columns.items():
            own = features.only(block)
            fits.append(fitted("" if adapts else tap, own, [slice(0, own.shape[1])]))
            read.append(block)
    weight, bias, left_out, part = fit.weight, fit.bias, fit.loo, None
    stage = target.stage(action.second_stage)
    if len(fits) > 1 or stage != "none" or action.kernel:
        stacked = target.stacked_head(
            [*fits, near()] if action.kernel else fits,
            read,
            truth,
            problem.folds(rows, STACK_FOLDS),
            prior=stack_prior(len(fits) - 1, kernel=action.kernel),
            groups=problem.groups[rows],
            weights=row_weights,
            kinds=[stage],
        )
        weight, bias, left_out = stacked.weight, stacked.bias, stacked.loo
        part = stacked.kernel
    classifier = head_on_taps(network, taps, weight.T, bias, kernel=part, threads=runtime.threads)
    if network.fingerprint() != network.weights_id:
        raise FrozenChangedError(f"The weights of {network.name} changed after they were loaded.")
    tensors = classifier.tensors()
    new = [name for name in tensors if name.startswith((HEAD_WEIGHT, HEAD_BIAS, HEAD_KERNEL))]
    return Trained(
        action=action,
        target=target,
        classifier=classifier,
        out_of_fold_logits=left_out,
        out_of_fold_rows=rows,
        frozen_verified=True,
        alpha=fit.alpha,
        frozen=[name for name in tensors if name not in new],
        new_layers=new,
    )


def _tap_of(name: str, known: Frozen | Adapted) -> str:
    tap = known.network.cut(name).name
    if tap not in known.features.slices:
        taps = ", ".join(known.features.slices)
        raise PlanError(
            f"{name!r} is a cut of {known.network.name}, but not one of its taps.",
            hint=did_you_mean(name, known.features.slices) or f"Taps: {taps}.",
        )
    return tap


def _belongs(fit: RidgeLOO, action: TapsHead, features: Selection) -> bool:
    """Whether a fit was made on these features, at the alpha that is asked for."""
    if fit.weight.shape[0] != features.shape[1] or len(fit.fitted) != len(features):
        return False
    if action.alpha is not None and not np.isclose(fit.alpha, action.alpha):
        return False
    some = slice(0, _COMPARED)
    return bool(np.allclose(fit.predict(features[some]), fit.fitted[some], atol=1e-6))


def _says_the_same(kernel: KernelRidge, features: Selection) -> bool:
    """Whether a kernel was fitted on these features."""
    if len(kernel.part.project) != features.shape[1] or len(kernel.fitted) != len(features):
        return False
    some = slice(0, _COMPARED)
    outputs = kernel.part.outputs(features[some]) + kernel.bias
    return bool(np.allclose(outputs, kernel.fitted[some], atol=1e-6))
