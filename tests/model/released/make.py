"""Write a model folder of a few kilobytes in the format of the Frostline that is imported.

    python tests/model/released/make.py FOLDER

Run once for each format, by the Frostline that wrote it: format-1 by the last one before models
could tell what is unfamiliar to them, format-2 by the last one before cards had a checksum,
format-3 by the last one before reading rules had a version, format-4 by the first one after,
format-5 by the first one whose models may answer another class than the likeliest, format-6 by
the first one whose models tell which classes an image may be of, and when to abstain.
Predictions that were given then lie beside the model in predictions.json; tests ask for them
again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from frostline.backbones.heads.classifier import Maps, SingleClassifier
from frostline.core.actions import TapsHead
from frostline.core.preprocessing import Preprocessing
from frostline.exporting.save_model import save_model
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.card import ModelCard

#: the images that are asked about, and their heights and widths
IMAGES = Path(__file__).parent / "images"
SIDES = ((48, 48), (90, 130), (33, 200), (300, 40))


def write_images() -> list[Path]:
    """Write pictures by arithmetic alone; they are the same for all formats."""
    IMAGES.mkdir(exist_ok=True)
    paths = []
    for number, (height, width) in enumerate(SIDES):
        y, x = np.mgrid[0:height, 0:width]
        channels = [(x * (3 + number) + y * (7 - c) + 31 * c * number) % 256 for c in range(3)]
        paths.append(IMAGES / f"{number}.png")
        Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).save(paths[-1])
    return paths


class Network(SingleClassifier):
    """A network of a thousand weights."""

    tensor_prefix = "body."

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 12, 3, stride=2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(12, 3)

    @property
    def kept_layers(self) -> nn.Module:
        return self.body

    def pool(self, maps: Maps) -> torch.Tensor:
        return maps[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, 3)."""
        return self.read(self.feature_maps(x))


def network() -> Network:
    """Return a network whose statistics are not trivial."""
    torch.manual_seed(3)
    net = Network().train()
    with torch.no_grad():
        net(torch.randn(16, 3, 32, 32) * 2)
        net.head.weight.mul_(12)
    return net.eval()


def make(folder: Path) -> None:
    """Write the model, and what it says of the images."""
    net, preprocessing = network(), Preprocessing(size=32)
    card: dict[str, Any] = {
        "frostline": "0.1.0",
        "classes": ("sound", "cracked", "größer"),
        "preprocessing": preprocessing,
        "backbone": "custom",
        "weights_licence": "Apache-2.0",
        "action": TapsHead(taps=["5"]),
        "temperature": 1.3,
        "n_train": 16,
    }
    more: dict[str, Any] = {}
    if "familiar" in ModelCard.model_fields:
        card["familiar"], more["ood_scorer"] = _familiar(net)
    if "rule" in ModelCard.model_fields:
        card["metric"], card["rule"] = "balanced_accuracy", {"factors": (1.0, 0.5, 0.125)}
    if "sets" in ModelCard.model_fields:
        card |= _operating()
    save_model(folder, net, ModelCard(**card), **more)
    paths = write_images()
    results = Model.load(folder, threads=1).predict_each(paths)
    said = {
        path.name: {
            "probabilities": result.probabilities.tolist(),
            "label": result.label,
            "unfamiliarity": getattr(result, "unfamiliarity", None),
            **({} if "sets" not in card else {"set_95": result.set_95, "abstain": result.abstain}),
        }
        for path, result in zip(paths, results, strict=True)
        if isinstance(result, Prediction)
    }
    (folder / "predictions.json").write_text(json.dumps(said, indent=1) + "\n")


def _operating() -> dict[str, Any]:
    """Return sets and a bound that leave some of the images open."""
    from frostline.stats.abstention import fit_abstention
    from frostline.stats.conformal import fit_sets

    random = np.random.default_rng(0)
    told = random.dirichlet((1.0, 1.0, 1.0), size=200)
    truth = np.array([random.choice(3, p=row) for row in told])
    groups = np.arange(200)
    return {
        "sets": fit_sets(told, truth, groups, scoring="cross"),
        "abstention": fit_abstention(told, truth, groups, told.argmax(axis=1)),
        "at_most_wrong": 0.2,
        "shares": (0.5, 0.25, 0.25),
    }


def _familiar(net: Network) -> tuple[Any, Any]:
    from frostline.model_format.card import FamiliarImages
    from frostline.stats.ood import fit_ood_scorer

    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        features = net.body(torch.randn(20, 3, 32, 32, generator=generator) * 2).numpy()
    found = fit_ood_scorer(features[:14])
    distances = found.distances(features[14:])
    found = found.normalised_by(distances)
    reaching = found.with_threshold(float(found.score_of(distances).max()))
    return FamiliarImages(n_fitted=14, n_threshold=6), reaching


if __name__ == "__main__":
    make(Path(sys.argv[1]))
