"""Twelve small tasks: letters like those of pretraining and others, drawings, photos, cells."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.decision.glyphs import GREEK, covering, find_fonts, generator
from benchmarks.decision.sets import SETS, Places, TargetSet, table_of
from benchmarks.vit.network import load
from benchmarks.vit.pictures import masks, pictures
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.arrays import IntArray
from frostline.core.runtime import Runtime
from frostline.data.audit import audit
from frostline.data.duplicates.copies import find_copies
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source

#: images of a class that are looked at: those that teach, and as many again that judge
_PER_CLASS = 160


def _coloured(letters: str, places: Places, folder: Path) -> list[tuple[Path, str]]:
    """Draw letters in colour, from the fonts that pretraining did not see."""
    faces = covering(find_fonts(places.fonts))
    ink = masks(letters, faces[len(faces) // 2 :])
    random = torch.Generator().manual_seed(7)
    kinds = torch.arange(_PER_CLASS * len(letters)) % len(letters)
    fonts = torch.randint(len(ink), kinds.shape, generator=random)
    drawn, _ = pictures(ink[fonts, kinds], random)
    pixels = (255 * drawn).round().byte().permute(0, 2, 3, 1).numpy()
    rows = []
    for i, (image, kind) in enumerate(zip(pixels, kinds.tolist(), strict=True)):
        path = folder / f"{i:05d}.png"
        Image.fromarray(image).save(path)
        rows.append((path, f"letter {kind:02d}"))
    return rows


def _set(name: str, make: Callable[[Places, Path], list[tuple[Path, str]]]) -> TargetSet:
    return TargetSet(name, "glyphs", "similar", 0, 0, make)


TASKS: dict[str, TargetSet] = {
    t.name: t
    for t in (
        _set("greek-coloured", partial(_coloured, GREEK)),
        _set("digits-coloured", partial(_coloured, "0123456789")),
        *(
            SETS[name]
            for name in (
                "greek",
                "cyrillic",
                "greek-inverted",
                "cyrillic-striped",
                "styles",
                "textures",
                "digits-small",
                "clip-art",
                "photos",
                "solar-cells",
            )
        ),
    )
}


def _few(table: Path) -> Path:
    """Write a table of at most so many images of a class beside a table, drawn once."""
    with table.open(encoding="utf-8") as file:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    order = generator(table.parent.name, "images").permutation(len(rows))
    left = Counter({label: _PER_CLASS for _, label in rows})
    few = table.with_name("few.csv")
    with few.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for path, label in (rows[i] for i in order):
            if left[label] > 0:
                writer.writerow([path, label])
                left[label] -= 1
    return few


@dataclass(frozen=True)
class Task:
    """A task with the frozen pass done: images, labels, groups of copies, and what passes."""

    name: str
    problem: Problem
    frozen: Frozen

    def rows(self, per_class: int, seed: int) -> IntArray:
        """Draw so many images of every class, or all there are of a smaller one."""
        labels = self.problem.labels
        order = generator(self.name, per_class, seed).permutation(len(labels))
        chosen = [order[labels[order] == c][:per_class] for c in range(labels.max() + 1)]
        return np.sort(np.concatenate(chosen))


def prepared(name: str, places: Places, runtime: Runtime) -> Task:
    """Run the pretrained transformer over a task's images."""
    catalog = open_source(_few(table_of(TASKS[name], places)), group_by=None)
    frozen = run_frozen(load(), catalog, runtime)
    copies = find_copies(frozen.catalog.digests, frozen.features.thumbnails)
    groups = audit(frozen.catalog, copies).groups
    return Task(name, Problem.of(frozen.catalog, groups=groups), frozen)
