"""Every step that people take with a network, for one network of each family.

    python -m benchmarks.networks                        # all that are not in the results yet
    python -m benchmarks.networks --only convnext_atto levit_128s
    python -m benchmarks.networks --again fit            # one step of all

Random weights, except where a network is bundled: this shows what runs, what is refused, what is
exact and what it costs, and says nothing on accuracy. Each step is a process of its own, with
limits of time and memory. ``facts`` opens the network at its own size and others; ``fit`` fits 24
small pictures at the size that Frostline takes by itself; ``off`` fits them at another size;
``export`` writes the model as ONNX and compares it with PyTorch; ``training``, for some, trains one
epoch in three ways. What is done is written to benchmarks/results/networks.json after every step,
and kept by the next run. Processor seconds count all cores together.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.accuracy_and_time import machine
from benchmarks.networks.choice import NETWORKS, Choice
from benchmarks.networks.limited import Ran, run
from benchmarks.networks.pictures import IMAGES, folder_of_pictures, random_weights
from benchmarks.networks.trainings import plans
from frostline.backbones.load.bundled import BUNDLED

RESULTS = Path(__file__).parents[1] / "results" / "networks.json"
_GB = 10**9
#: a step that takes longer, or more, has no result
_SECONDS, _MEMORY = 900.0, 6 * _GB


class Bench:
    """One network, with a folder for its files and a cache that no other network shares."""

    def __init__(self, choice: Choice, folder: Path, row: dict[str, Any]) -> None:
        self.choice, self.row = choice, row
        self._folder = folder
        self._pictures = folder_of_pictures(folder / "pictures")
        self._weights = folder / "weights.safetensors"
        self._run = folder / "run"
        if choice.name not in BUNDLED:
            random_weights(choice.name, self._weights)

    def facts(self) -> dict[str, Any]:
        """Open the network in a process of its own."""
        ran = self._python("benchmarks.networks.facts", self.choice.name, str(self._weights))
        if not ran.well:
            return _failure(ran)
        return {**_cost(ran), **json.loads(ran.output.splitlines()[-1])}

    def fit(self) -> dict[str, Any]:
        """Fit a head on frozen features at the size that Frostline takes by itself."""
        return self._fitted(self._run, "--effort", "fast")

    def off(self) -> dict[str, Any]:
        """Fit one at another size."""
        size = str(self.choice.off)
        return self._fitted(self._folder / "off", "--effort", "fast", "--input-size", size)

    def export(self) -> dict[str, Any]:
        """Write the model of the fit as ONNX, and compare what it says with PyTorch."""
        self._make_run()
        file = self._folder / "model.onnx"
        ran = self._frostline("export", str(self._run), "-o", str(file), "--overwrite")
        if not ran.well:
            return _failure(ran)
        told = self._python(
            "benchmarks.networks.parity", str(self._run), str(file), str(self._pictures)
        )
        if not told.well:
            return _failure(told)
        compared = json.loads(told.output.splitlines()[-1])
        return {**_cost(ran), "bytes": file.stat().st_size, **compared}

    def training(self) -> dict[str, Any]:
        """Train for one epoch in each way."""
        self._make_run()
        taps = [tap["name"] for tap in self.row["facts"]["taps"]]
        middle = taps[(len(taps) - 1) // 2]
        return {
            name: self._fitted(self._folder / name, "--plan", str(file))
            for name, file in plans(self._run, middle, self._folder)
        }

    def _make_run(self) -> None:
        if not (self._run / "metrics.json").exists():
            self.fit()

    def _fitted(self, target: Path, *options: str) -> dict[str, Any]:
        own = ("--weights", str(self._weights)) if self.choice.name not in BUNDLED else ()
        words = ("-o", str(target), "--overwrite", "--backbone", self.choice.name, *own, *options)
        ran = self._frostline("fit", str(self._pictures), *words)
        if not ran.well:
            return _failure(ran)
        plan = json.loads((target / "plan.json").read_text(encoding="utf-8"))
        metrics = json.loads((target / "metrics.json").read_text(encoding="utf-8"))
        shift = (plan["evidence"] or {}).get("shift") or {}
        return {
            **_cost(ran),
            "size": plan["input_size"],
            "chosen": plan["chosen"],
            "shift": {key: shift.get(key) for key in ("label", "measure", "n_reference")},
            "frozen_verified": metrics["frozen_verified"],
        }

    def _frostline(self, *words: str) -> Ran:
        return self._python("frostline", *words)

    def _python(self, module: str, *words: str) -> Ran:
        env = {"FROSTLINE_CACHE": str(self._folder / "cache"), "COLUMNS": "200"}
        command = [sys.executable, "-m", module, *words]
        return run(command, env=env, seconds=_SECONDS, memory=_MEMORY)


STEPS: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "facts": Bench.facts,
    "fit": Bench.fit,
    "off": Bench.off,
    "export": Bench.export,
    "training": Bench.training,
}


def _cost(ran: Ran) -> dict[str, Any]:
    return {"cpu": ran.cpu, "peak_bytes": ran.peak}


def _failure(ran: Ran) -> dict[str, Any]:
    """What is left of a step that gave no result: how it ended and its last words."""
    said = " ".join((ran.errors.strip() or ran.output.strip()).split())
    return {**_cost(ran), "ended": ran.ended, "said": said[-600:]}


def main() -> None:
    """Measure the steps that are missing, network by network."""
    options = _options()
    found: dict[str, Any] = {"images": IMAGES, "networks": {}}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    for choice in NETWORKS:
        if options.only and choice.name not in options.only:
            continue
        row = found["networks"].setdefault(choice.name, {"off_size": choice.off})
        wanted = [s for s in STEPS if s != "training" or choice.trained]
        missing = [s for s in wanted if s not in row or s in options.again]
        if not missing:
            continue
        with TemporaryDirectory() as folder:
            bench = Bench(choice, Path(folder), row)
            for step in missing:
                row[step] = STEPS[step](bench)
                row["machine"] = machine()
                RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(choice.name, step, json.dumps(_short(row[step])), flush=True)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if not isinstance(value, dict | list)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--again", nargs="+", default=[], choices=list(STEPS), metavar="STEP")
    return parser.parse_args()


if __name__ == "__main__":
    main()
