"""A real network with a head that was fitted to nothing, saved once for all tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.classifiers import TapsClassifier
from frostline.backbones.network import Network
from frostline.core.actions import TapsHead
from frostline.core.preprocessing import Preprocessing
from frostline.exporting.save_model import save_model
from frostline.model_format.card import ModelCard

CLASSES = ("zebra", "apple", "Äpfel & Birnen", "moth")


@dataclass(frozen=True)
class Saved:
    """A saved model beside the module it was made from."""

    run: Path
    module: Classifier
    card: ModelCard

    def torch_probabilities(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float64]:
        """The reference: Pillow preprocessing, PyTorch, softmax, one image at a time."""
        rows = []
        for image in images:
            pixels = self.card.preprocessing.apply(image)[None]
            x = torch.from_numpy(self.card.preprocessing.normalise(pixels))
            with torch.inference_mode():
                logits = self.module(x).numpy().astype(np.float64)[0] / self.card.temperature
            powers = np.exp(logits - logits.max())
            rows.append(powers / powers.sum())
        return np.array(rows)


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    """Two photographs of 640 x 427 pixels, and pieces of them in many sizes."""
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    boxes = [(0, 0, 300, 300), (40, 60, 140, 97), (0, 100, 640, 120), (30, 0, 43, 400)]
    pieces = [whole[1].crop(box) for box in boxes]
    return [*whole, *pieces, whole[0].resize((1600, 1068)), whole[1].crop((0, 0, 256, 400))]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory, photos: list[Image.Image]) -> Saved:
    """EfficientNet-Lite0 with its real weights and a head on two taps that tells photos apart."""
    torch.manual_seed(0)
    network = Network.load("efficientnet_lite0")
    taps = [network.taps[-2], network.taps[-1]]
    module = TapsClassifier(network, taps, n_outputs=len(CLASSES)).eval()
    prepared = np.stack([network.preprocessing.apply(photo) for photo in photos])
    with torch.no_grad():
        features = module.body(torch.from_numpy(network.preprocessing.normalise(prepared)))
        # rows of the head are centred features, so logits differ by image as in a fitted head
        centred = features - features.mean(dim=0)
        rows = centred[: len(CLASSES)]
        module.head.weight.copy_(8.0 * rows / rows.square().sum(dim=1, keepdim=True))
        module.head.bias.copy_(-(module.head.weight @ features.mean(dim=0)))
    card = ModelCard(
        frostline="0.1.0",
        classes=CLASSES,
        preprocessing=network.preprocessing,
        backbone=network.name,
        weights_licence=network.licence,
        taps=tuple(taps),
        action=TapsHead(taps=taps),
        temperature=1.7,
        n_train=8,
        test={"accuracy": 0.5},
        source="photos",
    )
    run = tmp_path_factory.mktemp("run")
    card = save_model(run / "model", module, card, images=prepared[:2])
    return Saved(run, module, card)


@pytest.fixture
def small_preprocessing() -> Preprocessing:
    return Preprocessing(size=64, crop_pct=0.9)


@pytest.fixture
def small_net() -> nn.Sequential:
    """A small convolutional network with norm layers whose statistics are not trivial."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    head = net[-1]
    assert isinstance(head, nn.Linear)
    net.train()
    with torch.no_grad():
        net(torch.randn(16, 3, 64, 64) * 3 + 1)
        head.weight.mul_(20)
    return net.eval()
