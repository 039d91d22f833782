"""How often a network without stored statistics is run for its shift: pictures once, ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch

from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen
from frostline.compute.frozen_runner import FrozenRunner
from frostline.core.preprocessing import Preprocessing
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog
from frostline.data.problem import Problem
from frostline.evidence.collect import collect_evidence

pytestmark = pytest.mark.slow


def vit() -> Network:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, embed_dim=24).eval()
    return Network.load(module, preprocessing=Preprocessing(size=64))


def test_pictures_pass_once_whatever_is_fitted(
    run: Callable[..., Frozen], pictures: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    asked: list[Any] = []
    original = FrozenRunner.moments_of

    def counted(self: FrozenRunner, images: Any, runtime: Runtime) -> Any:
        shown.append(len(images))
        return original(self, images, runtime)

    def adapted(*args: Any) -> Any:
        asked.append(args)
        raise AssertionError("a second pass over the images")

    monkeypatch.setattr(FrozenRunner, "moments_of", counted)
    monkeypatch.setattr(FrozenRunner, "adapted", adapted)
    problem = Problem.of(pictures, seed=0)
    rows = np.arange(len(pictures))
    for fold in range(3):
        # what is loaded anew knows nothing of the fold before: only the cache does
        frozen = run(pictures, network=vit())
        part = rows[rows % 3 != fold]
        found = collect_evidence(problem, frozen, part, Runtime(), learned_from="photos")
        assert found.summary.shift.measure == "reference pictures"
        assert found.summary.shift.n_images == len(part)
    assert shown == [64]
    assert not asked
