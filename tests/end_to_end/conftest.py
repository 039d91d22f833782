"""A training on a tiny network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

import frostline
from tests.end_to_end.twins import outcome

Options = dict[str, Any]


@dataclass(frozen=True)
class Undisturbed:
    """Images, and what a run on them must give."""

    images: Path
    outcome: dict[str, str]


@pytest.fixture(scope="session")
def undisturbed(
    tiny: Options, digits_into: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """A whole run with a store of its own."""
    folder = tmp_path_factory.mktemp("undisturbed")
    digits_into(folder / "images", per_class=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(folder / "cache"))
        frostline.fit(folder / "images", folder / "run", **tiny)
    return Undisturbed(folder / "images", outcome(folder / "run"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """A training above frozen layers, which is judged by cross-validation."""
    torch.manual_seed(7)
    weights = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), weights)
    return {
        "backbone": "test_efficientnet",
        "weights": weights,
        "input_size": "64",
        "strategy": "cut",
        "cut": "blocks.3",
        "epochs": 2,
        "batch_size": 16,
        "workers": 0,
        "threads": 1,
    }
