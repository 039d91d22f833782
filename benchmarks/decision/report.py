"""From recorded cells to figures: regret, cost, cases, transfer; a file, plots and a page."""

from __future__ import annotations

import json
import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import figures
from benchmarks.decision.anchor import compare
from benchmarks.decision.cells import FASTAI, REFERENCE, SIZES
from benchmarks.decision.fitting import fit, fit_gain, leave_families_out
from benchmarks.decision.plots import bars, panels
from benchmarks.decision.recorded import Choice, Recorded
from benchmarks.decision.replay import Rule, choose
from benchmarks.decision.rules import compare_rules, table
from frostline.strategy.cases import case_of
from frostline.strategy.thresholds import FITTED
from frostline.wording.cases import CASES

DOCS = Path(__file__).parents[2] / "docs"
#: too few test images for a fine difference: reported apart
APART = "photos"
#: an option of each family must exist in every cell, or the plain head stands in
_FIXED = (
    "head on the last layer",
    "head on the best layer",
    "head on all taps",
    "train the top stage",
    "new layers",
    "cut after",
    "train the norm layers",
    "train low-rank adapters",
    "fine-tune the whole network gently",
    "fine-tune the whole network firmly",
    "train the whole network",
)


def write_report(folder: Path) -> None:
    """Read every cell, fit and judge the thresholds, write figures and page."""
    cells = Recorded.read(folder)
    large = [c for c in cells if c.target != APART]
    chosen = leave_families_out(large, Rule())
    fitted = fit(large)
    found: dict[str, Any] = {
        "cells": len(large),
        "sets": sorted({c.target for c in large}),
        "machine": platform.platform(),
        "versions": {p: version(p) for p in ("torch", "numpy", "scikit-learn")},
        "fitted_on_all": asdict(fitted.thresholds),
        "gain_shares": dict(fitted.shares),
        "gain_per_doubling": fit_gain(large),
        "in_use": asdict(FITTED),
        "rules": compare_rules(large),
        "regret": _regrets(large, chosen),
        "regret_by_size": _by_size(chosen),
        "regret_by_set": _by_set(chosen),
        "cost": _cost(chosen),
        "cases": _cases(large, chosen),
        "transfer": _transfer(large),
        "apart": [_row(c, choose(c)) for c in cells if c.target == APART],
        "anchor": compare(folder),
        "fastai_check": [json.loads(p.read_text()) for p in sorted(folder.glob("fastai/*.json"))],
        "rows": [_row(c, choice) for c, choice in chosen],
    }
    honesty = folder.parent / "honesty.json"
    if honesty.exists():
        found["honesty"] = json.loads(honesty.read_text())["summary"]
    (folder.parent / "decision.json").write_text(json.dumps(found, indent=1) + "\n")
    _write_plots(large, chosen, found)
    figures.write("decision")
    print(json.dumps({k: found[k] for k in ("regret", "cost", "cases")}, indent=1))


def write_rules(folder: Path) -> None:
    """Print what every rule loses on the cells of a folder, and write it beside that folder."""
    cells = [c for c in Recorded.read(folder) if c.target != APART]
    found = compare_rules(cells)
    path = folder.parent / f"{folder.name}_rules.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


def _summary(regrets: Sequence[float]) -> dict[str, float]:
    values = np.array(regrets)
    return {
        "mean": round(float(values.mean()), 2),
        "p95": round(float(np.quantile(values, 0.95)), 2),
        "worst": round(float(values.max()), 2),
    }


def _regrets(
    cells: Sequence[Recorded], chosen: Sequence[tuple[Recorded, Choice]]
) -> dict[str, dict[str, float]]:
    ways: dict[str, Callable[[Recorded], str]] = {
        "four-case rule": Recorded.rule,
        "single best probe": Recorded.single_probe,
    }
    found = {"Frostline": _summary([c.regret(choice) for c, choice in chosen])}
    found["Frostline, if averages count among the best in hindsight"] = _summary(
        [c.regret(choice, [choice]) for c, choice in chosen]
    )
    found["Frostline without averaging"] = _summary(
        [c.regret(choose(c, Rule(average="none"))) for c, _ in chosen]
    )
    for name, way in ways.items():
        found[name] = _summary([c.regret_of(way(c)) for c in cells])
    rival = [c.regret_of(FASTAI) for c in cells if FASTAI in c.options]
    if rival:
        found["fastai's default"] = _summary(rival)
    for family in _FIXED:
        found[f"always {family}"] = _summary([c.regret_of(c.called(family)) for c in cells])
    plain = "fine-tune the whole network"
    found[f"always {plain}"] = _summary([c.regret_of(plain) for c in cells])
    return found


def _by_set(chosen: Sequence[tuple[Recorded, Choice]]) -> dict[str, dict[str, float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for cell, choice in chosen:
        found[f"{cell.target}, {cell.size}"].append(cell.regret(choice))
    return {name: _summary(values) for name, values in found.items()}


def _by_size(chosen: Sequence[tuple[Recorded, Choice]]) -> dict[str, dict[str, float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for cell, choice in chosen:
        found[cell.size].append(cell.regret(choice))
    return {
        size: {
            **_summary(values),
            "cells": len(values),
            "single": _single(chosen, size),
        }
        for size, values in found.items()
    }


def _single(chosen: Sequence[tuple[Recorded, Choice]], size: str) -> float:
    """Mean regret at a size if one option were chosen instead of an average."""
    cells = [cell for cell, _ in chosen if cell.size == size]
    return round(
        float(np.mean([cell.regret(choose(cell, Rule(average="none"))) for cell in cells])), 2
    )


def _cost(chosen: Sequence[tuple[Recorded, Choice]]) -> dict[str, float]:
    shares = [choice.race_seconds / cell.all_seconds for cell, choice in chosen]
    raced = [s for s, (_, choice) in zip(shares, chosen, strict=True) if choice.raced]
    spent = sum(choice.race_seconds for _, choice in chosen)
    everything = sum(cell.all_seconds for cell, _ in chosen)
    return {
        "of_all_training": round(spent / everything, 3),
        "mean_share": round(float(np.mean(shares)), 3),
        "mean_share_where_raced": round(float(np.mean(raced)), 3) if raced else 0.0,
        "largest_share": round(float(max(shares)), 3),
    }


def _cases(
    cells: Sequence[Recorded], chosen: Sequence[tuple[Recorded, Choice]]
) -> dict[str, dict[str, Any]]:
    """How often each textbook case is chosen, and by how much its best option wins or loses."""
    picked = Counter(_case(c, choice.members[0]) for c, choice in chosen)
    found: dict[str, dict[str, Any]] = {}
    for number, case in CASES.items():
        leads = []
        for cell in cells:
            own = [n for n in cell.candidates if _case(cell, n) == number]
            rest = [n for n in cell.candidates if _case(cell, n) != number]
            if own:
                lead = max(map(cell.accuracy, own)) - max(map(cell.accuracy, rest))
                leads.append((lead, f"{cell.target}, {cell.size}"))
        best = max(leads)
        found[str(number)] = {
            "data": case.data,
            "chosen": picked[number],
            "best_in_hindsight": sum(lead > 0 for lead, _ in leads),
            "largest_lead": round(100 * best[0], 1),
            "on": best[1],
        }
    return found


def _case(cell: Recorded, name: str) -> int:
    return case_of("head" if name == cell.STACKED else cell.options[name]["strategy"])


def _transfer(cells: Sequence[Recorded]) -> dict[str, dict[str, Any]]:
    """Gain over training from scratch, and how many times more images scratch needs."""
    found: dict[str, dict[str, Any]] = {}
    for target in sorted({c.target for c in cells}):
        mine = [c for c in cells if c.target == target]
        gains, curve, best = {}, [], {}
        for size in SIZES:
            same = [c for c in mine if c.size == size]
            if not same:
                continue
            top = float(np.mean([max(map(c.accuracy, c.candidates)) for c in same]))
            scratch = float(np.mean([c.accuracy(REFERENCE) for c in same]))
            gains[size] = round(100 * (top - scratch), 1)
            n = float(np.mean([c.n_train for c in same]))
            curve.append((n, scratch))
            best[size] = (n, top)
        found[target] = {"gain": gains, "times": {s: _times(curve, *p) for s, p in best.items()}}
    return found


def _times(curve: list[tuple[float, float]], n: float, accuracy: float) -> str:
    """Where the learning curve of scratch training reaches an accuracy, in multiples of n."""
    logs = np.log([point[0] for point in curve])
    levels = np.maximum.accumulate([point[1] for point in curve])
    if accuracy > levels[-1]:
        return f"over {curve[-1][0] / n:.0f}" if curve[-1][0] > n else "more than there were"
    return f"{max(1.0, float(np.exp(np.interp(accuracy, levels, logs))) / n):.1f}"


def _row(cell: Recorded, choice: Choice) -> dict[str, Any]:
    best = max(cell.candidates, key=cell.accuracy)
    return {
        "set": cell.target,
        "size": cell.size,
        "seed": cell.seed,
        "n_train": cell.n_train,
        "shift": cell.summary.shift.label,
        "chosen": choice.name,
        "accuracy": round(cell.accuracy_of(choice), 4),
        "best": best,
        "best_accuracy": round(cell.accuracy(best), 4),
        "regret": round(cell.regret(choice), 2),
        "scratch": round(cell.accuracy(REFERENCE), 4),
        "fastai": round(cell.accuracy(FASTAI), 4) if FASTAI in cell.options else None,
        "race_share": round(choice.race_seconds / cell.all_seconds, 3),
    }


def _write_plots(
    cells: Sequence[Recorded],
    chosen: Sequence[tuple[Recorded, Choice]],
    found: dict[str, Any],
) -> None:
    images = DOCS / "images"
    ordered = sorted(found["regret"].items(), key=lambda item: item[1]["mean"])
    values = [(name, r["mean"], r["p95"]) for name, r in ordered]
    title = "Points lost to the best in hindsight: mean, and 95th percentile behind it"
    (images / "decision-regret.svg").write_text(bars(title, "points of accuracy", values))
    taken = {(c.target, c.size, c.seed): choice for c, choice in chosen}
    ways: dict[str, Callable[[Recorded], float]] = {
        "Frostline": lambda c: c.accuracy_of(taken[c.target, c.size, c.seed]),
        "fastai's default": lambda c: c.accuracy(FASTAI) if FASTAI in c.options else np.nan,
        "head, last layer": lambda c: c.accuracy("head on the last layer"),
        "from scratch": lambda c: c.accuracy(REFERENCE),
    }
    data = {}
    for target in sorted({c.target for c in cells}):
        lines = {}
        for name, way in ways.items():
            of_size = [[c for c in cells if (c.target, c.size) == (target, s)] for s in SIZES]
            lines[name] = [
                100 * float(np.mean([way(c) for c in same])) if same else float("nan")
                for same in of_size
            ]
        data[target] = lines
    title = "Accuracy in per cent, for 5 and 20 images a class and all"
    (images / "decision-accuracy.svg").write_text(panels(title, SIZES, data))
