"""Do prediction sets hold the truth as often as they say, and abstentions keep their bound?

    python -m benchmarks.sets --solar-cells TABLE --fonts FOLDER --mapie PYTHON

On solar cells (4 levels), scikit-learn's digits and glyphs (16 letters in fonts, once with each
font as a group) features of the default network are computed once. Then 200 times the images are
divided anew into those that teach, those that calibrate where a part is held out for that, and
those that judge. A ridge head on all taps is fitted to the first, and sets and abstentions come
from its leave-one-out (cross-conformal) or from the second (split conformal). ``few`` teaches with
fewer images, so that the likeliest class alone is right less often. MAPIE, run by another Python
that has it, computes the size of the sets on the same scores, where every image is a case of its
own. Writes benchmarks/results/sets.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from benchmarks.accuracy_and_time import machine
from benchmarks.decision.glyphs import covering, draw, find_fonts, generator
from frostline.backbones.network import Network
from frostline.compute.frozen import run_frozen
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.sources.open_source import Source, open_source
from frostline.stats.abstention import fit_abstention
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.conformal import OWN_GROUPS, PredictionSets, TooFewCases, fit_sets
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import OneHot

RESULTS = Path(__file__).parent / "results" / "sets.json"
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1)
_LETTERS = "ABCDEFGHIJKLMNOP"
_TEACH, _CALIBRATE = 1000, 400
_FEW = {"solar cells": 400, "digits": 200, "glyphs": 200, "glyphs by font": 400}
_MAPIE = """
import sys
import numpy as np
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

class Known(ClassifierMixin, BaseEstimator):
    def __init__(self, rows): self.rows = rows
    def fit(self, X, y): return self
    def predict_proba(self, X): return self.rows[X[:, 0].astype(int)]
    def predict(self, X): return self.predict_proba(X).argmax(1)

sizes = []
for file in sys.argv[2:]:
    with np.load(file) as data:
        known = np.concatenate([data["calibrate"], data["judge"]])
        n = len(data["calibrate"])
        model = Known(known)
        model.classes_, model.is_fitted_ = np.arange(known.shape[1]), True
        sets = SplitConformalClassifier(model, confidence_level=0.95, prefit=True)
        sets.conformalize(np.arange(n)[:, None], data["truth"])
        found = sets.predict_set(np.arange(n, len(known))[:, None])[1][:, :, 0]
        sizes.append(found.sum(1))
np.save(sys.argv[1], np.stack(sizes))
"""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Stored:
    """Features (n, d) with the columns of each tap, classes (n,) and groups (n,) of a set."""

    features: Array
    blocks: list[slice]
    truth: Array
    groups: Array
    n_outputs: int


def main() -> None:
    """Compute what is missing, resplit every set, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--solar-cells", type=Path, required=True, help="Table of cells.")
    parser.add_argument("--fonts", type=Path, required=True, help="Folder of font files.")
    parser.add_argument("--mapie", type=Path, help="A Python that can import MAPIE.")
    parser.add_argument("--sets", nargs="+", help="Only these anew, beside those of before.")
    parser.add_argument("--resplits", type=int, default=200)
    options = parser.parse_args()
    sets: dict[str, Callable[[], Stored]] = {
        "solar cells": partial(stored, options.solar_cells),
        "digits": lambda: stored(_digits()),
        "glyphs": partial(_glyphs, options.fonts, by_font=False),
        "glyphs by font": partial(_glyphs, options.fonts, by_font=True),
    }
    before = json.loads(RESULTS.read_text())["sets"] if RESULTS.exists() else {}
    results: dict[str, Any] = {name: before[name] for name in sets if name in before}
    for name in options.sets or sets:
        data = sets[name]()
        results[name] = {
            "images": len(data.truth),
            "classes": data.n_outputs,
            "groups": len(np.unique(data.groups)),
        }
        for teach, n in (("usual", _TEACH), ("few", _FEW[name])):
            found = resplit(data, n, options.resplits, options.mapie)
            results[name][teach] = {"teach": n, **found}
            print(name, teach, json.dumps(found["cross"]), flush=True)
    content = {
        "machine": machine(),
        "resplits": options.resplits,
        "calibrate": _CALIBRATE,
        "own_groups": OWN_GROUPS,
        "sets": {name: results[name] for name in sets if name in results},
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def stored(source: Source, groups: Array | None = None) -> Stored:
    """Pass images through the default network once."""
    runtime = Runtime.of(Settings())
    catalog = open_source(source)
    frozen = run_frozen(Network.load("efficientnet_lite0"), catalog, runtime)
    catalog, features = frozen.catalog, frozen.features
    return Stored(
        features.taps,
        list(features.slices.values()),
        catalog.labels,
        np.arange(len(catalog)) if groups is None else groups,
        len(catalog.classes),
    )


def resplit(data: Stored, teach: int, times: int, mapie: Path | None) -> dict[str, Any]:
    """Divide the images many times; return means over all of them, with spread."""
    rows: dict[str, list[dict[str, Any]]] = {}
    pairs: list[dict[str, Array]] = []
    for seed in range(times):
        given = _divided(data.groups, (teach, _CALIBRATE), np.random.default_rng(seed))
        for name, found in _judged(data, given, pairs):
            rows.setdefault(name, []).append(found)
    found = {name: _means(each) for name, each in rows.items()}
    if mapie is not None and len(np.unique(data.groups)) == len(data.groups):
        sizes = _mapie_sizes(pairs, mapie)
        own = np.stack([pair["sizes"] for pair in pairs])
        found["mapie"] = {
            "sets": own.size,
            "same_size": int((own == sizes).sum()),
            "mean_size": float(sizes.mean()),
            "mean_size_here": float(own.mean()),
        }
    return found


def _judged(
    data: Stored, given: list[Array], pairs: list[dict[str, Array]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Fit once, calibrate in both ways, judge on the rest."""
    teach, calibrate, judge = given
    fit = ridge_loo(
        data.features[teach],
        OneHot(data.truth[teach], data.n_outputs),
        groups=data.groups[teach],
        blocks=data.blocks,
    )
    temperature = fit_temperature(fit.loo, data.truth[teach])
    ways = {
        "cross": (softmax(fit.loo, temperature), teach),
        "split": (softmax(fit.predict(data.features[calibrate]), temperature), calibrate),
    }
    told = softmax(fit.predict(data.features[judge]), temperature)
    answers, truth = told.argmax(axis=1), data.truth[judge]
    for way, (probabilities, rows) in ways.items():
        make = partial(
            fit_sets,
            probabilities,
            data.truth[rows],
            data.groups[rows],
            scoring="cross" if way == "cross" else "split",
        )
        sets, pooled = _known(make()), _known(make(own_groups=len(rows) + 1))
        found = {"accuracy": float((answers == truth).mean()), **_sets(sets, told, truth)}
        found["pooled"] = _sets(pooled, told, truth)
        abstention = fit_abstention(
            probabilities, data.truth[rows], data.groups[rows], probabilities.argmax(axis=1)
        )
        for bound in BOUNDS:
            least = abstention.thresholds(bound)
            answered = np.zeros(len(judge), dtype=bool)
            if isinstance(least, np.ndarray):
                answered = told[np.arange(len(judge)), answers] >= least[answers]
            wrong = float((answers != truth)[answered].mean()) if answered.any() else None
            found[f"at most {bound}"] = {"answered": float(answered.mean()), "wrong": wrong}
        if way == "split":
            pairs.append(
                {
                    "calibrate": probabilities,
                    "truth": data.truth[rows],
                    "judge": told,
                    "sizes": pooled.conforming(told).sum(axis=1),
                }
            )
        yield way, found


def _sets(sets: PredictionSets, told: Array, truth: Array) -> dict[str, Any]:
    """Coverage and size: as delivered, and with sets that may be empty."""
    every = np.arange(len(truth))
    bare = sets.conforming(told)
    full = sets.of(told, told.argmax(axis=1))
    covered = full[every, truth]
    by_class = [covered[truth == c].mean() for c in np.unique(truth)]
    return {
        "coverage": float(covered.mean()),
        "bare_coverage": float(bare[every, truth].mean()),
        "bare_empty": float((~bare.any(axis=1)).mean()),
        "size": float(full.sum(axis=1).mean()),
        "worst_class": float(min(by_class)),
    }


def _known(found: PredictionSets | TooFewCases) -> PredictionSets:
    if isinstance(found, TooFewCases):
        raise SystemExit(f"{found.found} groups, of {found.needed} needed")
    return found


def _divided(groups: Array, sizes: tuple[int, ...], random: np.random.Generator) -> list[Array]:
    """Divide rows by group: parts of about the given sizes, then the rest."""
    order = random.permutation(np.unique(groups))
    place = {group: i for i, group in enumerate(order.tolist())}
    rows = np.argsort([place[g] for g in groups.tolist()], kind="stable")
    places = np.cumsum(sizes).tolist()
    # no group is torn apart
    ends = [e + int(np.argmax(groups[rows[e:]] != groups[rows[e - 1]])) for e in places]
    return list(np.split(rows, ends))


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, and 5th and 95th percentile, of every number; None is left out and counted."""
    found: dict[str, Any] = {}
    for key, first in rows[0].items():
        if isinstance(first, dict):
            found[key] = _means([row[key] for row in rows])
            continue
        values = [row[key] for row in rows if row[key] is not None]
        if not values:
            found[key] = None
            continue
        low, high = np.quantile(values, [0.05, 0.95])
        found[key] = {
            "mean": round(statistics.fmean(values), 5),
            "p5": round(float(low), 5),
            "p95": round(float(high), 5),
            "n": len(values),
        }
    return found


def _mapie_sizes(pairs: list[dict[str, Array]], python: Path) -> Array:
    """Return the sizes of MAPIE's sets on the same probabilities, one row a resplit."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.npz" for i in range(len(pairs))]
        n = min(len(pair["judge"]) for pair in pairs)
        for file, pair in zip(files, pairs, strict=True):
            pair["judge"], pair["sizes"] = pair["judge"][:n], pair["sizes"][:n]
            np.savez(file, calibrate=pair["calibrate"], truth=pair["truth"], judge=pair["judge"])
        out = Path(folder) / "sizes.npy"
        subprocess.run([python, "-c", _MAPIE, out, *files], check=True)
        return np.asarray(np.load(out))


def _digits() -> Source:
    data = load_digits()
    images = [
        np.repeat(np.clip(16 * image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for image in data.images
    ]
    return images, [str(label) for label in data.target]


def _glyphs(fonts: Path, *, by_font: bool) -> Stored:
    chosen = covering(find_fonts(fonts))
    images, labels, groups = [], [], []
    for number, font in enumerate(chosen):
        for letter in _LETTERS:
            images.append(draw(letter, font, generator("sets", number, letter)))
            labels.append(letter)
            groups.append(number)
    return stored((images, labels), np.array(groups) if by_font else None)


if __name__ == "__main__":
    main()
