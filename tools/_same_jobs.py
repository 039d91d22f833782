"""The command lines that two source trees are compared by, and the images that they read.

Every pass over images has fewer than 500 of them: then no engine is timed and none remembered, so
both trees compute with the same one. One thread computes, so that a busy machine changes nothing.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.accuracy_and_time import PHOTO_CLASSES, photo_folder

#: folder of a finished run, relative to the folder of its job
RUN = "run"

_ALWAYS = ("--seed", "0", "--threads", "1", "--workers", "1")
_SMALL = ("--input-size", "64")
_FAST = ("--effort", "fast")
#: what a solar cell of a given probability of a defect is called
_LEVELS = {"0.0": "sound", "0.3333333333333333": "possible", "0.6666666666666666": "likely"}


class MissingImagesError(Exception):
    """Images that a job reads are not on this machine."""


@dataclass(frozen=True)
class Job:
    """Commands that run one after the other, in a folder and with a cache of their own.

    Attributes
    ----------
    name : str
    commands : tuple of tuple of str
        Arguments of ``python -m frostline``.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]

    @cached_property
    def key(self) -> str:
        """Stands for the commands and for the files that they name."""
        found = hashlib.sha256(repr(self.commands).encode())
        named = {Path(a) for command in self.commands for a in command if Path(a).is_absolute()}
        for path in sorted(named):
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file():
                    found.update(str(file).encode() + file.read_bytes())
        return found.hexdigest()


class Images:
    """The images of all jobs, written or linked when they are first asked for.

    Parameters
    ----------
    folder : Path
    photos : Path or None
        Debian's ``tuxpaint-stamps-default``, unpacked.
    """

    def __init__(self, folder: Path, photos: Path | None) -> None:
        self._folder = folder.absolute()
        self._given = photos

    @cached_property
    def digits(self) -> Path:
        """400 handwritten digits of 32 x 32 pixels, 80 of them for the test."""
        return self._digits("digits", range(400), lambda i: "test" if i % 5 == 4 else "train")

    @cached_property
    def few_digits(self) -> Path:
        """150 digits without a test part."""
        return self._digits("few-digits", range(150), lambda _: "")

    @cached_property
    def other_digits(self) -> Path:
        """60 more digits."""
        return self._digits("other-digits", range(400, 460), lambda _: "")

    @cached_property
    def solar(self) -> Path:
        """A table of 300 solar cells."""
        return self._solar("solar.csv")

    @cached_property
    def solar_parts(self) -> Path:
        """The same cells, a fifth of them for the test."""
        return self._solar("solar-parts.csv", split=True)

    @cached_property
    def solar_groups(self) -> Path:
        """The same cells, always three that follow each other in one group."""
        return self._solar("solar-groups.csv", group=True)

    @cached_property
    def photos(self) -> Path:
        """206 photos in eight folders: no cartoons, no mirrored copies."""
        return photo_folder(self._stamps(), self._folder / "photos")

    def some(self, source: Path) -> list[str]:
        """Return six images below a folder, or of those that a table does not name."""
        if source.suffix == ".csv":
            return [str(path) for path, _ in _cells()[4:1000:180]]
        files = sorted(path for path in source.rglob("*.png"))
        return [str(path) for path in files[:: len(files) // 6][:6]]

    def _digits(self, name: str, numbers: Sequence[int], part: Callable[[int], str]) -> Path:
        folder = self._folder / name
        data = load_digits()
        for i in numbers:
            grey = np.clip(data.images[i] * 16, 0, 255).astype(np.uint8)
            file = folder / part(i) / str(data.target[i]) / f"{i:04d}.png"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.kron(grey, np.ones((4, 4), np.uint8))).save(file)
        return folder

    def _solar(self, name: str, *, split: bool = False, group: bool = False) -> Path:
        cells = _cells()
        rows = [cells[8 * i] for i in range(300)]
        table = self._folder / name
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            more = ["split"] * split + ["group"] * group
            writer.writerow(["path", "label", *more])
            for i, (path, label) in enumerate(rows):
                part = ["test" if i % 5 == 4 else "train"] * split
                writer.writerow([path, label, *part, *([f"module {i // 3}"] * group)])
        return table

    def _stamps(self) -> Path:
        if self._given is None:
            raise MissingImagesError("no --photos were given")
        inside = (self._given, self._given / "usr/share/tuxpaint/stamps")
        found = next((path for path in inside if (path / PHOTO_CLASSES[0]).is_dir()), None)
        if found is None:
            raise MissingImagesError(f"{self._given} has no folder {PHOTO_CLASSES[0]}")
        return found


def _cells() -> list[tuple[Path, str]]:
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise MissingImagesError("the package elpv-dataset is not installed")
    home = Path(spec.origin).parent / "data"
    lines = (home / "labels.csv").read_text(encoding="utf-8").splitlines()
    cells = [line.split()[:2] for line in lines]
    return [(home / path, _LEVELS.get(probability, "broken")) for path, probability in cells]


def _fit(source: Path, *options: str, run: str = RUN) -> tuple[str, ...]:
    size = () if "--input-size" in options else _SMALL
    return ("fit", str(source), "-o", run, *options, *size, *_ALWAYS)


def _fitted(name: str, images: Images, source: Path, *options: str) -> Job:
    """A fit, and what its model says of a few images."""
    predict = ("predict", RUN, *images.some(source), "--json")
    return Job(name, (_fit(source, *options), predict))


def _digits_fast(images: Images) -> Job:
    job = _fitted("digits-fast", images, images.digits, *_FAST)
    return Job(job.name, (*job.commands, ("evaluate", RUN, str(images.other_digits), "--json")))


def _digits_again(images: Images) -> Job:
    """A run that finds everything in the store, and one that carries out a plan."""
    source = images.few_digits
    advise = ("advise", str(source), "--save", "plan.json", *_FAST, *_SMALL, *_ALWAYS)
    planned = _fit(source, "--plan", "plan.json", run="run-planned")
    return Job("digits-again", (advise, _fit(source, *_FAST), planned))


def _photos_fast(images: Images) -> Job:
    source = images.photos
    job = _fitted("photos-fast", images, source, *_FAST, "--input-size", "224")
    export = ("export", RUN, "-o", "model.onnx")
    exported = ("predict", "model.onnx", *images.some(source), "--json")
    features = ("inspect", RUN, "--features", images.some(source)[0], "features.png")
    return Job(job.name, (*job.commands, export, exported, features))


#: makes each job, by its name
JOBS: dict[str, Callable[[Images], Job]] = {
    "digits-fast": _digits_fast,
    "digits-again": _digits_again,
    "digits-sizes": lambda images: _fitted(
        "digits-sizes", images, images.few_digits, *_FAST, "--input-size", "48,64"
    ),
    "digits-head": lambda images: _fitted(
        "digits-head", images, images.digits, "--strategy", "head"
    ),
    "digits-cut": lambda images: _fitted(
        "digits-cut", images, images.digits, "--strategy", "cut", "--epochs", "2"
    ),
    "digits-cut-all": lambda images: _fitted(
        *("digits-cut-all", images, images.digits),
        *("--strategy", "cut", "--train-all", "--epochs", "1"),
    ),
    "digits-full": lambda images: _fitted(
        "digits-full", images, images.digits, "--strategy", "full", "--epochs", "1"
    ),
    # whether mirrored images keep their class is plain for digits, whatever is drawn to tell
    "digits-cv": lambda images: _fitted(
        "digits-cv", images, images.few_digits, "--strategy", "finetune", "--epochs", "1"
    ),
    "solar-fast": lambda images: _fitted(
        "solar-fast", images, images.solar, *_FAST, "--input-size", "112"
    ),
    "solar-finetune": lambda images: _fitted(
        *("solar-finetune", images, images.solar_parts),
        *("--strategy", "finetune", "--epochs", "2", "--class-weights", "balanced"),
    ),
    "solar-race": lambda images: _fitted(
        "solar-race", images, images.solar_parts, "--effort", "balanced", "--budget", "30s"
    ),
    "solar-groups": lambda images: _fitted("solar-groups", images, images.solar_groups, *_FAST),
    "solar-groups-race": lambda images: _fitted(
        "solar-groups-race", images, images.solar_groups, "--budget", "20s"
    ),
    "photos-fast": _photos_fast,
}
