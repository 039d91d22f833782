"""Small real runs that attacks disturb, and what must be whole afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from frostline.compute.cache.array_file import SHARD_SUFFIX, is_whole
from tests.end_to_end import twins
from tests.soak import commands
from tests.soak.commands import Job

#: how often each attack is repeated, with other dice
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "5"))
#: the network: small enough for hundreds of runs
_BACKBONE, _SIDE = "test_efficientnet", 64
_SMALL = ["--batch-size", "16"]
_CUT = ["--strategy", "cut", "--cut", "blocks.3", "--epochs", "3", *_SMALL]

#: what is run: options of ``frostline fit``, by name
RECIPES: dict[str, list[str]] = {
    "head": ["--strategy", "head"],
    "finetune": ["--strategy", "finetune", "--epochs", "2", *_SMALL],
    "cut": _CUT,
    "cut, 8-bit activations": [*_CUT, "--activation-dtype", "uint8"],
    "full": ["--strategy", "full", "--epochs", "2", *_SMALL],
    "race": ["--budget", "60s", "--epochs", "1", *_SMALL],
    "frozen pass": ["--effort", "fast"],
}


@dataclass(frozen=True)
class Undisturbed:
    """A run from start to end: its folder with ``run`` and ``cache``, and what it came to."""

    place: Path
    seconds: float
    outcome: dict[str, str]

    @property
    def cache(self) -> Path:
        """What it stored."""
        return self.place / "cache"


@dataclass(frozen=True)
class Ground:
    """Where attacks take place: images, weights, and runs that nobody disturbed."""

    work: Path
    _whole: dict[str, Undisturbed] = field(default_factory=dict)

    def whole(self, recipe: str) -> Undisturbed:
        """Return the undisturbed run of a recipe, which runs when it is first asked for."""
        if recipe not in self._whole:
            place = self.work / "undisturbed" / recipe
            ended = commands.one(self.job(recipe, place / "run", place / "cache"))
            assert ended.code == 0, ended.said
            self._whole[recipe] = Undisturbed(place, ended.seconds, outcome(place / "run"))
        return self._whole[recipe]

    def give_choices(self, recipe: str, cache: Path) -> None:
        """Let an empty store know the engine that was fastest for the undisturbed run.

        From 1,000 images on engines are timed, once for a store: another has other last digits.
        """
        if (self.whole(recipe).cache / "choices").exists():
            shutil.copytree(self.whole(recipe).cache / "choices", cache / "choices")

    def job(self, recipe: str, run: Path, cache: Path, **changes: Any) -> Job:
        """One fit; the frozen pass is long enough to be hit only with many images."""
        images = self.work / ("many" if recipe == "frozen pass" else "images")
        said = run.with_name(f"{run.name}.txt")
        return Job(self.words(recipe, images, run), cache, said, **changes)

    def words(self, recipe: str, images: Path, run: Path) -> list[str]:
        """Arguments of a fit."""
        weights = str(self.work / "weights.safetensors")
        network = ["--backbone", _BACKBONE, "--weights", weights, "--input-size", str(_SIDE)]
        return ["fit", str(images), "-o", str(run), *network, *RECIPES[recipe]]

    def differences(self, recipe: str, run: Path) -> list[str]:
        """Files of a run that differ from those of the undisturbed one."""
        return differences(outcome(run), self.whole(recipe).outcome)


def prepare(work: Path) -> Ground:
    """Write images and weights."""
    write_images(work / "images", classes=(3, 8, 9), per_class=13, noise=0.4)
    write_images(work / "many", classes=range(10), per_class=106)
    _write_weights(work / "weights.safetensors")
    return Ground(work)


def write_images(
    folder: Path, *, classes: Iterable[int], per_class: int, noise: float = 0.0
) -> Path:
    """Write digits of scikit-learn as PNG files, 64 pixels wide, one folder a class.

    With ``noise``, its deviation as a share of black, frozen features leave something to gain, so
    options race.
    """
    data, dice = load_digits(), np.random.default_rng(0)
    for digit in classes:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        for number in np.flatnonzero(data.target == digit)[:per_class]:
            values = data.images[number] / 16.0 + noise * dice.normal(size=(8, 8))
            grey = Image.fromarray((np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8))
            grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target / f"{number}.png")
    return folder


def _write_weights(path: Path) -> None:
    """Write random weights with the statistics of digits at every norm layer."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(7)
    net = timm.create_model(_BACKBONE, pretrained=False)
    digits = torch.from_numpy(load_digits().images[:64].astype(np.float32)) / 8 - 1
    images = torch.nn.functional.interpolate(digits[:, None].repeat(1, 3, 1, 1), size=_SIDE)
    net.train()
    with torch.no_grad():
        for _ in range(30):
            net(images)
    save_file(net.eval().state_dict(), path)


def outcome(run: Path) -> dict[str, str]:
    """Everything that a run must share with its twin; nothing if it is unfinished."""
    return twins.outcome(run) if (run / "metrics.json").exists() else {}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of files that differ, or that only one run has."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def broken(run: Path, cache: Path, reference: dict[str, str]) -> list[str]:
    """Name the files under final names that are not what a whole run has there."""
    found = [
        p.name for p in (run / "report.html",) if p.exists() and "</html>" not in p.read_text()
    ]
    texts = [(path, path.read_text()) for path in run.glob("*.json")]
    log = run / "log.jsonl"
    texts += [(log, line) for line in (log.read_text().splitlines() if log.exists() else [])]
    found += [path.name for path, text in texts if not _is_json(text)]
    # all but these have the same bytes in every run of the same settings
    for name in {*reference} - {"plan.json", "metrics.json", "audit.json"}:
        if (run / name).exists() and twins.fingerprint(run / name) != reference[name]:
            found.append(name)
    if (run / "metrics.json").exists():
        found += [f"no {name}" for name in reference if not (run / name).exists()]
    for state in run.glob("checkpoints/**/state.json"):
        for entry in json.loads(state.read_text())["files"].values():
            path = state.parent / entry["name"]
            if not path.exists() or _digest(path) != entry["sha256"]:
                found.append(str(path.relative_to(run)))
    damaged = [path for path in cache.rglob(f"*{SHARD_SUFFIX}") if not is_whole(path)]
    return [*found, *(str(path.relative_to(cache)) for path in damaged)]


def half_written(*folders: Path) -> list[Path]:
    """Files that were left under temporary names."""
    return [
        path
        for folder in folders
        for path in folder.rglob(".*")
        if path.is_file() and (path.suffix == ".tmp" or path.name.startswith(".tmp"))
    ]


def content(place: Path) -> dict[str, str]:
    """Digests of all files under final names."""
    return {
        str(path.relative_to(place)): _digest(path)
        for path in sorted(place.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
