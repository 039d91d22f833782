"""A training on a tiny network."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

Options = dict[str, Any]


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
