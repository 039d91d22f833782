"""Does a run that went on equal a fit of all its images, whatever the order in which they came?

    python -m benchmarks.update --fonts DIR

Fifty classes of glyphs arrive in three batches, in twenty random orders; labels are corrected and
images removed on the way. Balanced weights, groups and several labels an image take turns. In some
orders the images are gone at the last update, in some the store of features too, and the run
folder has them. Every last run is compared with a fit of the table of its images. Writes
benchmarks/results/update.json after every order, and goes on from there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import load_file

import frostline
from benchmarks.accuracy_and_time import machine
from benchmarks.decision.glyphs import generator
from benchmarks.head_sets import some
from frostline.run.manifest import read_rows

RESULTS = Path(__file__).parent / "results" / "update.json"
GLYPHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abdefghijkmnqrty" + "23456789"
#: orders of arrival, pictures of a glyph, glyphs of the first fit and of the first update
ORDERS, PICTURES, BATCHES = 20, 6, (20, 35)
#: images whose label is wrong until it is corrected, and images that go
WRONG, GONE = 10, 12
_SIZE: dict[str, Any] = {"effort": "fast", "input_size": "64", "threads": 1}


@dataclass(frozen=True)
class Case:
    """One order, and what else is true of it."""

    order: int

    @property
    def several(self) -> bool:
        return self.order % 5 == 4

    @property
    def balanced(self) -> bool:
        return self.order % 2 == 1 and not self.several

    @property
    def grouped(self) -> bool:
        return self.order % 3 == 0

    @property
    def without(self) -> str:
        return ("nothing", "nothing", "images", "images and store")[self.order % 4]

    @property
    def settings(self) -> dict[str, Any]:
        keeps = self.without == "images and store"
        weight = {"class_weight": "balanced"} if self.balanced else {}
        return {**_SIZE, **weight, "keep_features": keeps}


def main() -> None:
    """Let every order arrive, print a line for each, write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--orders", type=int, default=ORDERS)
    asked = parser.parse_args()
    # one that was interrupted goes on
    before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else '{"orders": []}'
    found: list[dict[str, Any]] = json.loads(before)["orders"]
    with TemporaryDirectory() as folder:
        work = Path(folder)
        draw(work / "images", asked.fonts)
        for order in range(len(found), asked.orders):
            os.environ["FROSTLINE_CACHE"] = str(work / "store")
            found.append(measure(Case(order), work))
            print(found[-1], flush=True)
            whole = {"machine": machine(), "orders": found, "together": together(found)}
            RESULTS.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def draw(folder: Path, fonts: Path) -> None:
    """Draw every glyph as some fonts do, in colours of its own."""
    folder.mkdir()
    files = sorted(p for p in fonts.rglob("*") if p.suffix in {".ttf", ".otf"})
    for number, glyph in enumerate(GLYPHS):
        for i, font in enumerate(some(files, PICTURES, "update", glyph)):
            random = generator("update", font.name, glyph)
            ink, paper = random.integers(0, 110, 3), random.integers(145, 256, 3)
            picture = Image.new("RGB", (64, 64), tuple(paper.tolist()))
            drawn = ImageFont.truetype(str(font), int(random.integers(24, 46)))
            place = tuple((32 + random.integers(-6, 7, 2)).tolist())
            pen = ImageDraw.Draw(picture)
            pen.text(place, glyph, font=drawn, anchor="mm", fill=tuple(ink.tolist()))
            picture.save(folder / f"{number:02d}-{i}.png")


def label(number: int, *, several: bool) -> str:
    """Return what is true of a glyph."""
    glyph = GLYPHS[number]
    kind = "digit" if glyph.isdigit() else "upper" if glyph.isupper() else "lower"
    return f"{number:02d};{kind}" if several else f"{number:02d}"


def table(path: Path, lines: list[tuple[str, str]], case: Case) -> Path:
    """Write images, each with its label and perhaps its group."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        named = "labels" if case.several else "label"
        writer.writerow(["path", named, *(["group"] if case.grouped else [])])
        for image, said in lines:
            # two pictures of a glyph go together
            stem = Path(image).stem
            group = f"{stem[:-1]}{int(stem[-1]) // 2}"
            writer.writerow([image, said, *([group] if case.grouped else [])])
    return path


def measure(case: Case, work: Path) -> dict[str, Any]:
    """Fit, go on three times, fit the whole, and compare."""
    place = work / f"order {case.order}"
    place.mkdir()
    random = np.random.default_rng(case.order)
    glyphs = random.permutation(len(GLYPHS)).tolist()
    images = work / "images"
    every = [
        (str(images / f"{number:02d}-{i}.png"), label(number, several=case.several))
        for number in glyphs
        for i in range(PICTURES)
    ]
    truth = dict(every)
    batches = np.split(np.arange(len(every)), [PICTURES * n for n in BATCHES])
    first = [every[i] for i in random.permutation(batches[0])]
    wrong = random.choice(len(first), WRONG, replace=False).tolist()
    for one, other in zip(wrong, [*wrong[1:], wrong[0]], strict=True):
        first[one] = (first[one][0], truth[first[other][0]])
    run = frostline.fit(table(place / "0.csv", first, case), place / "0", **case.settings).folder
    for step in (1, 2):
        lines = [every[i] for i in random.permutation(batches[step])]
        more: dict[str, Any] = {"add": table(place / f"{step}.csv", lines, case)}
        if step == 2:
            right = [(first[i][0], truth[first[i][0]]) for i in wrong]
            more["relabel"] = table(place / "right.csv", right, case)
        run = frostline.update(run, place / str(step), **more).result.folder
    rows = read_rows(run) or []
    gone = tuple(rows[i].name for i in random.choice(len(rows), GONE, replace=False))
    if case.without != "nothing":
        images.rename(work / "hidden")
    if case.without == "images and store":
        os.environ["FROSTLINE_CACHE"] = str(place / "empty store")
    began = time.process_time()
    last = frostline.update(run, place / "last", remove=gone).result
    took = time.process_time() - began
    if case.without != "nothing":
        (work / "hidden").rename(images)
    os.environ["FROSTLINE_CACHE"] = str(work / "store")
    # without its images a run carries its plan out
    plan = None if case.without == "nothing" else last.plan
    union = [(row.file, row.label) for row in read_rows(last.folder) or []]
    if case.several:
        union = [(file, truth[file]) for file, _ in union]
    whole = frostline.fit(
        table(place / "all.csv", union, case), place / "all", plan=plan, **case.settings
    )
    told = asdict(case) | {
        name: getattr(case, name) for name in ("several", "balanced", "grouped", "without")
    }
    compared = differences(last, whole, [Path(file) for file, _ in every])
    shutil.rmtree(place)
    return {**told, **compared, "processor_seconds_of_last_update": round(took, 2)}


def differences(last: Any, whole: Any, images: list[Path]) -> dict[str, Any]:
    """Compare the numbers of both models, and what they say of every image that ever came."""
    a, b = (load_file(one.folder / "model" / "weights.safetensors") for one in (last, whole))
    same = a.keys() == b.keys() and all(a[name].shape == b[name].shape for name in a)
    largest = max((float(np.abs(a[n] - b[n]).max()) for n in a), default=0.0) if same else None
    one, other = (run.model.predict_proba(images) for run in (last, whole))
    return {
        "images": last.record.audit.images,
        "classes": len(last.classes),
        "largest_difference_of_numbers": largest,
        "same_bytes": same and all(np.array_equal(a[name], b[name]) for name in a),
        "largest_difference_of_predictions": float(np.abs(one - other).max()),
        "same_answers": bool(((one > 0.5) == (other > 0.5)).all())
        and bool((one.argmax(axis=1) == other.argmax(axis=1)).all()),
    }


def together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Say of how many orders what holds."""
    return {
        "orders": len(found),
        "same_bytes": sum(one["same_bytes"] for one in found),
        "same_answers": sum(one["same_answers"] for one in found),
        "coefficients_within_1e-9": sum(
            one["largest_difference_of_numbers"] is not None
            and one["largest_difference_of_numbers"] <= 1e-9
            for one in found
        ),
        "without": {
            kind: sum(one["without"] == kind for one in found)
            for kind in ("nothing", "images", "images and store")
        },
    }


if __name__ == "__main__":
    main()
