"""Schedule, losses and keyed randomness against independent computations."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from frostline.stats.class_weights import class_weights
from frostline.training.epochs import epoch_order, epoch_views
from frostline.training.loaders import batch_bounds, look_bounds
from frostline.training.losses import mean_nll, training_loss
from frostline.training.schedule import rate_factor, set_rates, warmup_steps


def test_schedule_rises_linearly_and_falls_by_a_cosine() -> None:
    factors = [rate_factor(step, total=20, warmup=4) for step in range(20)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[12] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(factors[4:]))
    assert factors[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 15 / 16)))
    assert min(factors) > 0


def test_schedule_agrees_with_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([parameter], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=17)
    mine = torch.optim.SGD([parameter], lr=0.3)
    for step in range(17):
        set_rates(mine, rate_factor(step, total=17, warmup=0))
        assert mine.param_groups[0]["lr"] == pytest.approx(reference.param_groups[0]["lr"])
        reference.step()
        schedule.step()


@pytest.mark.parametrize(
    ("total", "share", "steps"), [(20, 0.1, 2), (1, 0.9, 0), (3, 0.99, 2), (9, 0.0, 0)]
)
def test_warmup_leaves_a_step_at_the_full_rate(total: int, share: float, steps: int) -> None:
    assert warmup_steps(total, share) == steps
    assert max(rate_factor(s, total=total, warmup=steps) for s in range(total)) == 1.0


def test_balanced_weights_agree_with_scikit_learn() -> None:
    labels = np.repeat([0, 1, 3], [5, 20, 2])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    weights = class_weights(labels, n_classes=4, choice="balanced")
    assert weights is not None
    np.testing.assert_allclose(weights[[0, 1, 3]], expected)
    assert weights[2] == 0.0
    assert class_weights(labels, n_classes=4, choice="none") is None


def test_loss_with_weights_and_smoothing_is_what_numpy_says() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(12, 3))
    labels = np.repeat([0, 1, 2], [6, 4, 2])
    weights = class_weights(labels, n_classes=3, choice="balanced")
    assert weights is not None
    loss = training_loss("cross_entropy", weights, label_smoothing=0.1, device=torch.device("cpu"))
    found = float(loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)))
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = 0.9 * np.eye(3)[labels] + 0.1 / 3
    expected = -(targets * log_p * weights).sum() / weights[labels].sum()
    assert found == pytest.approx(expected, abs=1e-6)


def test_nll_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(30, 4)) * 3
    labels = generator.integers(0, 4, 30)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert mean_nll(logits, labels) == pytest.approx(log_loss(labels, p, labels=range(4)))
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    expected = log_loss(labels, p, labels=range(4), sample_weight=weights[labels])
    assert mean_nll(logits, labels, weights) == pytest.approx(expected)


def test_order_depends_on_seed_epoch_and_digest_only() -> None:
    digests = [f"digest {i}" for i in range(50)]
    order = epoch_order(digests, seed=0, epoch=1)
    assert sorted(order) == list(range(50))
    assert not np.array_equal(order, epoch_order(digests, seed=0, epoch=2))
    assert not np.array_equal(order, epoch_order(digests, seed=1, epoch=1))
    shown = [digests[i] for i in order]
    fewer = [d for d in digests if d != "digest 7"]
    reordered = epoch_order(fewer[::-1], seed=0, epoch=1)
    assert [fewer[::-1][i] for i in reordered] == [d for d in shown if d != "digest 7"]


def test_views_are_seen_equally_often() -> None:
    digests = [f"digest {i}" for i in range(40)]
    seen = np.stack([epoch_views(digests, seed=0, epoch=e, views=5) for e in range(5)])
    assert np.array_equal(np.sort(seen, axis=0), np.repeat(np.arange(5)[:, None], 40, axis=1))
    # and one epoch does not show the same view of everything
    assert len(set(seen[0])) == 5


def test_a_tiny_last_batch_is_left_out_unless_it_is_the_only_one() -> None:
    assert batch_bounds(50, 16) == [(0, 16), (16, 32), (32, 48), (48, 50)]
    assert batch_bounds(50, 16, min_last_batch=16) == [(0, 16), (16, 32), (32, 48)]
    assert batch_bounds(5, 16, min_last_batch=16) == [(0, 5)]
    assert batch_bounds(0, 16) == []


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 34, 64, 65, 97, 129])
def test_every_image_is_looked_at_and_none_alone(n: int) -> None:
    bounds = look_bounds(n)
    assert [i for start, stop in bounds for i in range(start, stop)] == list(range(n))
    assert all(stop - start > 1 for start, stop in bounds) or n == 1
    assert all(stop - start <= 32 for start, stop in bounds)
