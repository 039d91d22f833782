"""Does a comparison of two models cry wolf, and does it find what is there?

    python -m benchmarks.compare --solar-cells TABLE

Features of scikit-learn's digits (pixels), of digits in bursts of four noisy frames (a burst is a
group) and of solar cells (the default network, 64 principal components) are divided 500 times:
two fifths judge, the rest is halved, and each half fits a ridge head.

- *swapped*: each group's answers change sides at random, so that nothing differs. How often does
  the interval of a score exclude no difference, or is any class or slice said to differ?
- *misses*: groups are drawn anew from those that judge, with replacement. How often does the
  interval of a score miss the difference of the two heads on all that they were drawn from?
- *halves*: as *swapped*, but each head keeps its answers. No half is better on average, but the
  two heads do differ, by what each happened to learn from, and this finds some of that.
- *planted*: answers of the second head are made wrong for 30 % of the images of one quartile of
  brightness. How often is it found, and how often any slice that it has no image in?

Then 10,000 stored predictions of two runs are compared, in processor seconds. Writes
benchmarks/results/compare.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

import frostline
from benchmarks.accuracy_and_time import machine
from frostline.comparing.compare import compare_scores
from frostline.comparing.judged import Judged, some_of
from frostline.comparing.parts import compare_parts
from frostline.comparing.slices import slices_of
from frostline.core.comparison_record import PartComparison
from frostline.data.decoding.facts import ImageFacts
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.ridge import ridge_loo
from frostline.stats.score_contributions import Answered
from frostline.stats.target_matrix import OneHot
from frostline.targets.choose import target_of

RESULTS = Path(__file__).parent / "results" / "compare.json"
_WRONG = 0.3
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Set:
    """Features (n, d), classes, groups and brightness (n,) of a set of images."""

    features: Array
    truth: Array
    groups: Array
    brightness: Array

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return int(self.truth.max()) + 1


def main() -> None:
    """Divide every set many times, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--solar-cells", type=Path, help="Table of cells.")
    parser.add_argument("--resplits", type=int, default=500)
    options = parser.parse_args()
    sets = {"digits": digits(), "digits in bursts": digits(burst=4)}
    if options.solar_cells is not None:
        sets["solar cells"] = solar_cells(options.solar_cells)
    found: dict[str, Any] = {}
    for name, data in sets.items():
        found[name] = resplit(data, options.resplits)
        print(name, json.dumps(found[name]), flush=True)
    content = {
        "machine": machine(),
        "resplits": options.resplits,
        "level": 0.05,
        "wrong_in_planted": _WRONG,
        "sets": found,
        "processor_seconds_10000": speed(10_000),
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def digits(*, burst: int = 1) -> Set:
    """Return scikit-learn's digits by their pixels; ``burst`` noisy frames of each."""
    data = load_digits()
    rows = np.arange(len(data.target)) if burst == 1 else np.arange(600)
    each = np.repeat(rows, burst)
    pixels = data.data[each]
    if burst > 1:
        pixels = pixels + np.random.default_rng(0).normal(0.0, 1.5, pixels.shape)
    return Set(pixels, data.target[each], each, pixels.mean(axis=1) / 16.0)


def solar_cells(table: Path) -> Set:
    """Return solar cells by principal components of what the default network sees."""
    from PIL import Image

    from frostline.backbones.network import Network
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.core.settings import Settings
    from frostline.data.decoding.facts import facts_of_picture
    from frostline.data.sources.open_source import open_source

    catalog = open_source(table)
    frozen = run_frozen(Network.load("efficientnet_lite0"), catalog, Runtime.of(Settings()))
    taps = frozen.features.taps.astype(np.float64)
    taps = (taps - taps.mean(axis=0)) / (taps.std(axis=0) + 1e-6)
    values, vectors = np.linalg.eigh(taps @ taps.T)
    reduced = vectors[:, -64:] * np.sqrt(values[-64:])
    pictures = (Image.open(row.path).convert("RGB") for row in frozen.catalog.rows)
    bright = [facts_of_picture(picture).brightness for picture in pictures]
    n = len(reduced)
    return Set(reduced, frozen.catalog.labels, np.arange(n), np.array(bright))


def resplit(data: Set, times: int) -> dict[str, Any]:
    """Return how often something was said to differ."""
    counts = {way: dict.fromkeys((*_SCORES, "any part"), 0) for way in ("halves", "swapped")}
    misses = dict.fromkeys(_SCORES, 0)
    planted = {"found": 0, "elsewhere": 0}
    accuracies, gaps, tested = [], [], []
    for seed in range(times):
        rng = np.random.default_rng(seed)
        judged = halves(data, rng)
        facts = _facts(data, judged)
        for way, one in (("halves", judged), ("swapped", swapped(judged, rng))):
            scores, parts = _compared(one, facts)
            for name in _SCORES:
                counts[way][name] += scores[name]
            counts[way]["any part"] += any(part.verdict != "neither" for part in parts)
        for name, missed in misses_of(judged, rng).items():
            misses[name] += missed
        tested.append(len(parts))
        right = [(one.decided == judged.truth).mean() for one in (judged.a, judged.b)]
        accuracies.append(float(np.mean(right)))
        gaps.append(float(right[1] - right[0]))
        found, elsewhere = plant(swapped(judged, rng), facts, rng)
        planted["found"] += found
        planted["elsewhere"] += elsewhere
    return {
        "images_judged": len(judged),
        "groups_judged": len(np.unique(judged.groups)),
        "parts_tested": float(np.mean(tested)),
        "accuracy": float(np.mean(accuracies)),
        "gap_spread": float(np.std(gaps)),
        **{way: {k: v / times for k, v in found.items()} for way, found in counts.items()},
        "misses": {name: count / times for name, count in misses.items()},
        "planted": {name: count / times for name, count in planted.items()},
    }


def halves(data: Set, rng: np.random.Generator) -> Judged:
    """Fit two heads to two halves of what does not judge."""
    order = rng.permutation(np.unique(data.groups))
    n_judge, rest = 2 * len(order) // 5, 3 * len(order) // 10
    judge, first, second = order[:n_judge], order[n_judge : n_judge + rest], order[-rest:]
    rows = np.flatnonzero(np.isin(data.groups, judge))
    said = []
    for teach in (first, second):
        own = np.flatnonzero(np.isin(data.groups, teach))
        truth = data.truth[own]
        fit = ridge_loo(data.features[own], OneHot(truth, data.n_outputs), groups=data.groups[own])
        outputs = data.features[rows] @ fit.weight + fit.bias
        p = softmax(outputs, fit_temperature(fit.loo, truth))
        said.append(Answered(p.argmax(axis=1), p))
    names = tuple(f"{row}.png" for row in rows)
    sites = rng.choice(["north", "south", "west"], size=len(rows), p=[0.5, 0.3, 0.2])
    return Judged(
        target_of("single", data.n_outputs),
        tuple(map(str, range(data.n_outputs))),
        names,
        names,
        (None,) * len(rows),
        data.truth[rows],
        np.unique(data.groups[rows], return_inverse=True)[1],
        said[0],
        said[1],
        (None,) * len(rows),
        (None,) * len(rows),
        columns={"site": dict(zip(names, map(str, sites), strict=True))},
    )


def swapped(judged: Judged, rng: np.random.Generator) -> Judged:
    """Let the answers about each group change sides at random: then nothing differs."""
    change = rng.random(int(judged.groups.max()) + 1) < 0.5
    rows = change[judged.groups]
    a, b = judged.a, judged.b
    sides = []
    for one, other in ((a, b), (b, a)):
        every: Array = np.stack([one.decided, other.decided])
        p: Array = np.stack([np.asarray(one.prediction), np.asarray(other.prediction)])
        mixed = rows.astype(np.int64), np.arange(len(rows))
        sides.append(Answered(every[mixed], p[mixed]))
    return replace(judged, a=sides[0], b=sides[1])


def misses_of(judged: Judged, rng: np.random.Generator) -> dict[str, bool]:
    """Return for every score whether the interval of a new draw misses the whole difference."""
    whole = {one.score: one.difference for one in compare_scores(judged)}
    n_groups = int(judged.groups.max()) + 1
    members = [np.flatnonzero(judged.groups == group) for group in range(n_groups)]
    drawn = [members[group] for group in rng.integers(0, n_groups, n_groups)]
    rows = np.concatenate(drawn)
    groups = np.repeat(np.arange(n_groups), [len(own) for own in drawn])
    new = replace(
        judged,
        truth=judged.truth[rows],
        groups=groups,
        a=some_of(judged.a, rows),
        b=some_of(judged.b, rows),
    )
    found = {}
    for one in compare_scores(new):
        low, high = one.interval
        assert low is not None
        assert high is not None
        found[one.score] = not low <= whole[one.score] <= high
    return found


def plant(
    judged: Judged, facts: list[ImageFacts | None], rng: np.random.Generator
) -> tuple[bool, bool]:
    """Spoil one quartile of brightness; return whether it is found, and anything apart from it."""
    bright = [one for one in slices_of(judged, facts).found if one.dimension == "brightness"]
    bad = bright[rng.integers(len(bright))]
    spoilt = bad.rows & (rng.random(len(judged)) < _WRONG)
    wrong = (judged.truth + rng.integers(1, len(judged.outputs), len(judged))) % len(judged.outputs)
    decided = np.where(spoilt, wrong, judged.b.decided)
    _, parts = _compared(replace(judged, b=Answered(decided, judged.b.prediction)), facts)
    differing = [part for part in parts if part.verdict != "neither"]
    named = {(part.dimension, part.value) for part in differing if part.verdict == "a"}
    others = [p for p in differing if p.dimension == "brightness" and p.value != bad.value]
    return (bad.dimension, bad.value) in named, bool(others)


def speed(n: int) -> float:
    """Return the processor seconds that a comparison of ``n`` stored predictions takes."""
    from tests.comparing.conftest import kept_run, probabilities

    truth = np.arange(n) % 10
    classes = tuple(map(str, range(10)))
    with tempfile.TemporaryDirectory() as folder:
        for name, right, seed in (("a", 0.9, 1), ("b", 0.88, 2)):
            p = probabilities(truth, right, seed, k=10)
            groups = [f"g{i // 3}" for i in range(n)]
            kept_run(Path(folder) / name, p, truth, classes=classes, groups=groups)
        started = time.process_time()
        found = frostline.compare(Path(folder) / "a", Path(folder) / "b")
        found.write_html(Path(folder) / "c.html")
        return round(time.process_time() - started, 2)


def _compared(
    judged: Judged, facts: list[ImageFacts | None]
) -> tuple[dict[str, bool], tuple[PartComparison, ...]]:
    excludes = {}
    for one in compare_scores(judged):
        low, high = one.interval
        excludes[one.score] = low is not None and high is not None and not low <= 0.0 <= high
    return excludes, compare_parts(judged, slices_of(judged, facts).found).tested


def _facts(data: Set, judged: Judged) -> list[ImageFacts | None]:
    rows: Iterator[int] = (int(name.removesuffix(".png")) for name in judged.names)
    return [ImageFacts(1, 1, float(data.brightness[row])) for row in rows]


if __name__ == "__main__":
    main()
