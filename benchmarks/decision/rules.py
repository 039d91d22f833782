"""Rules beside each other on the same cells: what each loses, and what its races take."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.decision.earlier_rule import choose_earlier
from benchmarks.decision.fitting import fit, leave_families_out
from benchmarks.decision.head_gains import head_gains, over_families
from benchmarks.decision.members import Select, chosen_by, greedy, within
from benchmarks.decision.recorded import Choice, FloatArray, Recorded
from benchmarks.decision.replay import Rule, choose

#: the rule that stood before, which every other one is compared with
EARLIER = "earlier: heats, three leaders, all averaged alike"
#: and the one in use, fitted without the family of sets that it is judged on
NOW = "now, families left out"
_OTHERS = {
    "now, fitted on all": Rule(),
    "now, wherever anything may be gained": Rule(races="always"),
    "now, all members alike": Rule(average="equal"),
    "now, one option alone": Rule(average="none"),
    "now, as with --effort best": Rule(thorough=True),
    "head alone, no race": Rule(races="never"),
}
_SELECTED: dict[str, Select] = {
    "members within 1 standard error of the best, alike": within(1.0),
    "members within 2 standard errors of the best, alike": within(2.0),
    "members by greedy forward selection from the head": greedy,
}
#: fewer test images tell nothing about a worst case
_ENOUGH_TESTED = 500


def compare_rules(cells: Sequence[Recorded]) -> dict[str, Any]:
    """Replay every rule on every cell in which layers were trained; compare heads on all cells.

    Returns
    -------
    dict
        ``rules``: by name, figures in points and shares of processor time. ``fitted``: what the
        rule in use has when fitted on all cells. ``heads``: what :func:`head_gains` found.
    """
    every, cells = cells, [cell for cell in cells if cell.trained]
    choices: dict[str, list[Choice]] = {EARLIER: [choose_earlier(cell) for cell in cells]}
    found = {id(cell): choice for cell, choice in leave_families_out(cells, Rule())}
    choices[NOW] = [found[id(cell)] for cell in cells]
    choices |= {name: [choose(cell, rule) for cell in cells] for name, rule in _OTHERS.items()}
    choices |= {name: [chosen_by(cell, one) for cell in cells] for name, one in _SELECTED.items()}
    # who is judged may be an average, and so may who was the best: the two that compete
    rivals = list(zip(choices[EARLIER], choices[NOW], strict=True))
    fitted = fit(cells)
    return {
        "cells": len(cells),
        "sets": len({cell.target for cell in cells}),
        "families": sorted({cell.family for cell in cells}),
        "stand_in_for_the_stacked_head": sum(cell.has_stand_in for cell in cells),
        "heads": head_gains(every),
        "machine": platform.platform(),
        "versions": {p: version(p) for p in ("torch", "numpy", "scikit-learn")},
        "rules": {name: _figures(cells, one, rivals) for name, one in choices.items()},
        "fitted": {"thresholds": asdict(fitted.thresholds), "shares": dict(fitted.shares)},
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures as a table in Markdown."""
    heads = (
        "rule",
        "mean regret, averages among hindsight (own; all)",
        "95th percentile",
        "worst set and size",
        "race, share of training everything",
        "points over the earlier rule (95 % over families)",
        "better / worse",
        "raced",
        "members",
    )
    lines = [" | ".join(("", *heads, "")).strip(), "|" + "---|" * len(heads)]
    for name, one in found["rules"].items():
        low, high = one["gain_interval"]
        cells = (
            name,
            f"{one['own']:.2f}; {one['among']:.2f}",
            f"{one['p95']:.2f}",
            f"{one['worst_set']['regret']:.2f} ({one['worst_set']['name']})",
            f"{one['race_share']:.1%}",
            f"{one['gain']:+.2f} ({low:+.2f} … {high:+.2f})",
            f"{one['better']} / {one['worse']}",
            f"{one['raced']:.0%}",
            f"{one['members']:.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figures(
    cells: Sequence[Recorded], chosen: Sequence[Choice], rivals: Sequence[tuple[Choice, Choice]]
) -> dict[str, Any]:
    pairs = list(zip(cells, chosen, strict=True))
    among = np.array(
        [c.regret(one, [one, *both]) for (c, one), both in zip(pairs, rivals, strict=True)]
    )
    own = np.array([c.regret(one, [one]) for c, one in pairs])
    gains = np.array(
        [
            100 * (c.accuracy_of(one) - c.accuracy_of(both[0]))
            for (c, one), both in zip(pairs, rivals, strict=True)
        ]
    )
    spent = sum(one.race_seconds for one in chosen)
    return {
        "single": _rounded(np.mean([c.regret(one) for c, one in pairs])),
        "own": _rounded(own.mean()),
        "among": _rounded(among.mean()),
        "p95": _rounded(np.quantile(among, 0.95)),
        "worst": _rounded(among.max()),
        "worst_set": _worst_set(cells, among),
        "race_share": round(spent / sum(c.all_seconds for c in cells), 4),
        "raced": _rounded(np.mean([one.raced for one in chosen])),
        "members": _rounded(np.mean([len(one.members) for one in chosen])),
        "gain": _rounded(gains.mean()),
        "gain_interval": over_families(gains, [cell.family for cell in cells]),
        "better": int((gains > _LEAST).sum()),
        "worse": int((gains < -_LEAST).sum()),
    }


#: points that count as a difference
_LEAST = 0.05


def _worst_set(cells: Sequence[Recorded], regrets: FloatArray) -> dict[str, Any]:
    """The worst set and size, in the mean of its seeds, of those with enough test images."""
    found: dict[str, list[float]] = defaultdict(list)
    for cell, regret in zip(cells, regrets.tolist(), strict=True):
        if cell.n_test >= _ENOUGH_TESTED:
            found[f"{cell.target}, {cell.size}"].append(regret)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    name = max(means, key=lambda one: means[one])
    return {"name": name, "regret": _rounded(means[name]), "seeds": len(found[name])}


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 2)
