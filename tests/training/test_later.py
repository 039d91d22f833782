"""Layers that freeze in the middle of a training: what moves when, and kill and resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmarks.vit.network import load
from frostline.backbones.network import Network
from frostline.compute.cache.locations import activations_folder
from frostline.compute.engines.onnx_export import ENGINE
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import Adapters, FreezeLater, FullTraining, Recipe
from frostline.core.errors import PlanError
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.strategy.cost import Span, training_seconds
from frostline.training.checkpoints import Checkpoints, TrainingState
from frostline.training.layers import Layers
from frostline.training.result import Trained
from tests.training.test_loop import Listener, assert_same, outputs, recipe

Fit = Callable[..., Trained]

CUT = "blocks.1"


def later(**changes: Any) -> FullTraining:
    return FullTraining(
        keep_to="blocks.3",
        recipe=recipe(**({"epochs": 4} | changes)),
        freeze_later=FreezeLater(freeze_to=CUT, full_share=0.5),
    )


def states(monkeypatch: pytest.MonkeyPatch) -> list[TrainingState]:
    """Note the state of every epoch that is written."""
    seen: list[TrainingState] = []
    real = Checkpoints.save

    def noting(self: Checkpoints, state: TrainingState) -> None:
        seen.append(replace(state))
        real(self, state)

    monkeypatch.setattr(Checkpoints, "save", noting)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("norms", ["train", "eval"])
def test_lower_layers_move_only_at_first(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, norms: str
) -> None:
    seen = states(monkeypatch)
    trained = fit(later(norm_mode=norms), checkpoint_dir=tmp_path)
    stages = [entry["stage"] for entry in trained.history]
    assert stages == ["start", *["all trainable"] * 2, *["upper layers"] * 2]

    def moved(one: int, other: int) -> set[str]:
        a, b = seen[one].last, seen[other].last
        return {name for name in a if not torch.equal(a[name], b[name])}

    above = ("kept.blocks.2.", "kept.blocks.3.", "head.")
    first, then = moved(0, 2), moved(2, 4)
    assert any(name.startswith("kept.blocks.1.") for name in first)
    assert "kept.conv_stem.weight" in first
    assert all(name.startswith(above) for name in then)
    assert {name for name in first if name.startswith(above)} == then


@pytest.mark.slow
def test_the_rate_falls_on_through_both_stages(fit: Fit) -> None:
    whole = fit(later().model_copy(update={"freeze_later": None}))
    divided = fit(later())
    rates = [[entry["learning_rate"] for entry in one.history] for one in (whole, divided)]
    assert rates[0] == rates[1]
    # the first half is the same training
    for place in range(3):
        one, other = ({**t.history[place], "seconds": 0} for t in (whole, divided))
        assert one == other
    assert whole.history[3]["train_loss"] != divided.history[3]["train_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4, 5])
def test_resuming_gives_the_bits_of_an_uninterrupted_run(
    fit: Fit, tmp_path: Path, steps: int
) -> None:
    # two steps an epoch: at the end of the second epoch, and in the third; what
    # stores activations in between counts no steps
    class Steps(Listener):
        def task(self, label: str, total: int) -> Any:
            return super().task(label, total) if label.startswith("Training") else Quiet.one

    whole = fit(later())
    with pytest.raises(KeyboardInterrupt):
        fit(later(), checkpoint_dir=tmp_path, progress=Steps(interrupt_after=steps))
    assert_same(whole, fit(later(), checkpoint_dir=tmp_path))


class Quiet:
    """A task that nobody counts."""

    one: Quiet

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def advance(self, n: int = 1) -> None:
        del n


Quiet.one = Quiet()


@pytest.mark.slow
def test_the_result_is_what_was_judged(fit: Fit, digits_store: Frozen) -> None:
    trained = fit(later(interpolate=True, norm_mode="eval"))
    np.testing.assert_allclose(
        outputs(trained, digits_store), trained.out_of_fold_logits, rtol=0.01, atol=0.1
    )
    assert set(trained.trained) >= {f"kept.{name}" for name in ("conv_stem.weight",)}
    assert trained.frozen_verified


@pytest.mark.slow
def test_a_full_disk_changes_nothing_but_digits(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = fit(later())
    monkeypatch.setattr("frostline.training.sources.DISK_BUDGET", 1000)
    computed = fit(later())
    assert any("ran on every batch" in note for note in computed.notes)
    losses = [[entry["train_loss"] for entry in one.history[1:]] for one in (stored, computed)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.01)


@pytest.mark.slow
def test_transformers_freeze_later_too_and_leave_no_export_behind(
    fit: Fit, digits_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    store = run_frozen(load(), digits_catalog, Runtime(workers=0))
    # so many pixels that an export pays
    monkeypatch.setattr("frostline.compute.engines.choose.EXPORT_PAYS_FROM", 0)
    action = FullTraining(
        recipe=Recipe(
            epochs=3,
            batch_size=16,
            learning_rate=2e-4,
            head_learning_rate=7e-5,
            augment="none",
            drop_path=0.1,
        ),
        freeze_later=FreezeLater(freeze_to="blocks.3", full_share=0.3),
    )
    before = set(tmp_path.rglob("*"))
    trained = fit(action, store=store)
    assert [entry["stage"] for entry in trained.history[1:]].count("upper layers") == 2
    left = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert not [path for path in left if ENGINE.folder in path.parts]
    assert not list(activations_folder().iterdir())
    assert trained.history[-1]["train_loss"] < 0.3


def test_one_epoch_trains_everything() -> None:
    half = FreezeLater(freeze_to=CUT, full_share=0.5)
    assert [half.full_epochs(n) for n in (1, 2, 4, 5)] == [1, 1, 2, 2]


def test_plans_that_cannot_be_carried_out_are_refused(small_network: Network) -> None:
    half = FreezeLater(freeze_to=CUT, full_share=0.5)
    for part in ("norms", Adapters(rank=2, alpha=4.0)):
        with pytest.raises(ValidationError, match="every layer has to train first"):
            FullTraining(part=part, recipe=recipe(), freeze_later=half)
    above = FullTraining(keep_to=CUT, recipe=recipe(), freeze_later=half)
    with pytest.raises(PlanError, match=f"'{CUT}' must lie below the last kept layer '{CUT}'"):
        Layers.of(small_network, above)


def test_the_estimate_counts_both_parts(small_network: Network) -> None:
    network = small_network.summary()

    def seconds(span: Span, epochs: int) -> float:
        return training_seconds(network, span, n_images=100, epochs=epochs, device="cpu")

    half = FreezeLater(freeze_to=CUT, full_share=0.5)
    together = seconds(Span(later=half), 8)
    assert together == pytest.approx(seconds(Span(), 4) + seconds(Span(freeze_to=CUT), 4))
    assert together < seconds(Span(), 8)
    assert seconds(Span(later=half), 1) == seconds(Span(), 1)
