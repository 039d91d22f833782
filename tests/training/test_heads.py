"""Closed-form heads: what is handed back is the fit, and its honest logits are honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen
from frostline.core.actions import TapsHead
from frostline.core.errors import FrozenChangedError, InputError, PlanError
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.problem import Problem
from frostline.evidence.probes import ALL
from frostline.fitting.decide import gather
from frostline.fitting.inputs import FitInputs
from frostline.stats import ridge
from frostline.stats.class_weights import class_weights
from frostline.stats.ridge import FLOOR
from frostline.training.result import Trained
from frostline.training.train import Given, train
from tests.stats.on_labels import ridge_loo

Fit = Callable[..., Trained]

GROUPS = np.arange(60) // 2


def outputs(trained: Trained, store: Frozen, rows: list[int]) -> np.ndarray:
    """What the module says about rows, through images."""
    pixels = store.runner.pixels(np.array(rows))
    with torch.no_grad():
        logits = trained.module(torch.from_numpy(store.network.preprocessing.normalise(pixels)))
    return np.asarray(logits.numpy())


def test_module_is_body_and_ridge(fit: Fit, digits_store: Frozen) -> None:
    taps = ["blocks.1", "blocks.3"]
    trained = fit(TapsHead(taps=taps))
    rows = np.arange(60)
    features = digits_store.features.tap(taps, rows)
    width = digits_store.features.slices["blocks.1"]
    border = width.stop - width.start
    expected = ridge_loo(
        features,
        digits_store.catalog.labels,
        n_classes=3,
        blocks=[slice(0, border), slice(border, features.shape[1])],
    )
    some = [0, 25, 59]
    np.testing.assert_allclose(
        outputs(trained, digits_store, some), expected.predict(features[some]), atol=2e-4
    )
    assert trained.alpha == expected.alpha
    assert not trained.module.training


def test_weights_that_moved_meanwhile_are_noticed(fit: Fit, digits_store: Frozen) -> None:
    weight = trainable(digits_store.network).module.get_parameter("blocks.2.0.bn1.weight")
    before = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[0] += 1e-6
        with pytest.raises(FrozenChangedError, match="changed after they were loaded"):
            fit(TapsHead(taps=["blocks.1"]))
    finally:
        with torch.no_grad():
            weight.copy_(before)
    assert fit(TapsHead(taps=["blocks.1"])).frozen_verified


def test_order_of_taps_does_not_matter(fit: Fit, digits_store: Frozen) -> None:
    one = fit(TapsHead(taps=["blocks.1", "blocks.3"]))
    other = fit(TapsHead(taps=["blocks.3", "blocks.1"]))
    np.testing.assert_array_equal(
        outputs(one, digits_store, [0, 1]), outputs(other, digits_store, [0, 1])
    )


def test_honest_logits_are_those_of_a_fit_without_the_row(fit: Fit, digits_store: Frozen) -> None:
    rows = np.arange(0, 60, 2)
    trained = fit(TapsHead(taps=["blocks.2"], alpha=1.0), rows=rows)
    np.testing.assert_array_equal(trained.out_of_fold_rows, rows)
    features = digits_store.features.tap(["blocks.2"], rows).astype(np.float64)
    targets = np.eye(3)[digits_store.catalog.labels[rows]]
    # the scale of a channel and the absolute penalty are those of all rows
    spread = features.std(axis=0)
    divisor = np.hypot(spread, FLOOR * np.median(spread)) * features.shape[1] ** 0.5
    scaled = (features - features.mean(axis=0)) / divisor
    penalty = np.sum(scaled**2) / min(scaled.shape)
    for row in (0, 17, 29):
        x, y = np.delete(scaled, row, axis=0), np.delete(targets, row, axis=0)
        centred = x - x.mean(axis=0)
        gram = centred.T @ centred + penalty * np.eye(x.shape[1])
        weight = np.linalg.solve(gram, centred.T @ (y - y.mean(axis=0)))
        expected = (scaled[row] - x.mean(axis=0)) @ weight + y.mean(axis=0)
        np.testing.assert_allclose(trained.out_of_fold_logits[row], expected, atol=1e-8)


def test_rows_of_a_group_are_left_out_together(fit: Fit, digits_store: Frozen) -> None:
    labels = digits_store.catalog.labels
    action = TapsHead(taps=["blocks.2"], alpha=1e-3)
    targets = np.eye(3)[labels]
    alone = np.square(fit(action).out_of_fold_logits - targets).mean()
    grouped = fit(action, groups=labels).out_of_fold_logits
    # without its whole class a row has never been seen
    assert np.square(grouped - targets).mean() > 5 * alone


def test_a_fitting_probe_is_taken_and_another_is_not(
    fit: Fit, digits_store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, labels = np.arange(60), digits_store.catalog.labels
    features = digits_store.features.tap(["blocks.2"], rows)
    probe = ridge_loo(features, labels, n_classes=3)
    action = TapsHead(taps=["blocks.2"])
    fresh = fit(action)
    calls: list[int] = []

    def counting(*args: object, **kwargs: object) -> object:
        calls.append(1)
        return ridge.ridge_loo(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("frostline.training.taps_head.ridge_loo", counting)
    taken = fit(action, probe={"blocks.2": probe})
    assert calls == []
    np.testing.assert_array_equal(taken.out_of_fold_logits, fresh.out_of_fold_logits)
    fit(action, probe={"blocks.2": probe}, rows=rows[5:])
    fit(TapsHead(taps=["blocks.2"], alpha=0.77), probe={"blocks.2": probe})
    fit(TapsHead(taps=["blocks.2"], class_weights="balanced"), probe={"blocks.2": probe})
    assert len(calls) == 3


def test_heads_of_a_kind_that_is_no_longer_trained_are_named(fit: Fit) -> None:
    with pytest.raises(PlanError, match='"head": "ridge"'):
        fit(TapsHead(taps=["blocks.3"], head="logistic"))


def test_unknown_taps_and_wrong_arrays_are_named(fit: Fit) -> None:
    with pytest.raises(InputError, match="labels"):
        fit(TapsHead(taps=["blocks.2"]), labels=[0, 1, 2])
    with pytest.raises(InputError, match="no image"):
        fit(TapsHead(taps=["blocks.2"]), rows=[])


def test_a_cut_that_is_no_tap_is_refused(fit: Fit, digits_store: Frozen) -> None:
    fewer = {
        name: part for name, part in digits_store.features.slices.items() if name != "blocks.2"
    }
    features = replace(digits_store.features, slices=fewer)
    store = replace(digits_store, features=features)
    with pytest.raises(PlanError, match=r"blocks\.2.*not one of its taps"):
        fit(TapsHead(taps=["blocks.2"]), store=store)


def test_probe_and_head_weigh_the_classes_of_a_fold_alike(fit: Fit, digits_store: Frozen) -> None:
    """A fold may lack a class: the weights of the others must not depend on who asks."""
    labels, rows = digits_store.catalog.labels, np.arange(35)
    assert np.bincount(labels[rows], minlength=3).tolist() == [20, 15, 0]
    problem = Problem.of(digits_store.catalog, weights="balanced")
    task = FitInputs(problem, digits_store, Settings(effort="fast"))
    probe = gather(task, rows, Runtime()).ridge[ALL]
    head = fit(
        TapsHead(taps=list(digits_store.features.slices), class_weights="balanced"), rows=rows
    )
    np.testing.assert_array_equal(head.out_of_fold_logits, probe.loo)
    by_class = class_weights(labels[rows], n_classes=3, choice="balanced")
    assert by_class is not None
    np.testing.assert_array_equal(
        problem.labelled(rows).weights,
        by_class[labels[rows]],
    )


@pytest.mark.parametrize("stage", ["none", "biases", "matrix"])
def test_stacked_head_is_one_linear_layer_with_honest_logits(
    fit: Fit, digits_store: Frozen, stage: str
) -> None:
    taps = ["blocks.1", "blocks.2", "blocks.3"]
    action = TapsHead(taps=taps, head="stacked", second_stage=stage)
    trained = fit(action)
    plain = fit(TapsHead(taps=taps))
    features = digits_store.features.tap(taps, np.arange(60)).astype(np.float64)
    weight, bias = trained.classifier.leader.head_weights()
    # as many numbers as one ridge head has, so prediction costs the same
    assert weight.shape == plain.classifier.leader.head_weights()[0].shape
    np.testing.assert_allclose(
        outputs(trained, digits_store, [0, 25, 59]),
        (features @ weight.T + bias)[[0, 25, 59]],
        atol=2e-3,
    )
    labels = digits_store.catalog.labels
    fitted = (features @ weight.T + bias).argmax(axis=1) == labels
    left_out = trained.out_of_fold_logits.argmax(axis=1) == labels
    assert left_out.mean() <= fitted.mean()
    assert left_out.mean() > 0.5


def test_the_stacked_head_of_the_evidence_is_the_one_that_is_trained(
    digits_store: Frozen,
) -> None:
    """What was scored, decided and written down is what is handed over."""
    problem = Problem.of(digits_store.catalog)
    inputs = FitInputs(problem, digits_store, Settings(effort="fast"))
    rows = np.arange(60)
    evidence = gather(inputs, rows, Runtime())
    stacking, scored = evidence.summary.stacking, evidence.summary.stacked
    assert stacking is not None and scored is not None
    assert sum(stacking.shares.values()) == pytest.approx(1.0)
    linear = ["all", *digits_store.features.slices]
    kernel = ["kernel"] if stacking.linear_log_loss is not None else []
    assert list(stacking.shares) == [*linear, *kernel]
    action = TapsHead(
        taps=list(digits_store.features.slices),
        head="stacked",
        second_stage=stacking.second_stage,
        kernel=bool(kernel),
    )
    given = Given(probe=evidence.ridge)
    known = train(problem, digits_store, action, rows, Runtime(), given)
    alone = train(problem, digits_store, action, rows, Runtime())
    right = known.out_of_fold_logits.argmax(axis=1) == problem.labels
    np.testing.assert_array_equal(right, evidence.correct["stacked"])
    assert right.mean() == pytest.approx(scored.accuracy)
    np.testing.assert_allclose(
        known.classifier.leader.head_weights()[0],
        alone.classifier.leader.head_weights()[0],
        atol=1e-6,
    )
