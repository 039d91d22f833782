"""Same seed, same bytes: across workers, threads, stores, processes and the order of files."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from tests.soak import record
from tests.soak._client import Job, Server
from tests.soak._runs import RECIPES, differences, fit, outcome, write_images, write_weights

ORDER = 8
TITLE = "Determinism"
_RECIPES = ("head", "cut", "race", "full")

#: what is changed: options of the fit, environment, patches, and how images and store are found
CHANGES: dict[str, dict[str, Any]] = {
    "again": {},
    "no decode workers": {"options": ["--workers", "0"]},
    "3 decode workers": {"options": ["--workers", "3"]},
    "another order of files on disk": {"images": "shuffled"},
    "another hash seed": {"env": {"PYTHONHASHSEED": "77"}, "fresh": True},
    "a fresh process": {"fresh": True},
    "a second run in one process": {"twice": True},
    "a store that holds everything": {"store": "warm"},
    "a store that holds half of the images": {"store": "half"},
    "a store that 2 threads filled": {"store": "threads"},
    "2 compute threads": {"options": ["--threads", "2"]},
    "OMP_NUM_THREADS=2, 1 compute thread": {"env": {"OMP_NUM_THREADS": "2"}, "fresh": True},
}


def run(work: Path, until: float) -> None:
    """Run every recipe under every change and compare with the plain run."""
    found = record.read("determinism")
    images = write_images(work / "images", classes=(3, 8, 9), per_class=20, noise=0.4)
    half = write_images(work / "half", classes=(3, 8), per_class=20, noise=0.4)
    weights = write_weights(work / "weights.safetensors")
    with Server() as server:
        for recipe in _RECIPES:
            rows = found.setdefault("recipes", {}).setdefault(recipe, {})
            lab = _Lab(work / "lab", server, weights, recipe, images, half)
            for name, change in CHANGES.items():
                if name in rows or time.monotonic() > until:
                    continue
                rows[name] = lab.compare(change)
                record.write("determinism", found)
            lab.close()


def section(found: dict[str, Any]) -> str:
    """The page's text."""
    recipes = found.get("recipes", {})
    lines = [
        "Files of the run folder (weights, ONNX, predictions, plan and metrics without times) that"
        " differ from those of a plain run with one thread and an empty store; – means not one"
        " byte.\n",
        "| change | " + " | ".join(recipes) + " |",
        "|---|" + "---|" * len(recipes),
    ]
    for name in CHANGES:
        cells = [_cell(rows.get(name)) for rows in recipes.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(different: list[str] | None) -> str:
    if different is None:
        return "not run"
    return ", ".join(name.rpartition("/")[2] for name in different) or "–"


class _Lab:
    """One recipe, its plain run, and runs that differ from it in one thing."""

    def __init__(
        self, place: Path, server: Server, weights: Path, recipe: str, images: Path, half: Path
    ) -> None:
        self._place, self._server, self._weights = place, server, weights
        self._recipe, self._images, self._half = recipe, images, half
        self._number = 0
        self._plain: tuple[dict[str, str], Path] | None = None

    def compare(self, change: dict[str, Any]) -> list[str]:
        """Names of the files that the change changes."""
        plain, cache = self._reference()
        new = self._place / f"store {self._number}"
        images = self._images
        if change.get("store") == "warm":
            shutil.copytree(cache, new)
        elif change.get("store") == "half":
            self._fit(self._half, new, {})
        elif change.get("store") == "threads":
            self._fit(images, new, {"options": ["--threads", "2"]})
        if change.get("images") == "shuffled":
            images = _shuffled(images, self._place / "shuffled" / "images")
        if change.get("twice"):
            change = {**change, "patches": {"runs_before": self._words(images, self._place / "x")}}
        return differences(plain, outcome(self._fit(images, new, change)))

    def close(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _reference(self) -> tuple[dict[str, str], Path]:
        if self._plain is None:
            cache = self._place / "plain store"
            self._plain = outcome(self._fit(self._images, cache, {})), cache
        return self._plain

    def _words(self, images: Path, run: Path) -> list[str]:
        return fit(images, run, self._weights, ["--threads", "1", *RECIPES[self._recipe]])

    def _fit(self, images: Path, cache: Path, change: dict[str, Any]) -> Path:
        self._number += 1
        run = self._place / f"run {self._number}"
        # what is asked for last counts
        words = [*self._words(images, run), *change.get("options", [])]
        job = Job(
            words,
            cache,
            self._place / "said.txt",
            env=change.get("env", {}),
            patches=change.get("patches", {}),
        )
        ended = self._server.fresh(job) if change.get("fresh") else self._server.one(job)
        if ended.code:
            raise RuntimeError(
                f"{self._recipe} with {change} ended with {ended.code}: {ended.said}"
            )
        return run


def _shuffled(images: Path, target: Path) -> Path:
    """Copy images so that folders and files come into being in a random order."""
    if target.exists():
        shutil.rmtree(target)
    files = sorted(images.rglob("*.png"))
    random.Random(5).shuffle(files)
    for file in files:
        place = target / file.relative_to(images)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
        os.utime(place, (1e9, 1e9))
    return target
