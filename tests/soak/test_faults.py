"""Disks that are full or read-only, stores with flipped bytes, clocks that jump, too little memory.

Every command must end clearly (one message, no traceback, an exit code that is not 0) or rightly;
and when the fault is gone, the same command must reach the undisturbed result.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.soak import commands
from tests.soak.commands import Ended, Job, limit_memory
from tests.soak.ground import ROUNDS, Ground

pytestmark = pytest.mark.soak
_SHARES = (0.02, 0.2, 0.5, 0.8, 0.95)
_may_mount = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="needs to mount disks"
)


@pytest.mark.parametrize("megabytes", [8, 30, 60, 100, 150, 220, 320])
def test_too_little_memory(ground: Ground, megabytes: int, tmp_path: Path) -> None:
    fault = partial(limit_memory, megabytes * 2**20)
    _under(ground, "cut", tmp_path, before=(fault,))


@pytest.mark.parametrize("share", _SHARES)
def test_files_that_may_not_grow(ground: Ground, share: float, tmp_path: Path) -> None:
    place = ground.whole("cut").place
    most = max(path.stat().st_size for path in place.rglob("*") if path.is_file())
    _under(ground, "cut", tmp_path, before=(partial(_file_size, int(most * share)),))


@pytest.mark.parametrize("number", range(2 * ROUNDS))
def test_a_clock_that_jumps(ground: Ground, number: int, tmp_path: Path) -> None:
    recipe, seconds = ("cut", "race")[number % 2], (86400.0 * 400, -86400.0 * 400, 3600.0, -5.0)
    if number % 2:
        shutil.copytree(ground.whole(recipe).cache, tmp_path / "cache")
        for path in tmp_path.rglob("*"):
            os.utime(path, (time.time() + 10**8,) * 2)
    fault = partial(_clock_jumps, seconds[number % 4])
    moment = 0.6 * ground.whole(recipe).seconds
    job = ground.job(recipe, tmp_path / "run", tmp_path / "cache", before=(fault,), after=moment)
    commands.one(job)
    _under(ground, recipe, tmp_path, before=(fault,))


@_may_mount
@pytest.mark.parametrize("share", _SHARES)
@pytest.mark.parametrize("what", ["output", "cache", "temporary files"])
def test_a_full_disk(ground: Ground, what: str, share: float, tmp_path: Path) -> None:
    need = 2 * _size(ground.whole("cut").place)
    with _disk(tmp_path / "disk", max(int(need * share), 4096)) as disk:
        run = (disk if what == "output" else tmp_path) / "run"
        cache = (disk if what == "cache" else tmp_path) / "cache"
        env = {"TMPDIR": str(disk)} if what == "temporary files" else {}
        words = ground.words("cut", ground.work / "images", run)
        ended = commands.one(Job(words, cache, tmp_path / "said.txt", env=env))
        _clear_or_right(ground, "cut", ended, run)
        if ended.code:
            _mount(disk, "remount,size=1g")
            commands.one(Job(words, cache, tmp_path / "said.txt"))
            assert not ground.differences("cut", run)


@_may_mount
@pytest.mark.parametrize("recipe", ["head", "cut"])
@pytest.mark.parametrize("what", ["output", "cache", "full cache", "output of an unfinished run"])
def test_a_read_only_disk(ground: Ground, what: str, recipe: str, tmp_path: Path) -> None:
    with _disk(tmp_path / "disk", 2**28) as disk:
        run = (disk if "output" in what else tmp_path) / "run"
        cache = (disk if "cache" in what else tmp_path) / "cache"
        job = Job(ground.words(recipe, ground.work / "images", run), cache, tmp_path / "said.txt")
        if what == "output of an unfinished run":
            moment = 0.7 * ground.whole(recipe).seconds
            commands.one(Job(job.arguments, cache, job.said, after=moment))
        if what == "full cache":
            shutil.copytree(ground.whole(recipe).cache, cache)
        _mount(disk, "remount,ro")
        _clear_or_right(ground, recipe, commands.one(job), run)


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("kind", ["images", "engines", "fits", "state.json", "*.safetensors"])
def test_flipped_bytes(ground: Ground, kind: str, number: int, tmp_path: Path) -> None:
    dice, recipe = random.Random(f"{kind} {number}"), ("cut", "race")[number % 2]
    run, cache = tmp_path / "run", tmp_path / "cache"
    shutil.copytree(ground.whole(recipe).cache, cache)
    folder, pattern = cache / kind, "*"
    if "." in kind:
        moment = dice.uniform(0.4, 0.8) * ground.whole(recipe).seconds
        commands.one(ground.job(recipe, run, cache, after=moment))
        folder, pattern = run / "checkpoints", kind
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if files:
        path = dice.choice(files)
        content = bytearray(path.read_bytes())
        for _ in range(dice.choice((1, 1, 4))):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content)
    if not (run / "metrics.json").exists():
        _clear_or_right(ground, recipe, commands.one(ground.job(recipe, run, cache)), run)


def _under(ground: Ground, recipe: str, place: Path, *, before: tuple[partial[None], ...]) -> None:
    """Run a job under a fault; then without it, if it did not get through."""
    run, cache = place / "run", place / "cache"
    ended = commands.one(ground.job(recipe, run, cache, before=before))
    _clear_or_right(ground, recipe, ended, run)
    if ended.code:
        ended = commands.one(ground.job(recipe, run, cache))
        assert ended.code == 0, ended.said
        assert not ground.differences(recipe, run)


def _clear_or_right(ground: Ground, recipe: str, ended: Ended, run: Path) -> None:
    if ended.code == 0:
        assert not ground.differences(recipe, run)
    else:
        # a library in C++ may end the process: no message is possible, nothing is lost
        assert ended.clear or ended.code < 0, ended.said


def _file_size(most: int) -> None:
    """Let no file grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _clock_jumps(seconds: float) -> None:
    """Let every look at the calendar clock see it jump back or forth, further every time."""
    plain, looks = time.time, 0

    def jumping() -> float:
        nonlocal looks
        looks += 1
        return plain() + seconds * (looks % 3)

    time.time = jumping


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount an empty disk of so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
