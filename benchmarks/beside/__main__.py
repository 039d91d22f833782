"""Whole cold jobs of this tree and of another checkout, side by side.

    python -m benchmarks.beside --beside TREE --stamps S    # see benchmarks/decision for S
    python -m benchmarks.beside --beside TREE --python ITS_PYTHON --this-python OURS
    python -m benchmarks.beside --beside TREE --sets pictures --images 200 --rounds 1 --results R

Round after round, this tree and the other in turn, who comes first changing: a fit stopped at its
first image, a whole fit, a service of the run; each in processes of their own with an empty cache
and its own Python (``--python`` for the other, ``--this-python`` for this one; this process's own
when left out), so that light installs can be compared with full ones. Run it with nothing else
running. Writes every round to benchmarks/results/beside.json and the medians to docs/speed.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.accuracy_and_time import machine, photo_files
from benchmarks.beside.jobs import Images, fit, start
from benchmarks.beside.service import File, serve
from benchmarks.beside.trees import Tree
from benchmarks.growth.pictures import table_of
from frostline.cli.demo import write_table

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parents[1] / "results" / "beside.json"
SETS = ("photos", "solar cells", "pictures")
_PICTURES = 4000
#: files that are sent to the service, again and again
_SENT = 64


def main() -> None:
    """Measure, and write down after every round."""
    options = _options()
    trees = {
        "this": Tree(ROOT, options.this_python.absolute()),
        "other": Tree(options.beside.resolve(), options.python.absolute()),
    }
    found = json.loads(options.results.read_text()) if options.results.exists() else {"sets": {}}
    how = ["--effort", options.effort, "--seed", "0"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in options.sets:
            images = images_of(name, options.stamps, work / name.replace(" ", "-"), options.images)
            files = _files(images)
            for tree in trees.values():
                # what is compiled and read for the first time would be counted as work
                _round(tree, images, [], how, 0.0, whole=False)
            rounds: dict[str, list[dict[str, Any]]] = {who: [] for who in trees}
            for number in range(options.rounds):
                for who in sorted(trees, reverse=number % 2 == 0):
                    one = _round(trees[who], images, files, how, options.seconds)
                    rounds[who].append(one)
                    print(f"{name}, {who}: {_in_short(one)}", flush=True)
            found["sets"][name] = {
                "images": images.number,
                "options": how,
                "trees": {who: tree.summary(work / "cache") for who, tree in trees.items()},
                "rounds": rounds,
                "machine": machine(),
            }
            options.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.results == RESULTS:
        figures.write("speed")


def _round(
    tree: Tree,
    images: Images,
    files: Sequence[File],
    how: Sequence[str],
    seconds: float,
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """One start, and if ``whole`` one fit and its service, of one tree."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)
        found: dict[str, Any] = {"start": start(tree, images, own, how)}
        if whole:
            # what the stopped one has kept must not help
            (own / "fit").mkdir()
            found |= fit(tree, images, own / "fit", how)
            served = own / "fit" / "run"
            found["service"] = serve(tree, served, files, own, seconds=seconds)
    return found


def images_of(name: str, stamps: Path, work: Path, most: int | None) -> Images:
    """Return a set, or ``most`` of its images of it, with files below ``work``."""
    work.mkdir(parents=True)
    if name == "photos":
        photos = _some(photo_files(stamps.resolve()), most)
        for file, label in photos:
            (work / label).mkdir(exist_ok=True)
            (work / label / file.name).symlink_to(file)
        return Images(work, (work, stamps.resolve()), len(photos))
    whole = write_table(work) if name == "solar cells" else table_of(_PICTURES, work)
    with whole.open(encoding="utf-8", newline="") as file:
        rows = _some(list(csv.DictReader(file)), most)
    paths = [(whole.parent / row["path"]).resolve() for row in rows]
    table = work / "some.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([path, row["label"]] for path, row in zip(paths, rows, strict=True))
    return Images(table, (Path(os.path.commonpath(paths)),), len(rows))


def _some(rows: list[Any], most: int | None) -> list[Any]:
    """So many of them, by chance and always the same, in their order."""
    if most is None or most >= len(rows):
        return rows
    return [rows[i] for i in sorted(random.Random(0).sample(range(len(rows)), most))]


def _files(images: Images) -> list[File]:
    """Some images as they are sent."""
    if images.source.is_dir():
        paths = sorted(p for p in images.source.rglob("*") if p.is_file())
    else:
        with images.source.open(encoding="utf-8", newline="") as file:
            paths = [Path(row["path"]) for row in csv.DictReader(file)]
    return [(path.name, path.read_bytes()) for path in _some(paths, _SENT)]


def _in_short(one: dict[str, Any]) -> str:
    service = one["service"]
    rates = ", ".join(f"{rate} a second by {n}" for n, rate in service["per_second"].items())
    return (
        f"start {one['start']:.2f} s, fit {one['wall']:.1f} s, accuracy {one['accuracy']:.1%}, "
        f"{one['peak_memory'] / 1e9:.2f} GB ({one['chosen']}); first answer "
        f"{service['first_answer']:.2f} s, {service['memory']['after_load'] / 1e6:.0f} MB, {rates}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(sys.executable)
    parser.add_argument("--beside", type=Path, required=True, metavar="TREE")
    parser.add_argument("--python", type=Path, default=here, help="of the other tree")
    parser.add_argument("--this-python", type=Path, default=here, help="of this tree")
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--images", type=int, help="only so many of each set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load on the service")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
