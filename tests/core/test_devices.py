"""Devices are called as PyTorch calls them; what is not there is refused with what is."""

from __future__ import annotations

import pytest

from frostline.core.errors import SettingsError
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings

TWO = ("cuda:0", "cuda:1")


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ("auto", (), "cpu"),
        ("auto", TWO, "cuda"),
        ("auto", ("mps",), "cpu"),
        ("cpu", TWO, "cpu"),
        ("cuda", TWO, "cuda"),
        ("cuda:1", TWO, "cuda:1"),
        ("mps", ("mps",), "mps"),
    ],
)
def test_a_device_is_taken_as_it_is_called(
    asked: str, there: tuple[str, ...], expected: str
) -> None:
    assert Runtime.of(Settings(device=asked), accelerators=there).device == expected


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ("cuda", (), "no usable CUDA device was found. Use device='auto' or 'cpu'."),
        ("cuda:2", TWO, "Use device='auto' or 'cpu' or 'cuda:0' or 'cuda:1' or 'cuda'."),
        ("mps", TWO, "device='mps' was asked for"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    asked: str, there: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Runtime.of(Settings(device=asked), accelerators=there)
    assert expected in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "CPU", ""])
def test_other_names_are_none(device: str) -> None:
    with pytest.raises(SettingsError, match="'cuda:1' or the like"):
        Settings(device=device)
