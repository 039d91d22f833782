"""Temperatures recovered from synthetic logits; softmax at its limits; what gets imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax as reference_softmax
from sklearn.metrics import log_loss

from frostline.core.errors import InputError
from frostline.stats.calibration import TEMPERATURES, fit_temperature, softmax

Array = npt.NDArray[Any]


def _calibrated(n: int, n_classes: int, *, seed: int = 0) -> tuple[Array, Array]:
    """Logits whose softmax is the law that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.normal(size=(n, n_classes))
    labels = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0, 7.0])
def test_temperature_is_recovered(temperature: float) -> None:
    logits, labels = _calibrated(6000, 5)
    found = fit_temperature(logits * temperature + 3.0, labels)
    assert found == pytest.approx(temperature, rel=0.06)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    n_classes=st.integers(2, 6),
    scale=st.floats(0.001, 1000.0),
)
def test_never_worse_than_no_temperature(seed: int, n: int, n_classes: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(n, n_classes))
    labels = rng.integers(0, n_classes, n)
    found = fit_temperature(logits, labels)
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]

    def nll(temperature: float) -> float:
        scaled = logits / temperature
        highest = scaled.max(axis=1)
        normaliser = np.log(np.exp(scaled - highest[:, None]).sum(axis=1)) + highest
        return float(np.mean(normaliser - scaled[np.arange(n), labels]))

    assert nll(found) <= nll(1.0) * (1.0 + 1e-9) + 1e-12


def test_few_faultless_images_do_not_give_certainty() -> None:
    labels = np.arange(20) % 2
    logits = np.where(np.eye(2)[labels] > 0, 0.6, 0.4)
    confidence = softmax(logits, fit_temperature(logits, labels)).max(axis=1)
    np.testing.assert_allclose(confidence, 21 / 22, atol=1e-3)


def test_useless_outputs_become_flat() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4000, 4)) * 5, rng.integers(0, 4, 4000)
    calibrated = softmax(logits, fit_temperature(logits, labels))
    assert log_loss(labels, calibrated) == pytest.approx(np.log(4), abs=0.01)


def test_one_class_needs_no_temperature() -> None:
    assert fit_temperature(np.ones((3, 1)), np.zeros(3, dtype=int)) == 1.0


@pytest.mark.parametrize("temperature", [0.001, 1.0, 100.0])
def test_softmax_equals_scipy(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32) * 10
    expected = reference_softmax(logits.astype(np.float64) / temperature, axis=-1)
    np.testing.assert_allclose(softmax(logits, temperature), expected, atol=1e-12)


def test_softmax_is_safe_for_huge_logits() -> None:
    found = softmax([[1e300, -1e300, 0.0], [-1e5, -1e5, -2e5]], 0.1)
    np.testing.assert_allclose(found, [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_softmax_rejects(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        softmax([1.0, 2.0], temperature)


@pytest.mark.parametrize(
    "logits, labels, words",
    [
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "at least one image"),
        (np.zeros((2, 2)), np.array([0]), "shapes"),
        (np.zeros((1, 2)), np.array([2]), "0 to 1"),
        (np.zeros((1, 2)), np.array([0.5]), "whole numbers"),
        (np.full((1, 2), np.nan), np.array([0]), "finite"),
    ],
)
def test_wrong_input_is_named(logits: Array, labels: Array, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_temperature(logits, labels)


def test_importing_the_room_brings_numpy_only() -> None:
    code = (
        "import sys, frostline.stats, frostline.stats; "
        "print([m for m in ('scipy', 'torch', 'sklearn', 'pydantic') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
