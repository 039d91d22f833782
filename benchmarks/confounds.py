"""Is what should not matter found, and is the honest accuracy that of images without it?

    python -m benchmarks.confounds --solar-cells TABLE --photos FOLDER

Every image of scikit-learn's digits (10 classes), of solar cells (sound or not) and of photos
(8 classes) is made in two versions, for each of five plants:

- *file type*: PNG, or JPEG of quality 30.
- *camera*: EXIF names one of two cameras; the second one sees warmer colours, and noise.
- *camera by name*: EXIF names one of two cameras; the pixels are the same.
- *JPEG quality*: 90, or 15.
- *border*: a thin frame, dark or bright.

In the training images the version follows the class (even or odd) for half of the images, which
is chance, for nine in ten, or for all. The judging images have either version by chance: the
pattern is broken. *Truth* is how a head on frozen features, fitted to the training images, does on
these; it is compared with what the audit says of the training images alone: usual (leave-one-out),
broken (the same where the value is as frequent in all classes), and left out (by fits that never
saw the value). Everything is balanced accuracy.

For false alarms, labels are shuffled, which leaves no fact that tells anything.

Writes benchmarks/results/confounds.json, a set at a time; what is there is not computed again.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.accuracy_and_time import machine
from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen, run_frozen
from frostline.core.confound_record import ConfoundAudit, FactGroupName
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.image_refs import digest_of
from frostline.data.problem import Problem
from frostline.fitting.confounding import find_confounds
from frostline.stats.balanced_gains import gains_of_classes
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import OneHot

RESULTS = Path(__file__).parent / "results" / "confounds.json"
STRENGTHS = (0.5, 0.9, 1.0)
_MOST = 600
_SIDE = 160

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Plant:
    """Two versions of an image: the bytes of a file each, and the group that should be found."""

    group: FactGroupName
    make: Callable[[Image.Image, int, np.random.Generator], tuple[bytes, str]]


@dataclass(frozen=True)
class Versions:
    """Both versions of n images: image ``i`` is row ``2 * i`` or ``2 * i + 1`` of the features."""

    frozen: Frozen
    labels: Array
    classes: tuple[str, ...]


def _bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    found = io.BytesIO()
    image.save(found, kind, **options)
    return found.getvalue()


def _exif(version: int) -> Image.Exif:
    found = Image.Exif()
    found[0x010F], found[0x0110] = ("Alpha", "A1") if version else ("Beta", "B2")
    return found


def _file_type(image: Image.Image, version: int, rng: np.random.Generator) -> tuple[bytes, str]:
    del rng
    return (_bytes(image, "PNG"), "png") if version else (_bytes(image, "JPEG", quality=30), "jpg")


def _camera(image: Image.Image, version: int, rng: np.random.Generator) -> tuple[bytes, str]:
    pixels = np.asarray(image, dtype=np.float64)
    if version:
        pixels = pixels * (1.05, 1.0, 0.9) + rng.normal(0.0, 6.0, pixels.shape)
    seen = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return _bytes(seen, "JPEG", quality=90, exif=_exif(version)), "jpg"


def _camera_name(image: Image.Image, version: int, rng: np.random.Generator) -> tuple[bytes, str]:
    del rng
    return _bytes(image, "JPEG", quality=90, exif=_exif(version)), "jpg"


def _quality(image: Image.Image, version: int, rng: np.random.Generator) -> tuple[bytes, str]:
    del rng
    return _bytes(image, "JPEG", quality=15 if version else 90), "jpg"


def _border(image: Image.Image, version: int, rng: np.random.Generator) -> tuple[bytes, str]:
    del rng
    framed = Image.new("RGB", image.size, (220, 220, 200) if version else (30, 30, 40))
    edge = image.width // 16
    framed.paste(image.crop((edge, edge, image.width - edge, image.height - edge)), (edge, edge))
    return _bytes(framed, "JPEG", quality=90), "jpg"


PLANTS = {
    "file type": Plant("file", _file_type),
    "camera": Plant("camera", _camera),
    "camera by name": Plant("camera", _camera_name),
    "JPEG quality": Plant("compression", _quality),
    "border": Plant("border", _border),
}


def main() -> None:
    """Plant, audit and judge; write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--solar-cells", type=Path, help="Table of cells.")
    parser.add_argument("--photos", type=Path, help="Folder of classes.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--shufflings", type=int, default=100)
    options = parser.parse_args()
    sets: dict[str, Callable[[], tuple[list[Image.Image], Array, tuple[str, ...]]]] = {
        "digits": digits
    }
    if options.solar_cells is not None:
        sets["solar cells"] = lambda: solar_cells(options.solar_cells)
    if options.photos is not None:
        sets["photos"] = lambda: photos(options.photos)
    content = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    content |= {"machine": machine(), "seeds": options.seeds, "shufflings": options.shufflings}
    content.setdefault("sets", {})
    for name, load in sets.items():
        own = content["sets"].setdefault(name, {})
        pictures: tuple[list[Image.Image], Array, tuple[str, ...]] | None = None
        for plant in PLANTS:
            if plant in own:
                continue
            pictures = pictures or load()
            with tempfile.TemporaryDirectory() as folder:
                versions = make_versions(*pictures, PLANTS[plant], Path(folder))
                own[plant] = [
                    planted(versions, PLANTS[plant], strength, seed)
                    for strength in STRENGTHS
                    for seed in range(options.seeds)
                ]
                if plant == next(iter(PLANTS)):
                    own["false alarms"] = false_alarms(versions, options.shufflings)
                    print(name, "false alarms", own["false alarms"], flush=True)
            print(name, plant, json.dumps(summary(own[plant])), flush=True)
            RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    content["summary"] = {
        plant: summary([one for own in content["sets"].values() for one in own[plant]])
        for plant in PLANTS
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def digits() -> tuple[list[Image.Image], Array, tuple[str, ...]]:
    """Return scikit-learn's digits, enlarged."""
    data = load_digits()
    pictures = [
        Image.fromarray((image * 15.9).astype(np.uint8)).convert("RGB").resize((_SIDE, _SIDE))
        for image in data.images[:_MOST]
    ]
    return pictures, data.target[:_MOST], tuple(map(str, range(10)))


def solar_cells(table: Path) -> tuple[list[Image.Image], Array, tuple[str, ...]]:
    """Return solar cells, sound or not: as many of each."""
    lines = [line.rsplit(",", 1) for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    sound = sorted({label for _, label in lines})[0]
    order = np.random.default_rng(0).permutation(len(lines)).tolist()
    kept: dict[int, list[str]] = {0: [], 1: []}
    for row in order:
        kept[int(lines[row][1] != sound)].append(lines[row][0])
    half = _MOST // 2
    names = kept[0][:half] + kept[1][:half]
    pictures = [_opened(Path(name)) for name in names]
    return pictures, np.repeat([0, 1], half), ("sound", "defective")


def photos(folder: Path) -> tuple[list[Image.Image], Array, tuple[str, ...]]:
    """Return photos of a folder of classes."""
    classes = sorted(one.name for one in folder.iterdir() if one.is_dir())
    files = [
        (file, c) for c, name in enumerate(classes) for file in sorted((folder / name).iterdir())
    ]
    return [_opened(file) for file, _ in files], np.array([c for _, c in files]), tuple(classes)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        seen = image.convert("RGBA")
        plain = Image.new("RGBA", seen.size, "white")
        plain.alpha_composite(seen)
        return plain.convert("RGB").resize((_SIDE, _SIDE))


def make_versions(
    pictures: list[Image.Image],
    labels: Array,
    classes: tuple[str, ...],
    plant: Plant,
    folder: Path,
) -> Versions:
    """Write both versions of every image, and compute their features."""
    rng = np.random.default_rng(0)
    rows, digests = [], []
    for i, (image, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
        for version in (0, 1):
            content, ending = plant.make(image, version, rng)
            path = folder / f"{i}-{version}.{ending}"
            path.write_bytes(content)
            rows.append(ImageRow(path, path.name, label))
            digests.append(digest_of(path, name=path.name))
    catalog = Catalog("versions", classes, tuple(rows), tuple(digests))
    runtime = Runtime()
    frozen = run_frozen(Network.load("efficientnet_lite0"), catalog, runtime, fittable=False)
    return Versions(frozen, labels, classes)


def planted(versions: Versions, plant: Plant, strength: float, seed: int) -> dict[str, Any]:
    """Let the version follow the class in training images; audit them; judge where it does not."""
    rng = np.random.default_rng([seed, int(100 * strength)])
    n = len(versions.labels)
    order = rng.permutation(n)
    train, test = order[: 2 * n // 3], order[2 * n // 3 :]
    version = versions.labels % 2
    version = np.where(rng.random(n) < strength, version, 1 - version)
    version[test] = rng.integers(0, 2, len(test))
    rows = 2 * np.arange(n) + version
    audit = _audited(versions, np.repeat(versions.labels, 2), rows[train])
    own = next(one for one in audit.groups if one.group == plant.group)
    features = versions.frozen.features
    table = features.table(list(features.slices), rows)
    blocks = list(features.slices.values())
    k = len(versions.classes)
    fit = ridge_loo(table[train], OneHot(versions.labels[train], k), blocks=blocks)
    shares = np.bincount(versions.labels[train], minlength=k) / len(train)
    outputs = fit.predict(np.asarray(table[test]))
    truth = gains_of_classes(outputs, versions.labels[test], shares)
    follows = version[test] == versions.labels[test] % 2
    honest = own.honest
    return {
        "strength": strength,
        "seed": seed,
        "verdict": own.verdict,
        "others": {one.group: one.verdict for one in audit.groups if one.group != plant.group},
        "facts_score": own.score,
        "truth": truth.score,
        "truth_with": float(truth.plain[follows].mean()),
        "truth_against": float(truth.plain[~follows].mean()),
        "usual_loo": audit.usual,
        **(
            {}
            if honest is None
            else {
                "fact": honest.fact,
                "judged": honest.judged,
                "images": honest.images,
                "usual": honest.usual,
                "same_count": honest.same_count,
                "left_out": honest.left_out,
                "left_out_interval": honest.left_out_interval,
                "broken": honest.broken,
                "broken_interval": honest.broken_interval,
                "given_away": len(honest.given_away),
                "with_pattern": honest.with_pattern,
                "against_pattern": honest.against_pattern,
            }
        ),
    }


def _audited(versions: Versions, labels: Array, rows: Array) -> ConfoundAudit:
    problem = Problem.of(versions.frozen.catalog, labels=labels)
    return find_confounds(problem, versions.frozen, rows, Runtime())


def false_alarms(versions: Versions, shufflings: int) -> dict[str, int]:
    """Count audits of shuffled labels that name a group, and that warn."""
    found = {"audits": shufflings, "named": 0, "warned": 0}
    n = len(versions.labels)
    for seed in range(shufflings):
        rng = np.random.default_rng([7, seed])
        rows = 2 * np.arange(n) + rng.integers(0, 2, n)
        labels = np.repeat(rng.permutation(versions.labels), 2)
        verdicts = {one.verdict for one in _audited(versions, labels, rows).groups}
        found["named"] += verdicts != {"nothing"}
        found["warned"] += bool(verdicts & {"warning", "inseparable"})
    return found


def summary(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Count verdicts and average scores for each strength."""
    found: dict[str, Any] = {}
    for strength in STRENGTHS:
        own = [one for one in cells if one["strength"] == strength]
        entry: dict[str, Any] = {"runs": len(own)}
        for verdict in ("nothing", "note", "inseparable", "warning"):
            entry[verdict] = sum(one["verdict"] == verdict for one in own)
        entry["other_warnings"] = sum(
            one in ("warning", "inseparable") for cell in own for one in cell["others"].values()
        )
        scores = ("truth", "truth_with", "truth_against", "usual_loo", "usual", "same_count")
        for name in (*scores, "left_out", "broken", "with_pattern", "against_pattern"):
            known = [one[name] for one in own if one.get(name) is not None]
            entry[name] = round(float(np.mean(known)), 4) if known else None
        found[str(strength)] = entry
    return found


if __name__ == "__main__":
    main()
