"""How new layers start, and networks that draw random numbers while they train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from frostline.backbones.network import Network
from frostline.backbones.trainable import trainable
from frostline.compute.engines.torch_runtime import Compute
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import FullTraining, Recipe, SuffixTraining
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.training.assembly import TrainableSuffix, assemble
from frostline.training.head_start import recalibrate_new_norms
from frostline.training.loaders import ActivationBatches, Batching
from frostline.training.result import Trained
from frostline.training.train_val_split import split_train_val

Fit = Callable[..., Trained]

RECIPE = Recipe(
    epochs=2, batch_size=16, learning_rate=1e-3, head_learning_rate=1e-3, validation_fraction=0.2
)


class Interrupting:
    """Progress that is interrupted after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Interrupting]:
        del label, total
        yield self

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        del text


def test_a_new_norm_layer_starts_with_the_statistics_of_the_images(
    digits_store: Frozen,
) -> None:
    compute = Compute(torch.device("cpu"), half=False)
    parts = split_train_val(Problem.of(digits_store.catalog), np.arange(60), fraction=0.0)
    action = SuffixTraining(keep_to="blocks.3", freeze_to="blocks.2", new_block=True, recipe=RECIPE)
    assembly = assemble(
        action, trainable(digits_store.network), n_outputs=3, seed=0, compute=compute
    )
    stored = digits_store.activations.get("blocks.2", parts.train, Runtime())
    batching = Batching(parts, size=16, min_last_batch=0, seed=0, compute=compute)
    batches = ActivationBatches(batching, stored, stored)
    above = TrainableSuffix(assembly.between, assembly.classifier)
    recalibrate_new_norms(above, batches)
    with torch.no_grad():
        kept = above.last_kept(torch.cat(list(batches.clean())))
        convolution = above.get_submodule("new.0")
        norm = above.get_submodule("new.1")
        values = convolution(kept).double()
    expected_mean = values.mean(dim=(0, 2, 3)).float()
    expected_variance = values.var(dim=(0, 2, 3), correction=0).float()
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    assert torch.allclose(norm.running_mean, expected_mean, atol=1e-5)
    assert torch.allclose(norm.running_var, expected_variance, rtol=1e-3, atol=1e-6)


def test_stochastic_depth_is_repeated_after_a_resume(
    fit: Fit, digits_store: Frozen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(1)
    net = timm.create_model("test_resnet", pretrained=False, drop_path_rate=0.5)
    store = run_frozen(
        Network.load(net.eval(), preprocessing=digits_store.network.preprocessing),
        digits_store.catalog,
        Runtime(),
    )
    action = FullTraining(recipe=RECIPE)
    whole = fit(action, store=store)
    with pytest.raises(KeyboardInterrupt):
        # three steps an epoch
        fit(action, store=store, checkpoint_dir=tmp_path, progress=Interrupting(5))
    resumed = fit(action, store=store, checkpoint_dir=tmp_path)
    assert [e["train_loss"] for e in resumed.history] == [e["train_loss"] for e in whole.history]
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name]), name
