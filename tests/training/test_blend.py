"""An average of classifiers is exactly that: in its module, its honest logits, its frozen parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from frostline.backbones.fingerprints import fingerprints
from frostline.backbones.freeze.freezing import verify_frozen
from frostline.backbones.trainable import trainable
from frostline.compute.frozen import Frozen
from frostline.core.actions import Blend, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.plan import Plan
from frostline.fitting.train import logits_of
from frostline.stats.calibration import fit_temperature
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Fit = Callable[..., Trained]

RECIPE = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    augment="light",
    validation_fraction=0.2,
    patience=9,
)


@pytest.fixture
def members(digits_store: Frozen) -> list[TapsHead | SuffixTraining | FullTraining]:
    return [
        SuffixTraining(keep_to="blocks.3", freeze_to="blocks.1", recipe=RECIPE),
        TapsHead(taps=list(digits_store.features.slices)),
        FullTraining(recipe=RECIPE),
    ]


def normalised(store: Frozen) -> torch.Tensor:
    pixels = store.runner.pixels(np.arange(len(store.catalog)))
    return torch.from_numpy(store.network.preprocessing.normalise(pixels))


@pytest.mark.parametrize("weights", [None, [0.5, 0.2, 0.3]])
def test_a_blend_is_the_mean_of_its_calibrated_members(
    fit: Fit,
    digits_store: Frozen,
    members: list[TapsHead | SuffixTraining | FullTraining],
    weights: list[float] | None,
) -> None:
    alone = [fit(member) for member in members]
    blended = fit(Blend(members=members, weights=weights))
    labels = np.array(digits_store.catalog.labels)
    x = normalised(digits_store)
    expected, honest = [], []
    # the head is honest on all images, what trained on its validation part
    shared = np.sort(alone[0].out_of_fold_rows)
    for one in alone:
        temperature = fit_temperature(one.out_of_fold_logits, labels[one.out_of_fold_rows])
        with torch.no_grad():
            expected.append(softmax(one.module(x).double().numpy() / temperature, axis=1))
        places = [int(np.flatnonzero(one.out_of_fold_rows == row)[0]) for row in shared]
        honest.append(softmax(one.out_of_fold_logits[places] / temperature, axis=1))
    with torch.no_grad():
        found = torch.softmax(blended.module(x).double(), dim=1).numpy()
    mean = np.average(expected, axis=0, weights=weights)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    order = np.argsort(blended.out_of_fold_rows)
    np.testing.assert_array_equal(blended.out_of_fold_rows[order], shared)
    np.testing.assert_allclose(
        softmax(blended.out_of_fold_logits[order], axis=1),
        np.average(honest, axis=0, weights=weights),
        atol=1e-9,
    )


def test_rows_of_a_store_get_the_logits_of_the_module(
    fit: Fit, digits_store: Frozen, members: list[TapsHead | SuffixTraining | FullTraining]
) -> None:
    blended = fit(Blend(members=members[:2], weights=[0.8, 0.2]))
    rows = np.array([5, 3, 40, 3])
    with torch.no_grad():
        expected = blended.module(normalised(digits_store)[rows]).double().numpy()
    np.testing.assert_allclose(logits_of(blended, digits_store, rows), expected, atol=1e-3)


def test_what_a_member_froze_stays_frozen_and_is_named(
    fit: Fit, digits_store: Frozen, members: list[TapsHead | SuffixTraining | FullTraining]
) -> None:
    blended = fit(Blend(members=members))
    names = set(blended.module.state_dict()) - {"temperatures"}
    assert {*blended.frozen, *blended.trained, *blended.new_layers} == names
    original = trainable(digits_store.network).feature_module.state_dict()
    state = blended.module.state_dict()
    checked = 0
    for name in blended.frozen:
        for start in ("members.0.kept.", "members.1.body.graph.", "members.2.kept."):
            if name.startswith(start):
                assert torch.equal(state[name], original[name.removeprefix(start)])
                checked += 1
    assert checked > 10
    prints = fingerprints(blended.module)
    verify_frozen(blended.module, {name: prints[name] for name in blended.frozen})


def test_a_blend_goes_on_where_it_stopped(
    fit: Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: list[TapsHead | SuffixTraining | FullTraining],
) -> None:
    whole = fit(Blend(members=members))
    real = torch.optim.AdamW.step
    steps = 0

    def dies(self: torch.optim.AdamW, *args: object, **kwargs: object) -> object:
        nonlocal steps
        steps += 1
        # in the middle of the last member's second epoch
        if steps == 11:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            fit(Blend(members=members), checkpoint_dir=tmp_path)
    resumed = fit(Blend(members=members), checkpoint_dir=tmp_path)
    expected = whole.module.state_dict()
    for name, tensor in resumed.module.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_plan_with_a_blend_is_written_and_read(
    tmp_path: Path, members: list[TapsHead | SuffixTraining | FullTraining]
) -> None:
    plan = Plan(
        case=3,
        prior="",
        strategy="auto",
        chosen="an average",
        backbone="pixels",
        cut=None,
        removed=[],
        frozen=[],
        trained=[],
        new=["head"],
        seed=0,
        action=Blend(members=members, weights=[0.2, 0.5, 0.3]),
    )
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert Plan.from_file(path) == plan
