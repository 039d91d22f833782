"""Pretraining goes on where it stopped, and the asset is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from benchmarks.vit.network import GLYPHS, WEIGHTS, untrained
from tools import pretrain_vit
from tools.pretrain_vit import Pretraining


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs for letters, so that no font is needed, and few of them a step."""

    def blobs(glyphs: str, fonts: list[Path]) -> torch.Tensor:
        random = torch.Generator().manual_seed(len(fonts))
        shape = (len(fonts), len(glyphs), 96, 96)
        return torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)

    monkeypatch.setattr(pretrain_vit, "masks", blobs)
    monkeypatch.setattr(pretrain_vit, "BATCH", 3)
    monkeypatch.setattr(pretrain_vit, "_TESTS", 6)


def test_a_stopped_pretraining_gives_the_same_network(tmp_path: Path, small: None) -> None:
    fonts = [Path("a"), Path("b")]
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = Pretraining(fonts, tmp_path / "whole", 3)
    whole.run()
    whole.write(tmp_path / "whole.safetensors")
    first = Pretraining(fonts, tmp_path / "parts", 3)
    first.steps = 2
    first._step(0)
    first.done = 1
    first._keep()
    rest = Pretraining(fonts, tmp_path / "parts", 3)
    rest.run()
    rest.write(tmp_path / "parts.safetensors")
    found, expected = (load_file(tmp_path / f"{n}.safetensors") for n in ("parts", "whole"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with safe_open(tmp_path / "parts.safetensors", "pt") as file:
        assert json.loads(file.metadata()["about"])["steps"] == "3"


def test_the_asset_is_small_and_whole() -> None:
    assert WEIGHTS.stat().st_size < 3_000_000
    state = load_file(WEIGHTS)
    assert {name: t.shape for name, t in state.items()} == {
        name: t.shape for name, t in untrained().state_dict().items()
    }
    assert len(set(GLYPHS)) == len(GLYPHS) == state["head.weight"].shape[0]
    assert all(t.isfinite().all() for t in state.values())
