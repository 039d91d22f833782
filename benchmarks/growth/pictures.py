"""Image files by number: quick to make, always the same ones, and classes that can be learned."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

N_CLASSES = 10
SIDE = 128


def picture(number: int) -> Image.Image:
    """Stripes whose direction is the class, over colours of their own, with noise."""
    rng = np.random.default_rng([9, number])
    ground = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    pixels = np.asarray(ground.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32)
    angle = np.pi * (number % N_CLASSES + rng.normal(scale=0.35)) / N_CLASSES
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(2.0, 4.0))
    noisy = pixels + 50.0 * wave[..., None] + rng.normal(scale=20.0, size=(SIDE, SIDE, 1))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def table_of(n: int, folder: Path) -> Path:
    """Write the first ``n`` pictures that are not there yet, and the table that lists them."""
    for each in range(N_CLASSES):
        (folder / f"class {each}").mkdir(parents=True, exist_ok=True)
    table = folder / f"first-{n}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for number in range(n):
            label = f"class {number % N_CLASSES}"
            path = folder / label / f"{number}.jpg"
            if not path.exists():
                picture(number).save(path, quality=85)
            writer.writerow([f"{label}/{number}.jpg", label])
    return table
