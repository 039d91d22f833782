"""An export is made and checked once for the same tensors; anything else is exported anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from frostline.compute.cache.locations import fits_folder
from frostline.exporting import save_model as save_module
from frostline.exporting.save_model import save_model
from frostline.model_format.model_folder import ONNX

if TYPE_CHECKING:
    from tests.model.conftest import Saved


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every check of an export that really ran."""
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    ran: list[Path] = []
    verify = save_module.verify_onnx  # type: ignore[attr-defined]

    def check(path: Path, *args: object, **more: object) -> float:
        ran.append(path)
        return verify(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(save_module, "verify_onnx", check)
    return ran


@pytest.fixture
def save(saved: Saved, tmp_path: Path) -> Callable[..., bytes]:
    prepared = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)

    def save(folder: str, origin: str = "a network", **changes: object) -> bytes:
        card = saved.card.model_copy(update=changes)
        card = save_model(tmp_path / folder, saved.module, card, images=prepared, origin=origin)
        written = (tmp_path / folder / ONNX).read_bytes()
        assert card.fingerprints.onnx
        return written

    return save


def test_the_same_model_is_exported_once(checks: list[Path], save: Callable[..., bytes]) -> None:
    first = save("one")
    assert save("two") == first
    assert len(checks) == 1


def test_anything_else_is_exported_anew(
    checks: list[Path], save: Callable[..., bytes], saved: Saved
) -> None:
    first = save("one")
    assert save("two", temperature=3.0) != first
    assert save("three", classes=("w", "x", "y", "z")) != first
    save("four", origin="another network")
    bias = saved.module.get_parameter("head.bias")
    before = bias.detach().clone()
    try:
        with torch.no_grad():
            bias[0] += 1.0
        assert save("five") != first
    finally:
        with torch.no_grad():
            bias.copy_(before)
    assert len(checks) == 5


def test_without_an_origin_nothing_is_kept(checks: list[Path], save: Callable[..., bytes]) -> None:
    assert save("one", origin="") == save("two", origin="")
    assert len(checks) == 2
    assert not fits_folder().exists()


def test_a_damaged_file_is_written_again(checks: list[Path], save: Callable[..., bytes]) -> None:
    first = save("one")
    (path,) = fits_folder().iterdir()
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert save("two") == first
    assert len(checks) == 2
