"""What moves and what does not, for every kind of action."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from frostline.backbones.trainable import trainable
from frostline.compute.engines.torch_runtime import Compute
from frostline.compute.frozen import Frozen
from frostline.core.actions import FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.errors import FrozenChangedError, PlanError
from frostline.training.assembly import TrainableSuffix, assemble
from frostline.training.result import Trained

Fit = Callable[..., Trained]

CPU = Compute(torch.device("cpu"), half=False)
NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
        "layer_decay": 0.7,
        "patience": 9,
        "augment": "light",
        "flip": False,
        "validation_fraction": 0.2,
    }
    return Recipe.model_validate(values | changes)


def changed_tensors(trained: Trained, store: Frozen) -> tuple[set[str], set[str]]:
    """Names below ``kept.`` that differ from the pretrained network, and those that do not."""
    original = trainable(store.network).feature_module.state_dict()
    moved: set[str] = set()
    same: set[str] = set()
    for name, tensor in trained.module.state_dict().items():
        if name.startswith("kept."):
            equal = torch.equal(tensor, original[name.removeprefix("kept.")])
            (same if equal else moved).add(name)
    return moved, same


def last_epoch_kept(action: SuffixTraining | FullTraining) -> SuffixTraining | FullTraining:
    """The same action without a validation part, so that the trained weights are kept."""
    return action.model_copy(
        update={"recipe": action.recipe.model_copy(update={"validation_fraction": 0.0})}
    )


@pytest.mark.parametrize("norm_mode", ["eval", "train"])
@pytest.mark.parametrize("new_block", [False, True])
def test_suffix_training_moves_the_suffix_only(
    fit: Fit, digits_store: Frozen, norm_mode: str, new_block: bool
) -> None:
    action = SuffixTraining(
        keep_to="blocks.3",
        freeze_to="blocks.2",
        new_block=new_block,
        recipe=recipe(norm_mode=norm_mode),
    )
    trained = fit(last_epoch_kept(action))
    moved, same = changed_tensors(trained, digits_store)
    in_suffix = {n for n in moved | same if n.startswith("kept.blocks.3.")}
    buffers = {n for n in in_suffix if n.endswith(NORM_BUFFERS)}
    assert in_suffix and buffers
    assert moved == (in_suffix if norm_mode == "train" else in_suffix - buffers)
    assert set(trained.frozen) == same
    assert set(trained.trained) == moved
    assert all(n.startswith(("new.", "head.")) for n in trained.new_layers)
    assert any(n.startswith("new.") for n in trained.new_layers) == new_block
    assert trained.frozen_verified
    assert not any(module.training for module in trained.module.modules())


@pytest.mark.parametrize("norm_mode", ["eval", "train"])
def test_full_training_moves_everything_kept(
    fit: Fit, digits_store: Frozen, norm_mode: str
) -> None:
    action = FullTraining(keep_to="blocks.3", recipe=recipe(norm_mode=norm_mode))
    trained = fit(last_epoch_kept(action))
    moved, same = changed_tensors(trained, digits_store)
    assert all(n.endswith(NORM_BUFFERS) for n in same)
    assert bool(same) == (norm_mode == "eval")
    assert not any(n.endswith(NORM_BUFFERS) for n in moved) or norm_mode == "train"
    assert not any(n.startswith("kept.blocks.4") for n in moved | same)
    assert trained.frozen_verified


def test_small_batches_keep_norm_statistics(fit: Fit, digits_store: Frozen) -> None:
    action = FullTraining(keep_to="bn1", recipe=recipe(norm_mode="train", batch_size=8))
    trained = fit(last_epoch_kept(action))
    _, same = changed_tensors(trained, digits_store)
    assert {n for n in same if n.endswith(NORM_BUFFERS)}
    assert any("Norm layers kept their statistics" in note for note in trained.notes)


def test_heads_leave_the_network_alone(fit: Fit, digits_store: Frozen) -> None:
    before = digits_store.network.weights_id
    trained = fit(TapsHead(taps=list(digits_store.network.taps)))
    copied = trainable(digits_store.network).copy()
    assert copied.weights_id == before
    assert trained.frozen_verified and trained.trained == []
    assert set(trained.new_layers) == {"head.weight", "head.bias"}


def test_training_never_touches_the_network_of_the_store(fit: Fit, digits_store: Frozen) -> None:
    fit(FullTraining(keep_to="blocks.1", recipe=recipe(norm_mode="train")))
    assert (
        trainable(digits_store.network).copy().weights_id
        == trainable(digits_store.network).weights_id
    )


@pytest.mark.parametrize("freeze_to", [None, "blocks.1", "blocks.3"])
def test_groups_cover_each_trainable_parameter_once(
    digits_store: Frozen, freeze_to: str | None
) -> None:
    action: SuffixTraining | FullTraining
    if freeze_to is None:
        action = FullTraining(keep_to="blocks.3", new_block=True, recipe=recipe())
    else:
        action = SuffixTraining(
            keep_to="blocks.3", freeze_to=freeze_to, new_block=True, recipe=recipe()
        )
    network = trainable(digits_store.network)
    assembly = assemble(action, network, n_outputs=3, seed=0, compute=CPU)
    grouped = [n for group in assembly.groups(action) for n in group["param_names"]]
    moving = {n for n, p in assembly.classifier.named_parameters() if p.requires_grad}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == moving
    frozen_parameters = set(dict(assembly.classifier.named_parameters())) - moving
    assert frozen_parameters == {n for n in assembly.frozen if not n.endswith(NORM_BUFFERS)}
    assert bool(frozen_parameters) == (freeze_to is not None)


def test_rates_fall_once_a_stage(digits_store: Frozen) -> None:
    action = FullTraining(recipe=recipe(learning_rate=0.5, head_learning_rate=2.0))
    network = trainable(digits_store.network)
    assembly = assemble(action, network, n_outputs=3, seed=0, compute=CPU)
    rates = {n: g["lr"] for g in assembly.groups(action) for n in g["param_names"]}
    assert rates["head.weight"] == rates["head.bias"] == 2.0
    # the last stage is the final convolution and its norm layer, the first one the stem
    assert rates["kept.bn2.weight"] == rates["kept.conv_head.weight"] == pytest.approx(0.5)
    inside = {n: r for n, r in rates.items() if n.startswith("kept.blocks.")}
    for name, rate in inside.items():
        block = int(name.split(".")[2])
        assert rate == pytest.approx(0.5 * 0.7 ** (5 - block))
    assert rates["kept.conv_stem.weight"] == rates["kept.bn1.bias"] == pytest.approx(0.5 * 0.7**6)
    decays = {n: g["weight_decay"] for g in assembly.groups(action) for n in g["param_names"]}
    assert decays["kept.bn1.bias"] == decays["head.bias"] == 0.0
    assert decays["kept.conv_stem.weight"] == 1e-4


def test_gradients_of_the_suffix_equal_those_of_the_uncut_network(
    digits_store: Frozen,
) -> None:
    action = SuffixTraining(freeze_to="blocks.2", recipe=recipe(norm_mode="train"))
    images = torch.randn(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(16) % 3
    gradients = []
    for uncut in (False, True):
        assembly = assemble(
            action, trainable(digits_store.network), n_outputs=3, seed=0, compute=CPU
        )
        above = TrainableSuffix(assembly.between, assembly.classifier)
        assembly.classifier.train()
        above.train()
        # stochastic depth draws the same numbers on both ways
        torch.manual_seed(5)
        if uncut:
            logits = assembly.classifier(images)
        else:
            with torch.no_grad():
                activations = trainable(digits_store.network).prefix("blocks.2")(images)
            logits = above(activations)
        parameters = {n: p for n, p in assembly.classifier.named_parameters() if p.requires_grad}
        loss = torch.nn.functional.cross_entropy(logits, labels)
        found = torch.autograd.grad(loss, list(parameters.values()))
        gradients.append(dict(zip(parameters, found, strict=True)))
        frozen = [p for p in assembly.classifier.parameters() if not p.requires_grad]
        assert frozen and all(p.grad is None for p in frozen)
    assert set(gradients[0]) == set(gradients[1])
    assert any(n.startswith("kept.blocks.3") for n in gradients[0])
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5), name


def test_a_frozen_tensor_that_changes_is_reported(
    fit: Fit, digits_store: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.AdamW.step

    def clumsy_step(self: torch.optim.AdamW, closure: None = None) -> None:
        step(self, closure)
        with torch.no_grad():
            clumsy[0].add_(1e-6)

    clumsy: list[torch.Tensor] = []
    real_train = torch.nn.Module.train

    def note_stem(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
        stem = dict(module.named_parameters()).get("kept.conv_stem.weight")
        if stem is not None:
            clumsy[:] = [stem]
        return real_train(module, mode)

    monkeypatch.setattr(torch.nn.Module, "train", note_stem)
    monkeypatch.setattr(torch.optim.AdamW, "step", clumsy_step)
    with pytest.raises(FrozenChangedError, match=r"kept\.conv_stem\.weight"):
        fit(SuffixTraining(keep_to="blocks.2", freeze_to="blocks.1", recipe=recipe()))


def test_a_prefix_that_reaches_above_what_is_kept_is_refused(fit: Fit) -> None:
    with pytest.raises(PlanError, match=r"blocks\.4"):
        fit(SuffixTraining(keep_to="blocks.2", freeze_to="blocks.4", recipe=recipe()))


def test_everything_kept_may_be_frozen(fit: Fit, digits_store: Frozen) -> None:
    action = SuffixTraining(
        keep_to="blocks.2", freeze_to="blocks.2", new_block=True, recipe=recipe()
    )
    trained = fit(last_epoch_kept(action))
    moved, same = changed_tensors(trained, digits_store)
    assert not moved and same
    assert np.isfinite(trained.history[-1]["train_loss"])
