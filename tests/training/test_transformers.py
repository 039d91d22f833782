"""A transformer that was pretrained trains in every way that a plan may ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.vit.network import load
from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import Adapters, FullTraining, Recipe, SuffixTraining
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]

RECIPE = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=2e-4,
    head_learning_rate=7e-5,
    layer_decay=0.75,
    augment="none",
    flip=False,
    drop_path=0.1,
    patience=9,
)
PART = Adapters(rank=4, alpha=8.0)
NEW = RECIPE.model_copy(update={"learning_rate": 1e-3, "head_learning_rate": 1e-3, "epochs": 12})


@pytest.fixture(scope="module")
def store(digits_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return run_frozen(load(), digits_catalog, Runtime(workers=0))


@pytest.mark.parametrize(
    "action",
    [
        FullTraining(recipe=RECIPE),
        FullTraining(recipe=RECIPE, part=PART),
        SuffixTraining(freeze_to="blocks.3", recipe=RECIPE),
        SuffixTraining(
            keep_to="blocks.3",
            freeze_to="blocks.3",
            new_block=True,
            head_init="random",
            recipe=NEW,
        ),
    ],
    ids=["all", "adapters", "top", "new layers"],
)
def test_what_trains_learns_and_what_is_frozen_stays(
    fit: Fit,
    store: Frozen,
    action: FullTraining | SuffixTraining,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    last = action.recipe.model_copy(update={"validation_fraction": 0.0})
    trained = fit(action.model_copy(update={"recipe": last}), store=store)
    source = trainable(store.network).feature_module.state_dict()
    state = trained.module.state_dict()
    moved = {
        name
        for name, tensor in state.items()
        if name.startswith("kept.") and not torch.equal(tensor, source[name.removeprefix("kept.")])
    }
    assert trained.frozen_verified
    assert moved <= set(trained.trained)
    assert not moved & set(trained.frozen)
    lower = {name for name in moved if name.startswith(("kept.patch_embed", "kept.blocks.3."))}
    assert bool(lower) == (action.frozen_to is None)
    losses = [entry["train_loss"] for entry in trained.history if entry["train_loss"] is not None]
    # a head that starts from the probe is right already, and must not be ruined
    assert losses[-1] < (losses[0] if action.head_init == "random" else 0.3)
