"""Do intervals of numbers hold the truth as often as they say?

    python -m benchmarks.number_sets --fonts FOLDER

Letters in fonts are turned by an angle from -40 to 40 degrees and drawn at a size from 15 to 25
pixels; both numbers are predicted. Features of the default network are computed once. Then 200
times the images are divided anew into 500 that teach, 200 that calibrate where a part is held out
for that, and those that judge; once every image is a case of its own, once each font is a group of
eight that stays together. A ridge head on all taps is fitted to the first, and intervals come from
its leave-one-out residuals (cross) or from the second (split). Writes
benchmarks/results/number_sets.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from benchmarks.accuracy_and_time import machine
from benchmarks.decision.glyphs import SIZE, covering, find_fonts, generator
from benchmarks.sets import Stored, stored
from frostline.stats.number_intervals import NUMBER_LEVEL, fit_intervals
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import Values

RESULTS = Path(__file__).parent / "results" / "number_sets.json"
COLUMNS = ("angle", "size")
_LETTERS = "FGJKLPRQ"
_TEACH, _CALIBRATE = 500, 200

Array = npt.NDArray[Any]


def main() -> None:
    """Compute features, resplit, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, required=True, help="Folder of font files.")
    parser.add_argument("--resplits", type=int, default=200)
    options = parser.parse_args()
    images, numbers, fonts = drawn(options.fonts)
    # the classes say nothing here
    data = stored((images, ["a", "b"] * (len(images) // 2)))
    kinds = {"by image": np.arange(len(images)), "by font": fonts}
    content = {
        "machine": machine(),
        "resplits": options.resplits,
        "images": len(images),
        "teach": _TEACH,
        "calibrate": _CALIBRATE,
        "level": NUMBER_LEVEL,
        **{
            kind: resplit(data, numbers, groups, options.resplits) for kind, groups in kinds.items()
        },
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({kind: content[kind] for kind in kinds}, indent=1))


def drawn(folder: Path) -> tuple[list[Array], Array, Array]:
    """Return letters as pixels, their angle and size, shape (n, 2), and the number of the font."""
    images, numbers, fonts = [], [], []
    for number, font in enumerate(covering(find_fonts(folder))):
        for letter in _LETTERS:
            rng = generator("number sets", number, letter)
            angle, size = rng.uniform(-40, 40), rng.uniform(15, 25)
            # four times as large and shrunk, so that sizes between pixels differ as well
            face = ImageFont.truetype(str(font), round(4 * size))
            canvas = Image.new("L", (4 * SIZE, 4 * SIZE), 0)
            left, top, right, bottom = face.getbbox(letter)
            middle = (2 * SIZE - (left + right) / 2, 2 * SIZE - (top + bottom) / 2)
            ImageDraw.Draw(canvas).text(middle, letter, fill=255, font=face)
            turned = canvas.rotate(angle, resample=Image.Resampling.BILINEAR).resize((SIZE, SIZE))
            noisy = np.asarray(turned, float)[..., None] + rng.normal(0, 8, (SIZE, SIZE, 3))
            images.append(np.clip(noisy, 0, 255).astype(np.uint8))
            numbers.append((angle, round(4 * size) / 4.0))
            fonts.append(number)
    return images, np.array(numbers), np.array(fonts)


def resplit(data: Stored, numbers: Array, groups: Array, times: int) -> dict[str, Any]:
    """Divide the images many times; return coverage and radius by way and column."""
    found: dict[str, list[tuple[Array, Array, Array]]] = {"cross": [], "split": []}
    for seed in range(times):
        teach, calibrate, judge = _divided(groups, np.random.default_rng(seed))
        truth = numbers[teach]
        fit = ridge_loo(
            data.features[teach],
            Values(truth, truth.std(axis=0)),
            groups=groups[teach],
            blocks=data.blocks,
        )
        told = fit.predict(data.features[judge])
        r2 = 1 - ((told - numbers[judge]) ** 2).mean(axis=0) / numbers[judge].var(axis=0)
        left_out: dict[Literal["cross", "split"], tuple[Array, Array]] = {
            "cross": (fit.loo, teach),
            "split": (fit.predict(data.features[calibrate]), calibrate),
        }
        for way, (said, rows) in left_out.items():
            own = fit_intervals(said, numbers[rows], groups[rows], scoring=way)
            ends = own.of(told)
            held = (numbers[judge] >= ends[..., 0]) & (numbers[judge] <= ends[..., 1])
            found[way].append((held.mean(axis=0), own.reach, r2))
    return {
        way: {column: _summary(each, place) for place, column in enumerate(COLUMNS)}
        for way, each in found.items()
    }


def _summary(each: list[tuple[Array, Array, Array]], column: int) -> dict[str, Any]:
    coverage, radius, r2 = (np.array([one[i][column] for one in each]) for i in range(3))
    return {
        "coverage": float(coverage.mean()),
        "coverage_5_95": [float(x) for x in np.quantile(coverage, [0.05, 0.95])],
        "radius": float(radius.mean()),
        "r2": float(r2.mean()),
    }


def _divided(groups: Array, rng: np.random.Generator) -> list[Array]:
    """Return rows that teach, calibrate and judge; groups stay whole."""
    order = rng.permutation(len(np.unique(groups)))[groups]
    rows = np.argsort(order, kind="stable")
    cuts = []
    for wanted in (_TEACH, _TEACH + _CALIBRATE):
        while order[rows[wanted]] == order[rows[wanted - 1]]:
            wanted += 1
        cuts.append(wanted)
    return np.split(rows, cuts)


if __name__ == "__main__":
    main()
