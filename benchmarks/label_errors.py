"""Does the search for label errors find planted ones, and how often is it wrong?

    python -m benchmarks.label_errors

Moves labels of scikit-learn's 1,797 digits to another class at random and searches them by exact
leave-one-out probabilities, as a run does: once with the features of the bundled network and once
with bare pixels, a weaker judge. Writes benchmarks/results/label_errors.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

RESULTS = Path(__file__).parent / "results" / "label_errors.json"
RATES = (0.0, 0.01, 0.05)
SEEDS = (0, 1, 2)
#: tiles that a report shows
SHOWN = 24
_SIDE = 64


def main() -> None:
    """Run everything, print the table, write the file."""
    data = load_digits()
    truth = data.target.astype(np.int64)
    with TemporaryDirectory() as folder:
        features, blocks = network_features(Path(folder), data.images, truth)
    judges = {"network": (features, blocks), "pixels": (data.data.astype(np.float64), None)}
    rows = []
    for judge, (values, parts) in judges.items():
        for rate in RATES:
            runs = [search(values, parts, truth, rate=rate, seed=seed) for seed in SEEDS]
            rows.append({"judge": judge, "rate": rate, "runs": runs})
            print(line(judge, rate, runs), flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def network_features(
    folder: Path, images: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], list[slice]]:
    """Return the taps of the bundled network, in the order of the images."""
    from frostline.backbones.network import Network
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.core.settings import Settings
    from frostline.data.sources.open_source import open_source

    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        target = folder / str(label)
        target.mkdir(exist_ok=True)
        grey = Image.fromarray((image * 15.9).astype(np.uint8))
        grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target / f"{number:04d}.png")
    runtime = Runtime.of(Settings())
    store = run_frozen(Network.load("efficientnet_lite0"), open_source(folder), runtime)
    numbers = [int(row.path.stem) for row in store.catalog.rows]
    return store.features.taps[np.argsort(numbers)], list(store.features.slices.values())


def search(
    features: npt.NDArray[np.floating],
    blocks: list[slice] | None,
    truth: npt.NDArray[np.int64],
    *,
    rate: float,
    seed: int,
) -> dict[str, Any]:
    """Plant errors and search for them."""
    from frostline.stats.calibration import fit_temperature, softmax
    from frostline.stats.label_issues import find_label_issues
    from frostline.stats.ridge import ridge_loo
    from frostline.targets.single_label import SingleLabel

    random = np.random.default_rng([seed, 7])
    n, n_classes = len(truth), int(truth.max()) + 1
    moved = random.permutation(n)[: round(rate * n)]
    labels = truth.copy()
    labels[moved] = (truth[moved] + random.integers(1, n_classes, len(moved))) % n_classes
    wrong = labels != truth
    fit = ridge_loo(features, SingleLabel(n_classes).matrix(labels), blocks=blocks)
    doubts = find_label_issues(softmax(fit.loo, fit_temperature(fit.loo, labels)), labels)
    found = doubts.positions
    return {
        "seed": seed,
        "planted": int(wrong.sum()),
        "accuracy": float((fit.loo.argmax(axis=1) == truth).mean()),
        "in_doubt": len(found),
        "planted_in_doubt": int(wrong[found].sum()),
        "shown": min(SHOWN, len(found)),
        "planted_shown": int(wrong[found[:SHOWN]].sum()),
        "expected": round(doubts.expected, 1),
    }


def line(judge: str, rate: float, runs: list[dict[str, Any]]) -> str:
    """One row of the table of docs/explain.md: sums over the seeds."""
    total = {key: sum(run[key] for run in runs) for key in runs[0]}
    accuracy = total["accuracy"] / len(runs)
    return (
        f"| {judge} ({accuracy:.1%} right) | {rate:.0%} | {total['planted']} | "
        f"{total['planted_shown']} of {total['shown']} | "
        f"{total['planted_in_doubt']} of {total['in_doubt']} |"
    )


if __name__ == "__main__":
    main()
