"""Which augmentation pays when training starts from stored activations.

    python -m benchmarks.decision pretrain --fonts F --work .study     # once, a minute
    python -m benchmarks.views --fonts F --work .study

Layers above a frozen prefix train on the seven sets of the glyph network (see
benchmarks/decision for F), 20 images a class and all, from the same images with different
views of them: one, some that are stored, a fresh one in every epoch, and stored ones with noise
or mixed in pairs. Accuracy on test images that nothing else saw, and processor seconds, go to
benchmarks/results/views.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

RESULTS = Path(__file__).parent / "results" / "views.json"
_FRESH = "a fresh view every epoch"

#: name, stored augmented views, changes of the recipe
VARIANTS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("no augmentation", 0, {"augment": "none"}),
    ("2 stored views", 1, {}),
    ("5 stored views (default)", 4, {}),
    ("10 stored views", 9, {}),
    (_FRESH, 0, {}),
    ("5 stored views, noise 0.1", 4, {"noise": 0.1}),
    ("5 stored views, noise 0.3", 4, {"noise": 0.3}),
    ("5 stored views, mixup 0.2", 4, {"mixup": 0.2}),
    ("5 stored views in 8 bits", 4, {}),
)
_EIGHT_BIT = "5 stored views in 8 bits"


def main() -> None:
    """Run what is missing, and sum up."""
    options = _options()
    os.environ["FROSTLINE_CACHE"] = str(options.work / "cache")
    from benchmarks.accuracy_and_time import machine
    from benchmarks.decision.cells import single_threaded

    single_threaded()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    rows: dict[str, dict[str, list[float]]] = found["rows"]
    for key, run in _cells(options):
        if key not in rows:
            rows[key] = run()
            found["machine"] = machine()
            found["summary"] = _summary(rows)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
            print(key, json.dumps(rows[key]), flush=True)
    print(json.dumps(_summary(rows), indent=1))


def _cells(
    options: argparse.Namespace,
) -> Iterator[tuple[str, Callable[[], dict[str, list[float]]]]]:
    from benchmarks.decision.cells import Cell
    from benchmarks.decision.sets import SETS, Places

    places = Places(fonts=options.fonts, stamps=Path(), clip_art=Path(), work=options.work)
    for seed in options.seeds:
        for target in SETS.values():
            for size in options.sizes if target.network == "glyphs" else ():
                cell = Cell(target.name, size, seed)
                yield cell.key, lambda c=cell: _run(c, places)  # type: ignore[misc]


def _run(cell: Any, places: Any) -> dict[str, list[float]]:
    """Accuracy and processor seconds of every variant on one cell."""
    from benchmarks.decision.cells import prepared, runtime, seeded, training_rows
    from benchmarks.decision.sets import SETS
    from frostline.core.actions import SuffixTraining
    from frostline.core.settings import ActivationDtype
    from frostline.fitting.decide import gather, make_context
    from frostline.fitting.train import judge_by
    from frostline.strategy.decide import every_option
    from frostline.training.train import train

    base, pool, test = prepared(SETS[cell.target], places)
    task = seeded(base, cell.seed)
    rows = training_rows(task, pool, cell)
    context = make_context(task, gather(task, rows, runtime()), runtime(), refits=1.0)
    action = next(
        p.action
        for p in every_option(context)
        if p.name.startswith("cut after") and isinstance(p.action, SuffixTraining)
    )
    found = {}
    for name, views, changes in VARIANTS:
        recipe = action.recipe.model_copy(update=changes)
        varied = action.model_copy(update={"recipe": recipe})
        with _views(name, views):
            stored: ActivationDtype = "uint8" if name == _EIGHT_BIT else "float16"
            # a store of its own, so that nothing is found that another variant has stored
            store = _fresh(task.frozen)
            began = time.process_time()
            how = replace(runtime(), activation_dtype=stored)
            trained = train(task.problem, store, varied, rows, how)
            seconds = time.process_time() - began
        right = judge_by(task.problem, store, trained, test, learned=rows).right
        found[name] = [round(float(right.mean()), 4), round(seconds, 2)]
    return found


def _fresh(store: Any) -> Any:
    from frostline.compute.activation_cache import ActivationCache

    images, digests = store.runner.images, store.catalog.digests
    return replace(store, activations=ActivationCache(store.network, images, digests))


@contextmanager
def _views(name: str, views: int) -> Iterator[None]:
    """Store so many augmented views, or none and draw a fresh one every epoch."""
    from frostline.training import sources

    real = sources.Sources.images

    def fresh(self: sources.Sources, prefix: Any = None, *, views: int = 0) -> Any:
        del views
        return real(self, prefix)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sources, "MOST_VIEWS", views))
        if name == _FRESH:
            stack.enter_context(mock.patch.object(sources, "DISK_BUDGET", 0))
            stack.enter_context(mock.patch.object(sources.Sources, "images", fresh))
        yield


def _summary(rows: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Mean accuracy, its mean paired difference from the default with error, and seconds."""
    summary = {}
    default = np.array([row["5 stored views (default)"][0] for row in rows.values()])
    for name, _, _ in VARIANTS:
        accuracy = np.array([row[name][0] for row in rows.values()])
        seconds = np.array([row[name][1] for row in rows.values()])
        lead = 100 * (accuracy - default)
        error = float(lead.std(ddof=1) / np.sqrt(len(lead))) if len(lead) > 1 else 0.0
        summary[name] = {
            "accuracy": round(float(accuracy.mean()), 4),
            "points_over_default": round(float(lead.mean()), 2),
            "error": round(error, 2),
            "cpu_seconds": round(float(seconds.mean()), 2),
        }
    return summary


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--sizes", nargs="+", default=["20", "all"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    return parser.parse_args()


if __name__ == "__main__":
    main()
