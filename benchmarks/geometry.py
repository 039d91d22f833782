"""Does ``--resize auto`` make pictures square in the way that serves them best?

    python -m benchmarks.geometry

Letters and rectangles on textures, in pictures of ten shapes: the object in the middle, anywhere,
or told by its own aspect ratio alone. For each set, ``auto`` decides from 200 training images, a
head on frozen features of EfficientNet-Lite0 learns from these by each way, and other images judge
it. Regret is what the chosen way loses to the best of three. The best is found on one half of the
judging images and the loss on the other, both ways round: the best by the same images would be
best by luck in part. Writes benchmarks/results/geometry.json. Takes about ten minutes of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

RESULTS = Path(__file__).parent / "results" / "geometry.json"
KINDS = ("centred", "anywhere", "aspect")
#: width over height; a pair is drawn from for each picture
RATIOS = {
    "1:1": (1.0, 1.0),
    "1:1 again": (1.0, 1.0),
    "5:4": (1.25, 1.25),
    "4:3": (4 / 3, 4 / 3),
    "3:2": (1.5, 1.5),
    "16:9": (16 / 9, 16 / 9),
    "2:1": (2.0, 2.0),
    "3:1": (3.0, 3.0),
    "9:16": (9 / 16, 9 / 16),
    "mixed": (0.5, 2.0),
}
SHORT, CLASSES = 180, 5
LEARN, JUDGE = 200, 200
#: aspect ratios of objects, where these are the classes
ASPECTS = (0.4, 0.63, 1.0, 1.6, 2.5)
#: alphabets: pictures differ by set, so that no lucky one counts ten times
_LETTERS = string.ascii_uppercase


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every set, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="sets whose name holds this text; nothing is written")
    args = parser.parse_args(arguments)
    names = [f"{kind} {ratio}" for kind in KINDS for ratio in RATIOS]
    rows = []
    with TemporaryDirectory() as cache:
        os.environ["FROSTLINE_CACHE"] = cache
        for number, name in enumerate(names):
            if args.only and args.only not in name:
                continue
            kind, _, ratio = name.partition(" ")
            rows.append({"set": name, **one_set(kind, RATIOS[ratio], seed=number)})
            print(line(rows[-1]), flush=True)
    print(json.dumps(summary(rows), indent=1))
    if not args.only:
        found = {"images": {"learn": LEARN, "judge": JUDGE}, **summary(rows), "sets": rows}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def pictures(
    kind: str, ratios: tuple[float, float], n: int, *, seed: int
) -> Iterator[tuple[UInt8Array, str]]:
    """Draw n pictures, each with the name of its class."""
    alphabet = np.random.default_rng([seed, 1]).permutation(list(_LETTERS))[:CLASSES]
    random = np.random.default_rng([seed, 2])
    for i in range(n):
        label = i % CLASSES
        ratio = float(np.exp(random.uniform(*np.log(ratios))))
        width, height = (
            (SHORT, round(SHORT / ratio)) if ratio < 1 else (round(SHORT * ratio), SHORT)
        )
        canvas = texture(random, width, height)
        draw = ImageDraw.Draw(canvas)
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        side = SHORT * random.uniform(0.25, 0.45)
        wide, high = side, side
        if kind == "aspect":
            root = float(np.sqrt(ASPECTS[label]))
            wide, high = 0.8 * side * root, 0.8 * side / root
        x, y = random.random(2)
        if kind == "anywhere":
            left, top = x * (width - wide), y * (height - high)
        else:
            # a tenth of the shorter side around the middle
            left = (width - wide) / 2 + 0.2 * SHORT * (x - 0.5)
            top = (height - high) / 2 + 0.2 * SHORT * (y - 0.5)
        if kind == "aspect":
            draw.rectangle((left, top, left + wide, top + high), fill=colour)
        else:
            font = ImageFont.load_default(side)
            centre = (left + wide / 2, top + high / 2)
            draw.text(centre, str(alphabet[label]), fill=colour, font=font, anchor="mm")
        name = f"{ASPECTS[label]:g}" if kind == "aspect" else str(alphabet[label])
        yield np.asarray(canvas), name


def texture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return a ground of noise at four scales."""
    ground = np.zeros((height, width, 3))
    for cells, weight in ((2, 70), (6, 40), (20, 25), (60, 15)):
        small = random.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        planes = [
            Image.fromarray(small[..., c]).resize((width, height), Image.Resampling.BICUBIC)
            for c in range(3)
        ]
        ground += weight * np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return Image.fromarray(np.clip(128 + ground, 0, 255).astype(np.uint8))


def one_set(kind: str, ratios: tuple[float, float], *, seed: int) -> dict[str, Any]:
    """Let ``auto`` decide on one set, and judge all three ways."""
    from frostline.core.runtime import Runtime
    from frostline.core.settings import Settings
    from frostline.core.stopwatch import Stopwatch
    from frostline.fitting.prepare import prepare

    drawn = list(pictures(kind, ratios, LEARN + JUDGE, seed=seed))
    images, labels = [one for one, _ in drawn], [name for _, name in drawn]
    source = {"train": (images[:LEARN], labels[:LEARN]), "test": (images[LEARN:], labels[LEARN:])}

    def prepared(resize: str) -> Any:
        settings = Settings(
            effort="fast",
            group_near_duplicates=False,
            resize=resize,  # type: ignore[arg-type]
        )
        return prepare(source, settings, Runtime.of(settings), Stopwatch())

    auto = prepared("auto").inputs.resizes
    chosen = next(one.mode for one in auto if one.chosen)
    right, unseen = {}, {}
    for mode in ("crop", "squash", "pad"):
        found = prepared(mode)
        right[mode] = judged(found)
        unseen[mode] = found.inputs.resizes[0].unseen
    return {
        "kind": kind,
        "square": ratios == (1.0, 1.0),
        "chosen": chosen,
        "compared": len(auto) > 1,
        "scores": {one.mode: [one.accuracy, one.gain, one.gain_error] for one in auto},
        "accuracy": {mode: float(hits.mean()) for mode, hits in right.items()},
        "unseen": unseen,
        "regret": regret(right, chosen),
    }


def judged(prepared: Any) -> BoolArray:
    """Return which of the judging images a head on all depths classifies rightly."""
    from frostline.evidence.probes import ALL, probe

    problem, features = prepared.inputs.problem, prepared.inputs.frozen.features
    train, test = prepared.split.train, prepared.split.test
    names, blocks = list(features.slices), list(features.slices.values())
    fit = probe(ALL, features.table(names, train), problem.labelled(train), blocks=blocks).fit
    outputs = fit.predict(features.table(names, test))
    hits: BoolArray = problem.target.right(outputs, problem.labels[test])
    return hits


def regret(right: dict[str, BoolArray], chosen: str) -> float:
    """Return the accuracy that the chosen way loses to the best of three, without luck."""
    lost = []
    for first in (0, 1):
        best = max(right, key=lambda mode: right[mode][first::2].mean())
        other = slice(1 - first, None, 2)
        lost.append(right[best][other].mean() - right[chosen][other].mean())
    return float(np.mean(lost))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over the sets."""
    lost = np.array([row["regret"] for row in rows])
    error = float(lost.std(ddof=1) / np.sqrt(len(lost))) if len(lost) > 1 else float("nan")
    always = {
        mode: float(np.mean([regret_of(row, mode) for row in rows]))
        for mode in ("crop", "squash", "pad")
    }
    return {
        "mean_regret": float(lost.mean()),
        "standard_error": error,
        "switched": sum(row["chosen"] != "crop" for row in rows),
        "false_switches_on_square_sets": sum(
            row["square"] and (row["compared"] or row["chosen"] != "crop") for row in rows
        ),
        "mean_accuracy_behind_auto": always,
    }


def regret_of(row: dict[str, Any], mode: str) -> float:
    """Return what always taking one way loses to ``auto``."""
    return float(row["accuracy"][row["chosen"]] - row["accuracy"][mode])


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    shares = " | ".join(f"{row['accuracy'][mode]:.1%}" for mode in ("crop", "squash", "pad"))
    return f"| {row['set']} | {shares} | {row['chosen']} | {100 * row['regret']:+.1f} |"


if __name__ == "__main__":
    main()
