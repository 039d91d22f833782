"""A few cells at the size that users train at: do the options rank there as in the study?"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.decision.cells import RARE, REFERENCE, Cell, Recording, run_cell, unpacked
from benchmarks.decision.sets import SETS, Places

#: what users of the bundled network train at
FULL_SIZE = 224
#: cells of 5 images a class: more would take a night
_CELLS = tuple(Cell(t.name, "5", 0, FULL_SIZE) for t in SETS.values() if t.network == "lite0")
#: they never won, and would double the time
_LEFT_OUT = (REFERENCE, *RARE)
#: options that differ by less on the test part are a tie
_TIE = 1.0


def run_anchor(places: Places, results: Path) -> None:
    """Train every option of the anchor's cells at full size; what is done stays done."""
    folder = results / "anchor"
    folder.mkdir(parents=True, exist_ok=True)
    for cell in _CELLS:
        recorded = results / f"{cell.key}.json"
        if not recorded.exists():
            continue
        began = time.perf_counter()
        names = set(json.loads(recorded.read_text())["options"]).difference(_LEFT_OUT)
        recording = Recording(takes=lambda p, names=names: p.name in names, raced=False)  # type: ignore[misc]
        run_cell(cell, places, folder, recording)
        print(f"{cell.key} at {cell.pixels}: {time.perf_counter() - began:.0f} s", flush=True)


def compare(results: Path) -> list[dict[str, Any]]:
    """Set accuracies of the same cell at both sizes against each other.

    Returns
    -------
    list of dict
        For each cell: ``rank_correlation`` (Spearman, over options recorded at both sizes),
        ``small`` and ``full`` (percent right by option), and ``loss``: how many points the best
        option of the small size stays behind the best at full size, there.
    """
    rows = []
    for cell in _CELLS:
        full, small = results / "anchor" / f"{cell.key}.json", results / f"{cell.key}.json"
        if not (full.exists() and small.exists()):
            continue
        at_full, at_small = _accuracies(full), _accuracies(small)
        names = [name for name in at_small if name in at_full]
        a = np.array([at_small[n] for n in names])
        b = np.array([at_full[n] for n in names])
        pairs = [
            (a[i] - a[j]) * (b[i] - b[j]) > 0
            for i in range(len(names))
            for j in range(i)
            if abs(a[i] - a[j]) > _TIE and abs(b[i] - b[j]) > _TIE
        ]
        rows.append(
            {
                "cell": cell.key,
                "options": len(names),
                "rank_correlation": round(float(spearmanr(a, b).statistic), 2),
                "pairs_alike": round(float(np.mean(pairs)), 2),
                "loss": round(float(b.max() - b[int(a.argmax())]), 2),
                "small": dict(zip(names, a.round(2).tolist(), strict=True)),
                "full": dict(zip(names, b.round(2).tolist(), strict=True)),
            }
        )
    return rows


def _accuracies(path: Path) -> dict[str, float]:
    found = json.loads(path.read_text())
    return {
        name: 100.0 * float(unpacked(entry["right"], found["n_test"]).mean())
        for name, entry in found["options"].items()
        if "right" in entry
    }
