"""Whole jobs on glyph pages: a fit, and fastai's ``fine_tune`` with the same weights and split."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from benchmarks.labels.sets import page_files, write_table
from benchmarks.processes import run
from frostline.backbones.network import Network
from frostline.data.sources.open_source import open_source
from frostline.data.splitting.stratified import stratified_holdout

_TEST, _SEED = 1 / 3, 0


def peers(fonts: Path, work: Path, fastai: Path | None) -> dict[str, Any]:
    """Run both in processes of their own, one after the other, on one core."""
    files = page_files(work / "page-files", fonts)
    catalog = open_source(([str(file) for file, _ in files], [labels for _, labels in files]))
    _, held = stratified_holdout(
        catalog.truth, np.arange(len(catalog)), catalog.digests, fraction=_TEST, seed=_SEED
    )
    table = write_table(files, set(held.tolist()), work / "pages.csv")
    cost = run(
        [
            *(sys.executable, "-m", "frostline", "fit", str(table), "-o", str(work / "run")),
            *("--overwrite", "--seed", str(_SEED), "--threads", "1", "--effort", "fast"),
        ],
        {"FROSTLINE_CACHE": str(work / "cold-cache")},
        errors=subprocess.DEVNULL,
    )
    test = json.loads((work / "run" / "metrics.json").read_text())["test"]
    told = {
        "map": test["mean_average_precision"],
        "map_interval": test["mean_average_precision_interval"],
        "micro_f1": test["micro_f1"],
    }
    found: dict[str, Any] = {"seed": _SEED, "teach": len(files) - len(held), "judge": len(held)}
    found["frostline"] = {**_without_output(asdict(cost)), **told}
    if fastai is not None:
        weights = work / "weights.safetensors"
        save_file(Network.load("efficientnet_lite0").plain().state_dict(), weights)
        cost = run(
            [
                *(str(fastai), "-m", "benchmarks.labels.fastai_job", "--table", str(table)),
                *("--weights", str(weights), "--threads", "1", "--seed", str(_SEED)),
            ],
            {},
            errors=subprocess.DEVNULL,
        )
        told = json.loads(cost.output[cost.output.rindex('{"map"') :])
        found["fastai"] = {**_without_output(asdict(cost)), **told}
    return found


def _without_output(cost: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in cost.items() if key != "output"}
