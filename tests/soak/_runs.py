"""Small real runs for the attacks, and what two of them must have in common to the last bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: the network: small enough for hundreds of runs
BACKBONE = "test_efficientnet"
_SIDE = 64
#: keys of plans, metrics and cards that tell about the machine and its clock, or about what the
#: store knew; a card's checksum covers where its images lie
_OF_THE_MACHINE = (
    *("seconds", "peak_memory_bytes", "pass", "images_computed"),
    *("engine", "engine_reason", "checksum"),
)
_SMALL = ["--batch-size", "16"]

#: what is run: options of ``frostline fit``, by name
RECIPES: dict[str, list[str]] = {
    "head": ["--strategy", "head"],
    "finetune": ["--strategy", "finetune", "--epochs", "2", *_SMALL],
    "cut": ["--strategy", "cut", "--cut", "blocks.3", "--epochs", "3", *_SMALL],
    "cut, 8-bit activations": [
        *("--strategy", "cut", "--cut", "blocks.3", "--epochs", "3", *_SMALL),
        *("--activation-dtype", "uint8"),
    ],
    "full": ["--strategy", "full", "--epochs", "2", *_SMALL],
    "race": ["--budget", "60s", "--epochs", "1", *_SMALL],
    "frozen pass": ["--effort", "fast"],
}


def write_images(
    folder: Path, *, classes: Iterable[int], per_class: int, noise: float = 0.0
) -> Path:
    """Write digits of scikit-learn as PNG files, 64 pixels wide, one folder a class.

    With ``noise``, its deviation as a share of black, frozen features leave something to gain, so
    options race.
    """
    from sklearn.datasets import load_digits

    data, dice = load_digits(), np.random.default_rng(0)
    for digit in classes:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        for number in np.flatnonzero(data.target == digit)[:per_class]:
            values = data.images[number] / 16.0 + noise * dice.normal(size=(8, 8))
            grey = Image.fromarray((np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8))
            grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target / f"{number}.png")
    return folder


def write_weights(path: Path) -> Path:
    """Write random weights with the statistics of digits at every norm layer."""
    import timm
    import torch
    from safetensors.torch import save_file
    from sklearn.datasets import load_digits

    torch.manual_seed(7)
    net = timm.create_model(BACKBONE, pretrained=False)
    digits = torch.from_numpy(load_digits().images[:64].astype(np.float32)) / 8 - 1
    images = torch.nn.functional.interpolate(digits[:, None].repeat(1, 3, 1, 1), size=_SIDE)
    net.train()
    with torch.no_grad():
        for _ in range(30):
            net(images)
    save_file(net.eval().state_dict(), path)
    return path


def fit(images: Path, run: Path, weights: Path, options: list[str]) -> list[str]:
    """Arguments of a fit."""
    network = ["--backbone", BACKBONE, "--weights", str(weights), "--input-size", str(_SIDE)]
    return ["fit", str(images), "-o", str(run), *network, *options]


def outcome(run: Path) -> dict[str, str]:
    """Everything that a run must share with its twin: fingerprints by file; none if unfinished."""
    if not (run / "metrics.json").exists():
        return {}
    names = (
        "plan.json",
        "metrics.json",
        "audit.json",
        "predictions.csv",
        "catalog.csv",
        *_model_files(run),
    )
    return {name: digest(run / name) for name in names}


def digest(path: Path) -> str:
    """Fingerprint of a file's bytes; of JSON without times, and without the place of the images."""
    content = path.read_bytes()
    if path.suffix == ".json":
        plain = timeless(json.loads(content))
        content = json.dumps({**plain, "source": ""}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def timeless(value: Any) -> Any:
    """Leave out what tells about the machine and its clock."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in _OF_THE_MACHINE}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of files that differ, or that only one run has."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _model_files(run: Path) -> list[str]:
    return sorted(f"model/{path.name}" for path in (run / "model").iterdir())
