from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from frostline.compute.moments import BatchNormMoments, LayerMoments
from frostline.core.errors import InputError
from frostline.evidence.cards import ReferenceCard
from frostline.evidence.shift import kind_of, label_of, measure_shift, thirds

Make = Callable[..., LayerMoments]


def moments_of(*layers: LayerMoments) -> BatchNormMoments:
    return BatchNormMoments(list(layers), np.arange(len(layers[0].mean) if layers else 0))


def identical(offset: float, spread: float, *, m: int = 6, channels: int = 8) -> LayerMoments:
    """All images alike: mean and spread are known exactly, in units of the source's."""
    mu = np.linspace(-2.0, 2.0, channels)
    var = np.linspace(0.5, 3.0, channels)
    mean = np.tile(mu + offset * np.sqrt(var), (m, 1))
    return LayerMoments("bn", mu, var, 0.0, mean, mean**2 + spread**2 * var)


def test_source_statistics_give_no_shift() -> None:
    shift = measure_shift(moments_of(*[identical(0.0, 1.0)] * 4))
    assert shift.distance == pytest.approx(0.0, abs=1e-12)
    assert shift.layers[0].kl == pytest.approx(0.0, abs=1e-12)
    assert shift.kind == "none"
    assert shift.label == "similar"


def test_known_shifts_of_mean_and_spread_come_out_exactly() -> None:
    moved = measure_shift(moments_of(identical(0.7, 1.0)))
    assert moved.distance == pytest.approx(0.49)
    assert moved.layers[0].shift_median == pytest.approx(0.49)
    assert moved.layers[0].kl == pytest.approx(0.5 * 0.49)
    widened = measure_shift(moments_of(identical(0.0, 3.0)))
    assert widened.distance == pytest.approx(4.0)
    assert widened.layers[0].kl == pytest.approx(0.5 * (9.0 - 1.0 - np.log(9.0)))
    both = measure_shift(moments_of(identical(0.7, 3.0)))
    assert both.distance == pytest.approx(4.49)


@pytest.mark.parametrize("m", [5, 30])
def test_samples_of_the_source_itself_average_to_no_shift(m: int, drawn_layer: Make) -> None:
    rng = np.random.default_rng(m)
    found = [
        measure_shift(moments_of(drawn_layer(rng, m=m, channels=100))).distance for _ in range(20)
    ]
    # without debiasing the mean alone would add 0.3 / m; a sixth of that is of third order
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < max(4.0 * error, 0.002)
    assert abs(np.mean(found)) < 0.05 / m


def test_debiased_estimate_does_not_depend_on_the_number_of_images(drawn_layer: Make) -> None:
    rng = np.random.default_rng(1)
    averages = []
    for m in (8, 200):
        found = [
            measure_shift(moments_of(drawn_layer(rng, m=m, offset=0.5, spread=1.5))).distance
            for _ in range(20)
        ]
        averages.append(float(np.mean(found)))
    assert averages == pytest.approx([0.5, 0.5], abs=0.03)


def test_matches_a_plain_loop(drawn_layer: Make) -> None:
    rng = np.random.default_rng(2)
    layer = drawn_layer(rng, m=12, channels=9, offset=0.3, spread=0.6)
    found = measure_shift(moments_of(layer)).layers[0]
    shifts, divergences = [], []
    for c in range(9):
        scale = layer.source_var[c] + layer.eps
        a = [float(v) for v in layer.mean[:, c]]
        q = [float(v) for v in layer.square[:, c]]
        mean = sum(a) / 12
        noise = sum((v - mean) ** 2 for v in a) / 11 / 12
        variance = sum(q) / 12 - mean**2 + noise
        z = ((mean - layer.source_mean[c]) ** 2 - noise) / scale
        terms = [qi - 2 * mean * ai for ai, qi in zip(a, q, strict=True)]
        centre = sum(terms) / 12
        of_variance = sum((t - centre) ** 2 for t in terms) / 11 / 12
        ratio = variance / scale
        s = (np.sqrt(ratio) - 1) ** 2 - of_variance / scale**2 / (4 * ratio**1.5)
        shifts.append(z + s)
        divergences.append(0.5 * (ratio + z - 1 - np.log(ratio)))
    assert found.shift == pytest.approx(np.mean(shifts), abs=1e-10)
    assert found.shift_median == pytest.approx(np.median(shifts), abs=1e-10)
    assert found.kl == pytest.approx(np.mean(divergences), abs=1e-10)


def test_order_of_images_changes_nothing(drawn_layer: Make) -> None:
    layer = drawn_layer(np.random.default_rng(3), m=20, offset=0.2)
    order = np.random.default_rng(4).permutation(20)
    turned = LayerMoments(
        "bn",
        layer.source_mean,
        layer.source_var,
        layer.eps,
        layer.mean[order],
        layer.square[order],
    )
    first, second = measure_shift(moments_of(layer)), measure_shift(moments_of(turned))
    assert second.distance == pytest.approx(first.distance, abs=1e-12)
    assert second.layers[0].kl == pytest.approx(first.layers[0].kl, abs=1e-12)


def test_dead_channels_and_vanished_variance_do_not_explode(drawn_layer: Make) -> None:
    layer = identical(0.5, 1.0)
    var, mean = layer.source_var.copy(), layer.mean.copy()
    var[0] = 1e-9
    mean[:, 0] = 1e6
    dead = dataclasses.replace(layer, source_var=var, mean=mean, square=layer.square)
    assert measure_shift(moments_of(dead)).distance == pytest.approx(0.25)
    flat = identical(0.0, 0.0)
    found = measure_shift(moments_of(flat))
    assert found.distance == pytest.approx((np.sqrt(1e-4) - 1.0) ** 2)
    assert np.isfinite(found.layers[0].kl)


def test_interval_covers_the_truth_about_as_often_as_it_says(drawn_layer: Make) -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(40):
        layers = [drawn_layer(rng, m=40, channels=6, offset=0.4, positions=9) for _ in range(3)]
        low, high = measure_shift(moments_of(*layers)).interval
        covered += low <= 0.16 <= high
    # 95 % of 40 is 38; fewer than 32 would be a wrong interval, all of 40 is likely enough
    assert covered >= 32


def test_same_seed_same_interval(drawn_layer: Make) -> None:
    layers = moments_of(drawn_layer(np.random.default_rng(6), m=15))
    assert measure_shift(layers, seed=1) == measure_shift(layers, seed=1)
    assert measure_shift(layers, seed=1).interval != measure_shift(layers, seed=2).interval


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        ([7.0, 3.8, 3.2, 0.5, 0.4, 0.4, 0.6, 1.0, 1.5], "input"),
        ([2.3, 1.6, 1.0, 0.9, 0.9, 1.0, 3.3, 6.3, 7.5], "feature"),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "global"),
        ([0.9, 0.9, 0.9, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0], "feature"),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 1.1], "global"),
    ],
)
def test_kind_says_where_the_shift_sits(profile: list[float], kind: str) -> None:
    assert kind_of(*thirds(np.array(profile))) == kind
    moments = moments_of(*[identical(float(np.sqrt(s)), 1.0) for s in profile])
    found = measure_shift(moments)
    assert found.kind == kind
    assert (found.early, found.late) == pytest.approx((sum(profile[:3]) / 3, sum(profile[6:]) / 3))


def test_thirds_of_few_layers() -> None:
    assert thirds(np.array([4.0])) == (4.0, 4.0, 4.0)
    assert thirds(np.array([1.0, 3.0])) == (1.0, 2.0, 3.0)
    assert thirds(np.array([1.0, 2.0, 4.0, 5.0])) == (1.0, 3.0, 5.0)


def test_label_and_relative_follow_the_card() -> None:
    card = ReferenceCard(
        network="x", weights_id="0", distance=0.1, similar_below=2.0, different_from=4.0
    )
    labels = [label_of(d, (0.2, 0.4)) for d in (-0.01, 0.19, 0.21, 0.39, 0.41)]
    assert labels == ["similar", "similar", "moderate", "moderate", "different"]
    found = measure_shift(moments_of(identical(0.5, 1.0)), card=card)
    assert found.relative == pytest.approx(2.5)
    assert found.warnings == []
    bare = measure_shift(moments_of(identical(0.5, 1.0)))
    assert bare.relative is None
    assert "reference card" in bare.warnings[0]


def test_a_network_without_norm_layers_is_unknown_and_says_so() -> None:
    found = measure_shift(moments_of())
    assert (found.measure, found.label, found.kind) == ("none", "unknown", "unknown")
    assert "not known" in found.warnings[0]
    # nothing in it may break strict JSON
    assert "NaN" not in found.model_dump_json()


def test_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="two images"):
        measure_shift(moments_of(identical(0.0, 1.0, m=1)))


def test_a_first_layer_that_stands_out_warns_about_preprocessing() -> None:
    card = ReferenceCard(
        network="x", weights_id="0", distance=0.1, similar_below=2.0, different_from=4.0
    )
    wide = measure_shift(
        moments_of(identical(0.0, 3.0), *[identical(0.3, 1.0) for _ in range(8)]), card=card
    )
    assert "check the preprocessing" in wide.warnings[0]
    even = measure_shift(moments_of(*[identical(0.0, 3.0) for _ in range(9)]), card=card)
    assert even.warnings == []
