"""Moments with known answers, and the bundled network's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from frostline.backbones.network import Network
from frostline.compute.moments import BatchNormMoments, LayerMoments

FloatArray = npt.NDArray[np.float64]


MakeLayer = Callable[..., LayerMoments]


@pytest.fixture
def drawn_layer() -> MakeLayer:
    """A layer whose images are drawn from a Gaussian; by default the source's own.

    Spatial positions of one image share an image-wide offset, so images differ in their means.
    """

    def make(
        rng: np.random.Generator,
        *,
        m: int,
        channels: int = 64,
        offset: float = 0.0,
        spread: float = 1.0,
        name: str = "bn",
        positions: int = 49,
    ) -> LayerMoments:
        mu = rng.normal(size=channels) * 3.0
        sd = rng.uniform(0.5, 2.0, size=channels)
        shared = rng.normal(size=(m, channels, 1)) * np.sqrt(0.3)
        local = rng.normal(size=(m, channels, positions)) * np.sqrt(0.7)
        x = mu[:, None] + sd[:, None] * (offset + spread * (shared + local))
        return LayerMoments(name, mu, sd**2, 1e-5, x.mean(axis=2), (x**2).mean(axis=2))

    return make


@pytest.fixture(scope="session")
def lite0() -> Network:
    return Network.load("efficientnet_lite0")


@pytest.fixture(scope="session")
def real_moments(lite0: Network) -> Callable[[npt.NDArray[np.float32]], BatchNormMoments]:
    """BatchNorm input moments of normalised images (n, 3, S, S) in the bundled network."""

    def measure(x: npt.NDArray[np.float32]) -> BatchNormMoments:
        found: dict[str, tuple[nn.BatchNorm2d, list[FloatArray]]] = {}
        handles = []
        for name, module in lite0.feature_module.named_modules():
            if isinstance(module, nn.BatchNorm2d):

                def keep(m: nn.Module, inputs: tuple[torch.Tensor, ...], name: str = name) -> None:
                    assert isinstance(m, nn.BatchNorm2d)
                    values = inputs[0].double().flatten(2).numpy()
                    both = np.stack([values.mean(2), (values**2).mean(2)])
                    found.setdefault(name, (m, []))[1].append(both)

                handles.append(module.register_forward_pre_hook(keep))
        with torch.inference_mode():
            for i in range(0, len(x), 10):
                lite0.feature_module(torch.from_numpy(x[i : i + 10]))
        for handle in handles:
            handle.remove()
        layers = []
        for name, (norm, parts) in found.items():
            assert norm.running_mean is not None
            assert norm.running_var is not None
            mean, square = np.concatenate(parts, axis=1)
            stored = norm.running_mean.double().numpy(), norm.running_var.double().numpy()
            layers.append(LayerMoments(name, *stored, norm.eps, mean, square))
        return BatchNormMoments(layers, np.arange(len(x)))

    return measure
