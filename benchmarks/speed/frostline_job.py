"""Single epochs of our own training: all layers, and upper parts with and without the store."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.speed.rows import Job, job, report
from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.actions import FullTraining, Recipe, SuffixTraining
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.training import sources
from frostline.training.train import Given, train

#: where training starts, by what trains above it
CUTS = {"top three quarters": "blocks.2", "top half": "blocks.3", "top stage": "blocks.5"}
_REPEATS = 3
_RECIPE = Recipe(
    epochs=_REPEATS, batch_size=64, learning_rate=1e-3, head_learning_rate=1e-3, norm_mode="train"
)
_GENTLE = _RECIPE.model_copy(
    update={"norm_mode": "eval", "learning_rate": 1e-4, "head_learning_rate": 1e-4}
)


def main() -> None:
    """Time the epochs, and write the losses that both ways of the top half met."""
    given = job()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FROSTLINE_CACHE"] = folder
        runtime = Runtime.of(Settings(threads=given.threads))
        torch.set_num_threads(given.threads)
        store = run_frozen(
            Network.load("efficientnet_lite0"),
            open_source(given.table, group_by=None),
            runtime,
        )
        runs = {}
        for part, cut in CUTS.items():
            suffix = SuffixTraining(freeze_to=cut, recipe=_GENTLE)
            runs[f"{part}, stored"] = _history(store, given, runtime, suffix)
            with mock.patch.object(sources, "DISK_BUDGET", 0):
                runs[f"{part}, not stored"] = _history(store, given, runtime, suffix)
        runs["full"] = _history(store, given, runtime, FullTraining(recipe=_RECIPE))
    report(
        epochs={name: [h["seconds"] for h in run] for name, run in runs.items()},
        losses={name: [h["train_loss"] for h in run] for name, run in runs.items()},
    )


def _history(
    store: Frozen,
    given: Job,
    runtime: Runtime,
    action: SuffixTraining | FullTraining,
) -> list[dict[str, float]]:
    """Train on the same images as the others; one image judges, so that nothing else is timed."""
    train_rows, _, _ = given.split()
    wanted = {Path(path).name for path, _ in train_rows}
    rows = np.array([i for i, r in enumerate(store.catalog.rows) if r.path.name in wanted])
    other = np.array([i for i, r in enumerate(store.catalog.rows) if r.path.name not in wanted])
    trained = train(
        Problem.of(store.catalog, seed=given.seed),
        store,
        action,
        rows,
        runtime,
        Given(validation=other[:1]),
    )
    return [h for h in trained.history if h["train_loss"] is not None]


if __name__ == "__main__":
    main()
