"""A byte a value: no value moves by more than half a step of its own channel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from frostline.compute.activation_buffer import ActivationBuffer
from frostline.compute.activation_cache import ViewPlan
from frostline.compute.eight_bit import channels_of, from_bytes, to_bytes
from frostline.compute.frozen import Frozen
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog

Run = Callable[..., Frozen]


@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 4, 3), (1, 2)), ((7, 5), (0,)), ((5,), ())], ids=["map", "tokens", "1"]
)
def test_no_value_moves_by_more_than_half_a_step(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    # channels of very different sizes, so that one range for all would be too coarse
    scale = np.logspace(-3, 3, 5).reshape((5, 1, 1) if len(shape) == 3 else (5,))
    values = np.stack([rng.normal(size=shape) * scale for _ in range(3)]).astype(np.float32)
    packed = [to_bytes(one) for one in values]
    rounded = np.stack([bytes_ for bytes_, _ in packed])
    ranges = np.stack([found for _, found in packed])
    assert rounded.dtype == np.uint8
    assert ranges.shape == (3, 2, channels_of(shape))
    back = from_bytes(rounded, ranges)
    assert back.shape == values.shape
    over = tuple(axis + 1 for axis in axes)
    spread = (
        values.max(axis=over, keepdims=True) - values.min(axis=over, keepdims=True)
        if over
        else np.zeros_like(values)
    )
    assert (np.abs(back - values) <= spread / 255 / 2 * 1.001 + 1e-6 * np.abs(values)).all()


def test_a_channel_without_spread_keeps_its_value() -> None:
    values = np.full((2, 3, 3), 0.7, dtype=np.float32)
    rounded, ranges = to_bytes(values)
    np.testing.assert_allclose(from_bytes(rounded[None], ranges[None])[0], values, rtol=1e-6)


def test_they_take_half_the_room() -> None:
    half = ActivationBuffer(4, 2, (6, 3, 3))
    eight = ActivationBuffer(4, 2, (6, 3, 3), eight_bit=True)
    assert 2 * eight.bytes_per_view == half.bytes_per_view


def test_a_store_gives_nearly_the_same_activations(run: Run, pictures: Catalog) -> None:
    store = run(pictures, workers=0)
    eight = run(pictures, workers=0)
    rows = np.array([4, 1, 7])
    cut, plan = store.network.cuts[2].name, ViewPlan("light")
    expected = store.activations.get(cut, rows, Runtime(), views=2, plan=plan)
    runtime = Runtime(activation_dtype="uint8")
    found = eight.activations.get(cut, rows, runtime, views=2, plan=plan)
    values = expected.values.astype(np.float32)
    assert np.abs(found.values - values).max() < 0.02 * np.ptp(values)
    assert not np.array_equal(found.values, values)
    some = np.array([2, 0])
    np.testing.assert_array_equal(found.take(some, 1), found.values[some, 1])
