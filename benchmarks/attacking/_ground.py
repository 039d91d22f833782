"""What all attacks on runs share: images, weights, a server, and runs that nobody disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacking._client import Job, Server
from attacking._runs import RECIPES, fit, outcome, write_images, write_weights


@dataclass(frozen=True)
class Ground:
    """Where attacks take place.

    ``seconds`` and ``reference`` are by recipe; ``caches`` hold what the undisturbed runs stored.
    """

    work: Path
    images: Path
    many: Path
    weights: Path
    server: Server
    seconds: dict[str, float]
    reference: dict[str, dict[str, str]]
    caches: dict[str, Path]

    def source(self, recipe: str) -> Path:
        """The frozen pass is long enough to be hit only with many images."""
        return self.many if recipe == "frozen pass" else self.images

    def job(self, recipe: str, run: Path, cache: Path, **changes: Any) -> Job:
        """One fit."""
        arguments = fit(self.source(recipe), run, self.weights, RECIPES[recipe])
        return Job(arguments, cache, self.work / "said.txt", **changes)


def prepare(work: Path, server: Server) -> Ground:
    """Write images and weights, and run every recipe undisturbed."""
    images = write_images(work / "images", classes=(3, 8, 9), per_class=13, noise=0.4)
    many = write_images(work / "many", classes=range(10), per_class=106)
    weights = write_weights(work / "weights.safetensors")
    ground = Ground(work, images, many, weights, server, {}, {}, {})
    for recipe in RECIPES:
        place = work / "undisturbed" / recipe
        ended = server.one(ground.job(recipe, place / "run", place / "cache"))
        if ended.code:
            raise RuntimeError(f"{recipe} does not run undisturbed: {ended.said}")
        ground.seconds[recipe] = ended.seconds
        ground.caches[recipe] = place / "cache"
        ground.reference[recipe] = outcome(place / "run")
    return ground
