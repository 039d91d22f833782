"""Sets of images that make no sense, through whole fits: what is said must be true of each."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import frostline
from frostline.core.errors import FrostlineError
from tests.soak._pictures import PictureSet, cells, digits

_SEED = 0


def fitted(work: Path, name: str) -> dict[str, Any]:
    """Make the set of this name, fit it, and keep what was said."""
    folder = work / name.replace(" ", "-")
    table = ODD[name](folder)
    try:
        result = frostline.fit(table, folder / "run", effort="fast", seed=_SEED)
    except FrostlineError as error:
        return {"refused": str(error).replace(f"{folder}/", "")}
    test = result.metrics["test"]
    return {
        "images": sum(result.audit["class_counts"].values()),
        "classes": len(result.classes),
        "method": test["method"],
        "n_test": result.metrics["n_test"],
        "accuracy": test["accuracy"],
        "interval": test["accuracy_interval"],
        "baseline": test["baseline"]["accuracy"],
        "balanced_accuracy": test["balanced_accuracy"],
        "balanced_interval": test["balanced_accuracy_interval"],
        "caveats": result.metrics["caveats"],
        "seconds": result.metrics["seconds"]["total"],
        "report_mb": round((folder / "run" / "report.html").stat().st_size / 1e6, 2),
    }


def _write(
    folder: Path, images: list[Image.Image], labels: list[str], parts: list[str] | None
) -> Path:
    folder.mkdir(parents=True)
    table = folder / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *(["split"] if parts else [])])
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            image.save(folder / f"{i:05d}.png")
            writer.writerow([f"{i:05d}.png", label, *([parts[i]] if parts else [])])
    return table


def _shuffled(of: PictureSet) -> list[str]:
    order = np.random.default_rng(_SEED).permutation(len(of.labels))
    return [of.labels[i] for i in order]


def _random_held_out(folder: Path) -> Path:
    of = digits()
    return _write(folder, of.images, _shuffled(of), None)


def _random_cross_validated(folder: Path) -> Path:
    of = digits()
    return _write(folder, of.images[:300], _shuffled(of)[:300], None)


def _random_two_classes(folder: Path) -> Path:
    of = digits()
    heads = np.random.default_rng(_SEED).random(len(of.images)) < 0.8
    return _write(folder, of.images, ["heads" if h else "tails" for h in heads], None)


def _one_image_class(folder: Path) -> Path:
    of = digits()
    return _write(folder, of.images[:60], [*of.labels[:59], "only one"], None)


def _thousand_classes(folder: Path) -> Path:
    images = cells().images[:2000]
    small = [image.resize((64, 64)) for image in images]
    return _write(folder, small, [f"class {i % 1000:04d}" for i in range(2000)], None)


def _one_to_a_thousand(folder: Path) -> Path:
    of = digits()
    nines = [i for i, label in enumerate(of.labels) if label == "digit 9"][:2]
    others = [i for i, label in enumerate(of.labels) if label != "digit 9"]
    chosen = [*others, *nines]
    labels = ["nine" if i in nines else "other" for i in chosen]
    return _write(folder, [of.images[i] for i in chosen], labels, None)


def _all_the_same(folder: Path) -> Path:
    image = digits().images[0]
    return _write(folder, [image] * 60, ["a" if i % 2 else "b" for i in range(60)], None)


def _one_picture_a_class(folder: Path) -> Path:
    images = digits().images
    return _write(folder, [images[i % 2] for i in range(60)], [str(i % 2) for i in range(60)], None)


def _the_same_in_both_parts(folder: Path) -> Path:
    of = digits()
    images, labels = of.images[:100] * 2, of.labels[:100] * 2
    return _write(folder, images, labels, ["train"] * 100 + ["test"] * 100)


def _blank(folder: Path) -> Path:
    """Blank pictures of other bytes: each has a size of its own."""
    images = [Image.new("RGB", (40 + i, 40), (200, 200, 200)) for i in range(60)]
    return _write(folder, images, ["a" if i % 2 else "b" for i in range(60)], None)


ODD: dict[str, Callable[[Path], Path]] = {
    "random labels, ten classes": _random_held_out,
    "random labels, 300 images": _random_cross_validated,
    "random labels, 80 to 20": _random_two_classes,
    "one image in a class": _one_image_class,
    "1,000 classes of 2 images": _thousand_classes,
    "2 images against 1,617": _one_to_a_thousand,
    "one picture 60 times": _all_the_same,
    "one picture for each class": _one_picture_a_class,
    "test part copied from training": _the_same_in_both_parts,
    "60 blank pictures": _blank,
}


def table(found: dict[str, Any]) -> list[str]:
    """What was said about every set."""
    lines = [
        "| set | accuracy (95 %) | always the largest class | what is said |",
        "|---|---|---|---|",
    ]
    for name, of in found.items():
        if "refused" in of:
            lines.append(f"| {name} | refused | – | {of['refused']} |")
            continue
        low, high = of["interval"]
        said = " ".join(of["caveats"]) or "nothing"
        lines.append(
            f"| {name} | {of['accuracy']:.1%} ({low:.1%} to {high:.1%}) | {of['baseline']:.1%} | "
            f"{said} |"
        )
    return lines
