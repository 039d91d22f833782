"""Disks that are full or read-only, stores with flipped bytes, clocks that jump, too little memory.

Every command must end clearly (one message, no traceback, an exit code that is not 0) or rightly;
and when the fault is gone, the same command must reach the undisturbed result.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.soak._client import Ended, Job
from tests.soak._ground import Ground
from tests.soak._runs import differences, outcome

_FLIPS = 5
_SIZES = (0.02, 0.2, 0.5, 0.8, 0.95)
_MEMORY_MB = (8, 30, 60, 100, 150, 220, 320)
_JUMPS = (86400.0 * 400, -86400.0 * 400, 3600.0, -5.0)


class Tally:
    """Counts how commands under one fault ended; goes on where a stopped study left it."""

    def __init__(self, found: dict[str, Any], name: str, until: float) -> None:
        start = {"tries": 0, "right": 0, "clear": 0, "native": 0, "wrong": []}
        self._counts = found.setdefault(name, start)
        self._until = until

    def left(self, total: int) -> Iterator[int]:
        """Numbers of the tries that are left, while there is time."""
        while self._counts["tries"] < total and time.monotonic() < self._until:
            yield self._counts["tries"]
            self._counts["tries"] += 1

    def judge(self, ended: Ended, right: Callable[[], list[str]]) -> None:
        """Count one ended command; ``right`` says what is wrong with the result of one that did."""
        if ended.code == 0:
            wrong = right()
            self._counts["right"] += not wrong
            self._counts["wrong"] += [f"{name} differs" for name in wrong]
        elif ended.clear and ended.said.count("rror:") == 1:
            self._counts["clear"] += 1
        elif ended.code < 0:
            # a library in C++ ended the process: no message is possible, nothing is lost
            self._counts["native"] += 1
        else:
            self._counts["wrong"].append(f"code {ended.code}: {ended.said[-700:]}")

    def afterwards(self, wrong: list[str]) -> None:
        """Note what is wrong with the result once the fault is gone."""
        self._counts["wrong"] += [f"afterwards {name} differs" for name in wrong]


def full_disk(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Mount ever larger small disks below the output, the cache, and the temporary files."""
    if not _may_mount():
        found["note"] = "not root: only files that may not grow were tried"
    for what in ("output", "cache", "temporary files") if _may_mount() else ():
        tally = Tally(found, f"full disk for {what}", until)
        need = 2 * _size(ground.whole("cut").place)
        for number in tally.left(len(_SIZES)):
            _on_a_full_disk(ground, tally, "cut", what, int(need * _SIZES[number]))
    tally = Tally(found, "files that may not grow", until)
    for number in tally.left(len(_SIZES)):
        size = int(_largest(ground.whole("cut").place) * _SIZES[number])
        place = ground.work / "growing"
        job = ground.job("cut", place / "run", place / "cache", patches={"file_size": size})
        _try(ground, tally, "cut", job, place)


def _on_a_full_disk(ground: Ground, tally: Tally, recipe: str, what: str, size: int) -> None:
    place, disk = ground.work / "full", ground.work / "disk"
    run, cache = place / "run", place / "cache"
    env = {}
    with _disk(disk, max(size, 4096)):
        if what == "output":
            run = disk / "run"
        elif what == "cache":
            cache = disk / "cache"
        else:
            env = {"TMPDIR": str(disk)}
        ended = ground.server.one(ground.job(recipe, run, cache, env=env))
        reference = ground.reference(recipe)
        tally.judge(ended, lambda: differences(outcome(run), reference))
        if ended.code:
            _mount(disk, "remount,size=1g")
            ground.server.one(ground.job(recipe, run, cache))
            tally.afterwards(differences(outcome(run), reference))
    shutil.rmtree(place, ignore_errors=True)


def read_only(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Output or cache on a disk that is mounted read-only."""
    if not _may_mount():
        found["note"] = "not root: not tried"
        return
    for what in ("output", "cache", "cache that holds everything", "output of an unfinished run"):
        tally = Tally(found, f"read-only {what}", until)
        for number in tally.left(2):
            recipe = ("head", "cut")[number]
            place, disk = ground.work / "read", ground.work / "disk"
            with _disk(disk, 2**28):
                run = disk / "run" if "output" in what else place / "run"
                cache = disk / "cache" if "cache" in what else place / "cache"
                if what == "output of an unfinished run":
                    moment = 0.7 * ground.seconds(recipe)
                    ground.server.one(ground.job(recipe, run, cache, after=moment))
                if what == "cache that holds everything":
                    shutil.copytree(ground.whole(recipe).cache, cache)
                _mount(disk, "remount,ro")
                ended = ground.server.one(ground.job(recipe, run, cache))
                reference = ground.reference(recipe)
                tally.judge(ended, lambda: differences(outcome(run), reference))  # noqa: B023
            shutil.rmtree(place, ignore_errors=True)


def flipped_bytes(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Overwrite bytes at random offsets of every kind of file in the cache and of checkpoints."""
    for kind in ("images", "engines", "fits", "checkpoints/state", "checkpoints/tensors"):
        tally = Tally(found, f"flipped bytes in {kind}", until)
        for number in tally.left(_FLIPS):
            recipe = ("cut", "race")[number % 2]
            _flip(ground, tally, recipe, kind, random.Random(f"{kind} {number}"))


def _flip(ground: Ground, tally: Tally, recipe: str, kind: str, dice: random.Random) -> None:
    place = ground.work / "flipped"
    run, cache = place / "run", place / "cache"
    shutil.copytree(ground.whole(recipe).cache, cache)
    folder, pattern = cache / kind, "*"
    if kind.startswith("checkpoints"):
        moment = dice.uniform(0.4, 0.8) * ground.seconds(recipe)
        ground.server.one(ground.job(recipe, run, cache, after=moment))
        folder = run / "checkpoints"
        pattern = "state.json" if kind.endswith("state") else "*.safetensors"
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if files:
        path = dice.choice(files)
        content = bytearray(path.read_bytes())
        for _ in range(dice.choice((1, 1, 4))):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content)
    ended = ground.server.one(ground.job(recipe, run, cache))
    tally.judge(ended, lambda: differences(outcome(run), ground.reference(recipe)))
    shutil.rmtree(place)


def jumping_clock(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Let the calendar clock jump at every look, and files of the store come from the future."""
    tally = Tally(found, "clock that jumps", until)
    for number in tally.left(len(_JUMPS)):
        recipe = ("cut", "race")[number % 2]
        place = ground.work / "clock"
        cache = place / "cache"
        if number % 2:
            shutil.copytree(ground.whole(recipe).cache, cache)
            for path in cache.rglob("*"):
                os.utime(path, (time.time() + 10**8,) * 2)
        patches = {"clock_jumps": _JUMPS[number % len(_JUMPS)]}
        moment = 0.6 * ground.seconds(recipe)
        job = ground.job(recipe, place / "run", cache, patches=patches)
        ground.server.one(ground.job(recipe, place / "run", cache, patches=patches, after=moment))
        _try(ground, tally, recipe, job, place)


def little_memory(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Limit the address space to what the process has at its start, and a little more."""
    tally = Tally(found, "too little memory", until)
    for number in tally.left(len(_MEMORY_MB)):
        recipe = "cut"
        place = ground.work / "memory"
        more = _MEMORY_MB[number % len(_MEMORY_MB)] * 2**20
        job = ground.job(recipe, place / "run", place / "cache", patches={"address_space": more})
        _try(ground, tally, recipe, job, place)


FAULTS: dict[str, Callable[[Ground, dict[str, Any], float], None]] = {
    "memory": little_memory,
    "full disks": full_disk,
    "read-only disks": read_only,
    "flipped bytes": flipped_bytes,
    "clocks": jumping_clock,
}


def _try(ground: Ground, tally: Tally, recipe: str, job: Job, place: Path) -> None:
    """Run a job under a fault; then without it, if it did not get through."""
    run, reference = place / "run", ground.reference(recipe)
    ended = ground.server.one(job)
    tally.judge(ended, lambda: differences(outcome(run), reference))
    if ended.code:
        ground.server.one(ground.job(recipe, run, place / "cache"))
        tally.afterwards(differences(outcome(run), reference))
    shutil.rmtree(place)


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[None]:
    """Mount an empty disk of so many bytes."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
