"""How fast: whole jobs and single epochs, beside fastai, Lightning and a careful plain loop.

    pip install fastai lightning                       # the peers, next to Frostline
    python -m benchmarks.speed --stamps S --clip-art C  # see benchmarks/decision for S and C
    python -m benchmarks.speed --sets "solar cells" --parts jobs epochs
    python -m benchmarks.speed --sets "600 solar cells" photos "clip art" --parts jobs \\
        --autogluon PYTHON                              # of an environment with AutoGluon

One after another in fresh processes with the same weights, split, image size and threads; run it
with nothing else running. Parts: ``jobs`` (whole processes; the peers once, Frostline three times
with empty caches), ``epochs`` (medians of three on 600 images), ``limits`` (the pass over images
beside decoding and computing alone), ``again`` (a second run on a warm store), ``start`` (single
commands in fresh processes). What is in
benchmarks/results/speed.json is kept and not measured again unless --fresh.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from benchmarks import figures
from benchmarks.accuracy_and_time import machine, photo_folder
from benchmarks.processes import run
from frostline.backbones.network import Network
from frostline.cli.demo import write_table
from frostline.core.machine import available_cores
from frostline.data.sources.open_source import open_source
from frostline.data.splitting.stratified import stratified_holdout

RESULTS = Path(__file__).parents[1] / "results" / "speed.json"
PEERS = ("finetune", "fastai", "lightning", "autogluon", "plain")
SETS = ("solar cells", "600 solar cells", "photos", "clip art")
PARTS = ("jobs", "epochs", "limits", "again", "start")
_CLIP_ART = ("animals", "buildings", "computer", "food", "plants", "transportation")
#: few of each, so that all peers together fit two hours
_A_FOLDER = 60
_EPOCH_IMAGES = 600
_FEWER = 600
_OURS = 3


def main() -> None:
    """Measure what is missing."""
    options = _options()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        weights = work / "weights.safetensors"
        save_file(Network.load("efficientnet_lite0").plain().state_dict(), weights)
        for name in options.sets:
            table = _table(name, options, work)
            for key, measure in _plan(name, table, weights, options):
                if key in found and not options.fresh:
                    continue
                with tempfile.TemporaryDirectory() as own:
                    found[key] = {**measure(Path(own)), "machine": machine()}
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")
                print(f"{key}: {_in_short(found[key])}", flush=True)
    figures.write("speed")


Measure = Callable[[Path], dict[str, Any]]


def _plan(
    name: str, table: Path, weights: Path, options: argparse.Namespace
) -> list[tuple[str, Measure]]:
    parts, python = options.parts, options.autogluon
    peers = [peer for peer in options.peers if peer != "autogluon" or python]
    plan: list[tuple[str, Measure]] = []
    if "jobs" in parts:
        plan += [
            (f"{name}, whole job, frostline {seed}", lambda own, s=seed: _ours(table, own, s))  # type: ignore[misc]
            for seed in range(_OURS)
        ]
        plan += [
            (
                f"{name}, whole job, {peer}",
                lambda own, p=peer: (  # type: ignore[misc]
                    _ours(table, own, 0, "--strategy", "finetune")
                    if p == "finetune"
                    else _peer(p, table, weights, python=python)
                ),
            )
            for peer in peers
        ]
    if "epochs" in parts and name == SETS[0]:
        plan += [
            (f"{name}, epochs, {peer}", lambda own, p=peer: _peer(p, table, weights, epochs=True))  # type: ignore[misc]
            for peer in ("frostline", *(p for p in peers if p in ("fastai", "plain")))
        ]
    if "limits" in parts:
        plan.append((f"{name}, limits", lambda own: _limits(table, own)))
    if "again" in parts:
        plan.append((f"{name}, again", lambda own: _again(table, own)))
    if "start" in parts and name == SETS[1]:
        plan.append(("start", lambda own: _start(table, own)))
    return plan


def _ours(table: Path, own: Path, seed: int, *how: str) -> dict[str, Any]:
    """One cold fit, everything included: ``how`` in place of effort "fast"."""
    arguments = ["fit", str(table), "-o", str(own / "run"), *(how or ("--effort", "fast"))]
    cost = _timed(
        [sys.executable, "-m", "frostline", *arguments, "--seed", str(seed)],
        {"FROSTLINE_CACHE": str(own / "cache")},
    )
    metrics = json.loads((own / "run" / "metrics.json").read_text())
    cost.pop("output")
    return {**cost, "accuracy": metrics["test"]["accuracy"], "seconds": metrics["seconds"]}


def _again(table: Path, own: Path) -> dict[str, Any]:
    """A fit on a cold store, then the same on the warm one."""
    cold = _ours(table, own, 0)
    command = ["fit", str(table), "-o", str(own / "again"), "--effort", "fast"]
    warm = _timed(
        [sys.executable, "-m", "frostline", *command], {"FROSTLINE_CACHE": str(own / "cache")}
    )
    warm.pop("output")
    seconds = json.loads((own / "again" / "metrics.json").read_text())["seconds"]
    return {"cold": cold, "warm": {**warm, "seconds": seconds}, "wall": warm["wall"]}


def _start(table: Path, own: Path) -> dict[str, Any]:
    """Medians of five fresh processes each; importing PyTorch and timm alone stands beside them."""
    _ours(table, own, 0)
    with table.open(encoding="utf-8") as file:
        image = next(csv.DictReader(file))["path"]
    frostline = [sys.executable, "-m", "frostline"]
    commands = {
        "frostline --help": [*frostline, "--help"],
        "frostline predict RUN IMAGE": [*frostline, "predict", str(own / "run"), image],
        "python -c 'import torch, timm'": [sys.executable, "-c", "import torch, timm"],
    }
    seconds = {
        said: statistics.median(_seconds(c) for _ in range(5)) for said, c in commands.items()
    }
    return {"seconds": seconds, "wall": sum(seconds.values())}


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _peer(
    peer: str, table: Path, weights: Path, *, epochs: bool = False, python: Path | None = None
) -> dict[str, Any]:
    """Run a peer's script in a process of its own; AutoGluon's by another ``python``."""
    own = python if peer == "autogluon" else sys.executable
    command = [str(own), "-m", f"benchmarks.speed.{peer}_job"]
    command += ["--table", str(table), "--weights", str(weights)]
    command += ["--threads", str(available_cores())]
    if epochs:
        command += ["--epochs-of", str(_EPOCH_IMAGES)]
    cost = _timed(command, {})
    output = cost.pop("output")
    # some write their progress on the same line
    told = json.loads(output[output.rindex('{"accuracy"') :])
    medians = {kind: statistics.median(times) for kind, times in told["epochs"].items()}
    return {**cost, **told, "median_epoch": medians}


def _limits(table: Path, own: Path) -> dict[str, Any]:
    """The pass over the images, and its two halves alone, in one process."""
    command = [sys.executable, "-m", "benchmarks.speed.limits", str(table)]
    cost = _timed(command, {"FROSTLINE_CACHE": str(own / "cache")})
    told: dict[str, Any] = json.loads(cost.pop("output").strip().splitlines()[-1])
    return {**told, "wall": cost["wall"]}


def _timed(command: list[str], env: dict[str, str]) -> dict[str, Any]:
    """Run a process; return its wall and processor seconds, its peak memory and its output."""
    return asdict(run(command, env, errors=subprocess.DEVNULL))


def _table(name: str, options: argparse.Namespace, work: Path) -> Path:
    """Write the images of a set with one split for everybody: a fifth judges."""
    source = _source(name, options, work)
    catalog = open_source(source, group_by=None)
    groups = list(range(len(catalog)))
    _, held = stratified_holdout(
        catalog.labels, groups, list(catalog.digests), fraction=0.2, seed=0
    )
    judged = set(held.tolist())
    table = work / f"{name.replace(' ', '-')}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for i, row in enumerate(catalog.rows):
            part = "test" if i in judged else "train"
            writer.writerow([row.path.resolve(), catalog.classes[row.label], part])
    return table


def _source(name: str, options: argparse.Namespace, work: Path) -> Path:
    if name == "solar cells":
        return write_table(work / "cells")
    if name == "600 solar cells":
        return _some(write_table(work / "cells"), _FEWER)
    if name == "photos":
        return photo_folder(options.stamps.resolve(), work / "photos")
    target = work / "clip-art"
    seen: set[Path] = set()
    for folder in _CLIP_ART:
        (target / folder).mkdir(parents=True)
        # some names are links to another picture, of this folder or another one
        files = {file.resolve() for file in (options.clip_art / folder).rglob("*.png")} - seen
        seen |= files
        for file in sorted(files)[:_A_FOLDER]:
            (target / folder / f"{file.parent.name}-{file.name}").symlink_to(file)
    return target


def _some(table: Path, n: int) -> Path:
    """Keep rows of a table, evenly spread, of which n will teach when a fifth judges."""
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    count = n * 5 // 4
    kept = [lines[i * len(lines) // count] for i in range(count)]
    table.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    return table


def _in_short(result: dict[str, Any]) -> str:
    accuracy = result.get("accuracy")
    said = f"{result['wall']:.1f} s"
    if accuracy is not None:
        said += f", accuracy {accuracy:.1%}"
    return said + "".join(f", {k} {v:.1f} s" for k, v in result.get("median_epoch", {}).items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--autogluon", type=Path, help="the python of its environment")
    parser.add_argument("--fresh", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
