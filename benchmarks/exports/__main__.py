"""Every export beside the model itself: the same answers, how large, how fast.

    python -m benchmarks.exports --stamps S --clip-art C    # see benchmarks/decision for S and C
    python -m benchmarks.exports ... --only-times           # latencies anew, on an idle machine

Fits solar cells, clip art and photos, exports each in every form, and compares the answers for
real image files: those of ``frostline predict`` with those that ONNX Runtime alone gives for the
decoded image. Then the latency of each form for one image. Writes benchmarks/results/exports.json
and the figures in docs/export.md. Latencies mean something only with nothing else running.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.accuracy_and_time import machine

RESULTS = Path(__file__).parents[1] / "results" / "exports.json"


def main() -> None:
    """Measure, and write down."""
    options = _options()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    from benchmarks.exports.forms import export_all
    from benchmarks.exports.parity import measure_parity
    from benchmarks.exports.times import measure_times

    for name, options_of_fit in _RUNS.items():
        table = _table(name.partition(",")[0], options)
        run = options.work / name.replace(" ", "-").replace(",", "")
        _fit(table, run, options_of_fit)
        forms = export_all(run)
        entry: dict[str, Any] = found.get(name, {})
        if not options.only_times:
            entry |= {"forms": forms.sizes, "int8": forms.loss}
            entry["parity"] = measure_parity(run, forms, _paths(table))
        entry["milliseconds"] = measure_times(run, forms)
        entry["load_before"] = round(os.getloadavg()[0], 1)
        found[name] = {**entry, "machine": machine()}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(entry, indent=1), flush=True)
    figures.write("export")


#: what is fitted, and how: heads on all taps, and a whole network that timm can hold
_RUNS: dict[str, dict[str, Any]] = {
    "solar cells": {"effort": "fast"},
    "clip art": {"effort": "fast"},
    "photos": {"effort": "fast"},
    "photos, fine-tuned": {"strategy": "finetune", "epochs": 2},
}


def _table(name: str, options: argparse.Namespace) -> Path:
    from benchmarks.decision.sets import SETS, Places, table_of

    places = Places(
        fonts=Path(), stamps=options.stamps, clip_art=options.clip_art, work=options.work
    )
    return table_of(SETS[name.replace(" ", "-")], places)


def _fit(table: Path, run: Path, options: dict[str, Any]) -> None:
    from frostline.fitting.pipeline import fit

    if not (run / "metrics.json").exists():
        fit(table, run, overwrite=True, **options)


def _paths(table: Path) -> list[Path]:
    with table.open(encoding="utf-8", newline="") as file:
        return [Path(row["path"]) for row in csv.DictReader(file)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "exports")
    parser.add_argument("--only-times", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
