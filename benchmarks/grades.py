"""What an order of classes gains on solar cells (4 levels), and which answer asks what price.

    python -m benchmarks.grades --work .study          # ten minutes

Features of the default network are computed once and kept in ``--work``. Every way starts from the
heads on all taps, on each tap and on a kernel, as a fit does: once one column a level, once 0 or 1
for "above level k". What a way chooses (weights, corrections, the share of a mixture, limits of an
answer) rests on left-out outputs of the images that teach, with copies kept together. Judged are
all images by leave-one-out, what is chosen in ten folds; the images held out by the published
splits (``benchmarks/results/published``); and those of more splits drawn alike. Differences from
the likeliest level of the classifier are paired by image, their intervals of 95 % drawn by group.
Writes benchmarks/results/grades.json.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.grade_answers import BASE, Outputs, answers, beyond_doubt

RESULTS = Path(__file__).parent / "results" / "grades.json"
PUBLISHED = Path(__file__).parent / "results" / "published"
_TEST, _DRAWS = 0.25, 1000
_FOLDS = 10

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Cells:
    """Features (n, d) with the columns of each tap, levels, groups, digests and names (n,)."""

    features: Array
    blocks: list[slice]
    levels: Array
    groups: Array
    digests: list[str]
    names: list[str]


def main() -> None:
    """Compute what is missing, judge every way in three manners, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="Where features are kept.")
    parser.add_argument("--own", type=int, default=5, help="Splits that are drawn anew.")
    options = parser.parse_args()
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    from benchmarks.accuracy_and_time import machine

    cells = _cells(options.work)
    every, judge = _left_out(cells)
    found: dict[str, Any] = {
        "machine": machine(),
        "images": len(cells.levels),
        "levels": np.bincount(cells.levels).tolist(),
        "groups": len(np.unique(cells.groups)),
        "left out": _compared([(judge, every)], cells),
        "beyond doubt": beyond_doubt(every[BASE][0], cells.levels),
    }
    published = [
        _split(cells, test, options.work, f"published {k}") for k, test in _published(cells)
    ]
    found["published splits"] = _compared(published, cells)
    own = [_split(cells, test, options.work, f"own {k}") for k, test in _own(cells, options.own)]
    found["own splits"] = {"splits": options.own, **_compared(own, cells)}
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    # what benchmarks.grade_losses found
    found |= {key: before[key] for key in ("losses",) if key in before}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: found[k] for k in ("left out", "published splits", "own splits")}))


def _cells(work: Path) -> Cells:
    from frostline.backbones.network import Network
    from frostline.cli.demo import write_table
    from frostline.compute.frozen import run_frozen
    from frostline.core.runtime import Runtime
    from frostline.data.audit import audit
    from frostline.data.duplicates.copies import find_copies
    from frostline.data.sources.open_source import open_source

    catalog = open_source(write_table(work), group_by=None)
    store = run_frozen(Network.load("efficientnet_lite0"), catalog, Runtime(threads=1))
    features, known = store.features, store.catalog
    return Cells(
        np.asarray(features.taps, dtype=np.float32),
        list(features.slices.values()),
        known.labels,
        audit(known, find_copies(known.digests, features.thumbnails)).groups,
        list(known.digests),
        [Path(row.name).name for row in known.rows],
    )


def _outputs(cells: Cells, learn: Array, others: Array, kept: Path) -> tuple[Outputs, Outputs]:
    """Return left-out outputs of the images that teach, and what the fits say of others."""
    if kept.exists():
        with np.load(kept) as stored:
            each = [list(stored[key]) for key in ("a", "b", "c", "d")]
        return Outputs(each[0], each[1]), Outputs(each[2], each[3])
    from frostline.stats.kernel_ridge import kernel_ridge
    from frostline.stats.ridge import ridge_loo
    from frostline.stats.target_matrix import OneHot, TargetMatrix, Values

    X, y, groups = cells.features[learn], cells.levels[learn], cells.groups[learn]
    test, k = cells.features[others], int(cells.levels.max()) + 1
    above = (y[:, None] > np.arange(k - 1)).astype(np.float64)
    targets: tuple[TargetMatrix, ...] = (OneHot(y, k), Values(above))
    said: list[list[Array]] = []
    for target in targets:
        left_out, told = [], []
        for columns in (slice(0, X.shape[1]), *cells.blocks):
            own = cells.blocks if columns.stop - columns.start == X.shape[1] else [columns]
            parts = [slice(b.stop - b.start) for b in own] if len(own) == 1 else own
            fit = ridge_loo(X[:, columns], target, groups=groups, blocks=parts)
            left_out.append(fit.loo)
            told.append(fit.predict(test[:, columns]))
        near = kernel_ridge(X, target, blocks=cells.blocks, groups=groups, seed=0)
        left_out.append(near.loo)
        told.append(near.part.outputs(test) + near.bias)
        said += [left_out, told]
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, a=said[0], b=said[2], c=said[1], d=said[3])
    return Outputs(said[0], said[2]), Outputs(said[1], said[3])


Judged = tuple[Array, Mapping[str, tuple[Array, Array]]]


def _left_out(cells: Cells) -> tuple[dict[str, tuple[Array, Array]], Array]:
    """Return what every way says of all images: probabilities (n, k) and answers (n,)."""
    from frostline.data.splitting.stratified import stratified_folds

    rows = np.arange(len(cells.levels))
    outputs, _ = _outputs(cells, rows, rows[:1], Path(os.environ["FROSTLINE_CACHE"]) / "all.npz")
    folds = stratified_folds(cells.levels, cells.groups, cells.digests, n_folds=_FOLDS, seed=0)
    found: dict[str, tuple[Array, Array]] = {}
    for learn, judge in folds:
        each = answers(outputs[learn], cells.levels[learn], cells.groups[learn], outputs[judge])
        for way, (p, said) in each.items():
            if way not in found:
                found[way] = (np.zeros((len(rows), p.shape[1])), np.zeros(len(rows), dtype=int))
            found[way][0][judge], found[way][1][judge] = p, said
    return found, rows


def _split(cells: Cells, test: Array, work: Path, name: str) -> Judged:
    """Return what every way says of held-out images, by fits to the others."""
    learn = np.setdiff1d(np.arange(len(cells.levels)), test)
    seen, told = _outputs(cells, learn, test, work / "outputs" / f"{name}.npz")
    return test, answers(seen, cells.levels[learn], cells.groups[learn], told)


def _published(cells: Cells) -> list[tuple[int, Array]]:
    found = []
    for number in range(3):
        text = (PUBLISHED / f"four-levels-{number}.txt").read_text(encoding="utf-8")
        held = set(text.split())
        found.append((number, np.array([i for i, name in enumerate(cells.names) if name in held])))
    return found


def _own(cells: Cells, times: int) -> list[tuple[int, Array]]:
    from frostline.data.splitting.stratified import stratified_holdout

    each = [
        stratified_holdout(cells.levels, cells.groups, cells.digests, fraction=_TEST, seed=seed)
        for seed in range(times)
    ]
    return [(number, np.sort(test)) for number, (_, test) in enumerate(each)]


def _compared(judged: Sequence[Judged], cells: Cells) -> dict[str, Any]:
    """Compare every way with the likeliest level of the classifier, over all that was judged."""
    rows = np.concatenate([test for test, _ in judged])
    truth, groups = cells.levels[rows], cells.groups[rows]
    codes = np.unique(groups, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    drawn = [
        np.bincount(rng.integers(codes.max() + 1, size=codes.max() + 1), minlength=codes.max() + 1)
        for _ in range(_DRAWS)
    ]
    weights = [counts[codes] for counts in drawn]
    together = {
        way: [np.concatenate([said[way][part] for _, said in judged]) for part in (0, 1)]
        for way in judged[0][1]
    }
    base = together[BASE]
    return {
        way: _scores(p, said, truth, weights, (base[0], base[1]))
        for way, (p, said) in together.items()
    }


def _scores(
    p: Array, said: Array, truth: Array, weights: Sequence[Array], base: tuple[Array, Array]
) -> dict[str, Any]:
    """Return scores, and what they gain over the base with intervals of 95 %."""
    k = p.shape[1]
    reached = truth[:, None] <= np.arange(k - 1)
    own = ((np.cumsum(p, axis=1)[:, :-1] - reached) ** 2).mean(axis=1)
    before = ((np.cumsum(base[0], axis=1)[:, :-1] - reached) ** 2).mean(axis=1)
    gains = {
        "accuracy": 100.0 * ((said == truth) * 1.0 - (base[1] == truth)),
        "mae": 1.0 * np.abs(base[1] - truth) - np.abs(said - truth),
        "rps": before - own,
    }
    found: dict[str, Any] = {
        "accuracy": float((said == truth).mean()),
        "mae": float(np.abs(said - truth).mean()),
        "qwk": _kappa(truth, said, k, None),
        "rps": float(own.mean()),
        "log loss": float(-np.log(np.maximum(p[np.arange(len(p)), truth], 1e-9)).mean()),
        "within one": float((np.abs(said - truth) <= 1).mean()),
    }
    for name, each in gains.items():
        means = [float(np.average(each, weights=w)) for w in weights]
        found[f"{name} gained"] = [float(each.mean()), *np.quantile(means, [0.025, 0.975]).tolist()]
    differences = [_kappa(truth, said, k, w) - _kappa(truth, base[1], k, w) for w in weights]
    found["qwk gained"] = [
        found["qwk"] - _kappa(truth, base[1], k, None),
        *np.quantile(differences, [0.025, 0.975]).tolist(),
    ]
    return {
        name: [round(x, 5) for x in value] if isinstance(value, list) else round(value, 5)
        for name, value in found.items()
    }


def _kappa(truth: Array, said: Array, k: int, weights: Array | None) -> float:
    """Return kappa with quadratic weights, of images that weigh differently."""
    table = np.bincount(truth * k + said, weights=weights, minlength=k * k).reshape(k, k)
    apart = np.square(np.subtract.outer(np.arange(k), np.arange(k)))
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(1.0 - (apart * table).sum() / (apart * chance).sum())


if __name__ == "__main__":
    main()
