"""Epochs, resuming, early stopping and repeatability."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen
from frostline.core.actions import Adapters, FullTraining, Recipe, SuffixTraining
from frostline.core.errors import PlanError
from frostline.core.runtime import Runtime
from frostline.stats.calibration import fit_temperature
from frostline.training.assembly import TrainableSuffix, assemble
from frostline.training.image_batches import ImageBatches
from frostline.training.losses import mean_nll
from frostline.training.result import Trained
from frostline.training.sources import Sources
from tests.stats.on_labels import ridge_loo

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "head_learning_rate": 3e-3,
        "patience": 9,
        "augment": "standard",
        "validation_fraction": 0.25,
        "norm_mode": "train",
        "label_smoothing": 0.1,
        "class_weights": "balanced",
    }
    return Recipe.model_validate(values | changes)


def suffix(**changes: object) -> SuffixTraining:
    return SuffixTraining(keep_to="blocks.3", freeze_to="blocks.2", recipe=recipe(**changes))


def full(**changes: object) -> FullTraining:
    return FullTraining(keep_to="blocks.2", recipe=recipe(**changes))


ACTIONS = {
    "suffix": suffix(),
    "full": full(),
    "adapters": full().model_copy(update={"part": Adapters(rank=2, alpha=4.0)}),
    "new block": SuffixTraining(
        keep_to="blocks.3", freeze_to="blocks.2", new_block=True, recipe=recipe()
    ),
}


class Listener:
    """Counts steps; perhaps interrupts after some of them."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.steps = 0
        self.totals: dict[str, int] = {}
        self.notes: list[str] = []
        self._interrupt_after = interrupt_after

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Listener]:
        self.totals[label] = total
        yield self

    def advance(self, n: int = 1) -> None:
        self.steps += n
        if self._interrupt_after is not None and self.steps >= self._interrupt_after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


def assert_same(one: Trained, other: Trained) -> None:
    for (name, a), (other_name, b) in zip(
        one.module.state_dict().items(), other.module.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert torch.equal(a, b), name
    np.testing.assert_array_equal(one.out_of_fold_logits, other.out_of_fold_logits)
    np.testing.assert_array_equal(one.out_of_fold_rows, other.out_of_fold_rows)
    assert without_seconds(one.history) == without_seconds(other.history)
    assert one.best_epoch == other.best_epoch
    assert one.notes == other.notes


@pytest.mark.parametrize("kind", ACTIONS)
def test_resuming_gives_the_bits_of_an_uninterrupted_run(
    fit: Fit, tmp_path: Path, kind: str
) -> None:
    action = ACTIONS[kind]
    whole = fit(action)
    # 45 training images and no batch under 16: two steps an epoch
    stop = 13 if kind == "new block" else 3
    with pytest.raises(KeyboardInterrupt):
        fit(action, checkpoint_dir=tmp_path, progress=Listener(interrupt_after=stop))
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["epoch"] == (stop - 1) // 2
    for entry in state["files"].values():
        assert (tmp_path / entry["name"]).stat().st_size > 0
    listener = Listener()
    resumed = fit(action, checkpoint_dir=tmp_path, progress=listener)
    assert any("continues after epoch" in note for note in listener.notes)
    assert_same(whole, resumed)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = fit(action, checkpoint_dir=tmp_path, progress=Listener(interrupt_after=1))
    assert_same(whole, again)


def test_an_interrupt_in_the_new_layers_stage_is_resumed_too(fit: Fit, tmp_path: Path) -> None:
    action = ACTIONS["new block"]
    with pytest.raises(KeyboardInterrupt):
        fit(action, checkpoint_dir=tmp_path, progress=Listener(interrupt_after=5))
    assert_same(fit(action), fit(action, checkpoint_dir=tmp_path))


@pytest.mark.parametrize("change", ["seed", "action", "rows"])
def test_a_foreign_checkpoint_is_not_used(fit: Fit, tmp_path: Path, change: str) -> None:
    fit(suffix(epochs=1), checkpoint_dir=tmp_path)
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 4},
        "rows": {"rows": np.arange(1, 60)},
        "action": {},
    }
    other = changes[change]
    action = suffix(epochs=1, learning_rate=1e-3) if change == "action" else suffix(epochs=1)
    listener = Listener()
    found = fit(action, checkpoint_dir=tmp_path, progress=listener, **other)
    assert any("another training" in note for note in listener.notes)
    assert_same(found, fit(action, **other))


def test_a_damaged_checkpoint_is_not_used(fit: Fit, tmp_path: Path) -> None:
    whole = fit(suffix(epochs=1), checkpoint_dir=tmp_path)
    for path in tmp_path.glob("best-*"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    listener = Listener()
    assert_same(whole, fit(suffix(epochs=1), checkpoint_dir=tmp_path, progress=listener))
    assert any("damaged" in note for note in listener.notes)


@pytest.mark.parametrize("kind", ["suffix", "full"])
def test_workers_and_reruns_change_nothing(
    fit: Fit, make_store: Callable[[int], Frozen], kind: str
) -> None:
    first = fit(ACTIONS[kind])
    for workers in (0, 1, 2):
        assert_same(first, fit(ACTIONS[kind], store=make_store(workers)))


def test_seeds_change_something(fit: Fit) -> None:
    one, other = fit(full(epochs=1)), fit(full(epochs=1), seed=4)
    assert one.history[-1]["train_loss"] != other.history[-1]["train_loss"]


def test_generators_and_threads_are_given_back(fit: Fit) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    threads = torch.get_num_threads()
    fit(suffix(epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_start_reproduces_the_calibrated_probe(fit: Fit, digits_store: Frozen) -> None:
    # a rate this small leaves the start as it was
    action = SuffixTraining(
        keep_to="blocks.3",
        freeze_to="blocks.2",
        recipe=recipe(
            epochs=1,
            learning_rate=1e-12,
            head_learning_rate=1e-12,
            norm_mode="eval",
            class_weights="none",
        ),
    )
    trained = fit(action)
    rows = np.setdiff1d(np.arange(60), trained.out_of_fold_rows)
    labels = digits_store.catalog.labels
    probe = ridge_loo(digits_store.features.tap(["blocks.3"], rows), labels[rows], n_classes=3)
    temperature = fit_temperature(probe.loo, labels[rows])
    expected = (
        probe.predict(digits_store.features.tap(["blocks.3"], trained.out_of_fold_rows))
        / temperature
    )
    # activations are stored in half precision
    np.testing.assert_allclose(trained.out_of_fold_logits, expected, atol=0.05)
    assert trained.alpha == probe.alpha


def test_the_best_epoch_is_kept(fit: Fit, digits_store: Frozen) -> None:
    # at this rate training can only do harm, so the start stays the best
    action = suffix(epochs=6, learning_rate=3.0, head_learning_rate=3.0, patience=2)
    trained = fit(action)
    losses = [entry["val_nll"] for entry in trained.history]
    finite = [loss for loss in losses if loss is not None]
    assert losses[trained.best_epoch] == min(finite)
    assert trained.epochs_done == trained.best_epoch + 2 < 6
    labels = digits_store.catalog.labels[trained.out_of_fold_rows]
    temperature = fit_temperature(trained.out_of_fold_logits, labels)
    assert mean_nll(trained.out_of_fold_logits / temperature, labels) == pytest.approx(min(finite))
    # the module is that epoch's, not the last one's
    module_logits = outputs(trained, digits_store)
    np.testing.assert_allclose(module_logits, trained.out_of_fold_logits, rtol=0.01, atol=0.1)


def outputs(trained: Trained, store: Frozen) -> np.ndarray:
    pixels = store.runner.pixels(trained.out_of_fold_rows)
    with torch.no_grad():
        logits = trained.module(torch.from_numpy(store.network.preprocessing.normalise(pixels)))
    return np.asarray(logits.numpy())


def test_training_learns(fit: Fit) -> None:
    trained = fit(full(epochs=4, learning_rate=1e-2, head_learning_rate=1e-2, augment="none"))
    losses = [entry["train_loss"] for entry in trained.history[1:]]
    assert losses[-1] < losses[0]
    assert trained.history[trained.best_epoch]["val_nll"] <= trained.history[0]["val_nll"]


def test_history_and_progress_count_every_step(fit: Fit) -> None:
    listener = Listener()
    trained = fit(suffix(), progress=listener)
    assert [entry["epoch"] for entry in trained.history] == [0, 1, 2]
    assert listener.totals == {"Training": 4}
    assert listener.steps == 4
    assert set(trained.history[1]) == {
        "epoch", "stage", "train_loss", "val_nll", "val_accuracy", "learning_rate", "seconds",
    }  # fmt: skip
    assert trained.history[1]["learning_rate"] > trained.history[2]["learning_rate"] > 0
    json.dumps(trained.history, allow_nan=False)


def test_validation_keeps_groups_whole(fit: Fit) -> None:
    groups = np.arange(60) // 2
    trained = fit(suffix(epochs=1), groups=groups)
    held = set(trained.out_of_fold_rows.tolist())
    assert held
    assert all((row ^ 1) in held for row in held)


def test_a_given_validation_part_is_used(fit: Fit) -> None:
    held = np.arange(0, 60, 5)
    rows = np.setdiff1d(np.arange(60), held)
    trained = fit(suffix(epochs=1), rows=rows, validation=held)
    np.testing.assert_array_equal(trained.out_of_fold_rows, held)
    with pytest.raises(PlanError, match="12 images are in"):
        fit(suffix(epochs=1), validation=held)


def test_without_validation_the_last_epoch_is_kept(fit: Fit) -> None:
    trained = fit(suffix(validation_fraction=0.0))
    assert trained.best_epoch == trained.epochs_done == 2
    assert trained.out_of_fold_logits.shape == (0, 3)
    assert any("no validation part" in note for note in trained.notes)


def test_new_layers_train_alone_first(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(ACTIONS["new block"])
    stages = [entry["stage"] for entry in trained.history]
    assert stages == ["start", *["new layers"] * 5, *["all trainable"] * 2]
    random = fit(ACTIONS["new block"].model_copy(update={"head_init": "random"}))
    assert [entry["stage"] for entry in random.history] == ["start", *["all trainable"] * 2]


def test_a_loss_that_is_not_finite_ends_training(fit: Fit) -> None:
    action = suffix(epochs=5, learning_rate=9.0, norm_mode="eval")
    # no plan may ask for such a rate, so it is put there unchecked
    wild = action.recipe.model_copy(update={"head_learning_rate": 1e30})
    trained = fit(action.model_copy(update={"recipe": wild}))
    assert trained.best_epoch == 0 or trained.history[trained.best_epoch]["val_nll"] is not None
    assert np.isfinite(trained.out_of_fold_logits).all()
    for tensor in trained.module.state_dict().values():
        assert torch.isfinite(tensor.float()).all()
    assert any("not finite" in note for note in trained.notes)


@pytest.mark.parametrize("augment", ["none", "light", "standard"])
def test_activations_beyond_the_disk_budget_are_computed_on_every_batch(
    augment: Any, fit: Fit, digits_store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the same views in the same epochs, so that room on a disk decides nothing
    action = suffix(augment=augment, epochs=3)
    stored = fit(action)
    opened: list[type] = []
    real = Sources.activations

    def noting(self: Sources, cut: str, runtime: Runtime, *, epochs: int) -> Any:
        batches, note = real(self, cut, runtime, epochs=epochs)
        opened.append(type(batches))
        return batches, note

    monkeypatch.setattr(Sources, "activations", noting)
    monkeypatch.setattr("frostline.training.sources.DISK_BUDGET", 1000)
    computed = fit(action)
    assert opened == [ImageBatches]
    assert any("ran on every batch" in note for note in computed.notes)
    assert computed.frozen_verified
    # the same but for the half precision of stored activations
    np.testing.assert_allclose(computed.out_of_fold_logits, stored.out_of_fold_logits, atol=0.1)
    losses = [[entry["train_loss"] for entry in fit.history[1:]] for fit in (stored, computed)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.01)


def test_inner_cuts_work_without_a_tap(
    fit: Fit, digits_store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = full(epochs=1, augment="none")
    tapped = fit(action)
    fewer = {n: part for n, part in digits_store.features.slices.items() if n != "blocks.2"}
    features = replace(digits_store.features, slices=fewer)
    store = replace(digits_store, features=features)
    computed = fit(action, store=store)
    np.testing.assert_allclose(computed.out_of_fold_logits, tapped.out_of_fold_logits, atol=1e-2)


def test_half_precision_trains_and_keeps_weights_in_full(fit: Fit) -> None:
    trained = fit(suffix(epochs=1), precision="bf16")
    assert {t.dtype for t in trained.module.state_dict().values()} <= {torch.float32, torch.int64}
    assert np.isfinite(trained.out_of_fold_logits).all()


def test_above_shares_its_weights_with_the_classifier(digits_store: Frozen) -> None:
    from frostline.compute.engines.torch_runtime import Compute

    compute = Compute(torch.device("cpu"), half=False)
    assembly = assemble(
        suffix(), trainable(digits_store.network), n_outputs=3, seed=0, compute=compute
    )
    above = TrainableSuffix(assembly.between, assembly.classifier)
    assert assembly.between is not None
    mine = {id(p) for p in above.parameters()}
    assert mine < {id(p) for p in assembly.classifier.parameters()}
