"""What all attacks on runs share: images, weights, a server, and runs that nobody disturbed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak._client import Job, Server
from tests.soak._runs import RECIPES, fit, outcome, write_images, write_weights


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
    """Where attacks take place."""

    work: Path
    images: Path
    many: Path
    weights: Path
    server: Server
    _whole: dict[str, Undisturbed] = field(default_factory=dict)

    def whole(self, recipe: str) -> Undisturbed:
        """Return the undisturbed run of a recipe, which runs when it is first asked for."""
        if recipe not in self._whole:
            place = self.work / "undisturbed" / recipe
            ended = self.server.one(self.job(recipe, place / "run", place / "cache"))
            if ended.code:
                raise RuntimeError(f"{recipe} does not run undisturbed: {ended.said}")
            self._whole[recipe] = Undisturbed(place, ended.seconds, outcome(place / "run"))
        return self._whole[recipe]

    def give_choices(self, recipe: str, cache: Path) -> None:
        """Let an empty store know the engine that was fastest for the undisturbed run.

        From 500 images on engines are timed, once for a store: another has other last digits.
        """
        if (self.whole(recipe).cache / "choices").exists():
            shutil.copytree(self.whole(recipe).cache / "choices", cache / "choices")

    def raced(self) -> list[str]:
        """Name the options that were tried in the undisturbed run of the recipe called race."""
        plan = json.loads((self.whole("race").place / "run" / "plan.json").read_text())
        return [one["name"] for one in plan["candidates"] if one["score"] is not None]

    def seconds(self, recipe: str) -> float:
        """Processor seconds of the undisturbed run."""
        return self.whole(recipe).seconds

    def reference(self, recipe: str) -> dict[str, str]:
        """What every run of the recipe must come to."""
        return self.whole(recipe).outcome

    def source(self, recipe: str) -> Path:
        """The frozen pass is long enough to be hit only with many images."""
        return self.many if recipe == "frozen pass" else self.images

    def job(self, recipe: str, run: Path, cache: Path, **changes: Any) -> Job:
        """One fit."""
        arguments = fit(self.source(recipe), run, self.weights, RECIPES[recipe])
        return Job(arguments, cache, self.work / "said.txt", **changes)


def prepare(work: Path, server: Server) -> Ground:
    """Write images and weights."""
    images = write_images(work / "images", classes=(3, 8, 9), per_class=13, noise=0.4)
    many = write_images(work / "many", classes=range(10), per_class=106)
    weights = write_weights(work / "weights.safetensors")
    return Ground(work, images, many, weights, server)
