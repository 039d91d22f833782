"""Two commands at once over one store, folder or target: a kill of one never harms the other."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.soak._client import Job
from tests.soak._ground import Ground
from tests.soak._runs import differences, outcome
from tests.soak._wholeness import broken, half_written

_ROUNDS = 5


def share_store(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Two runs compute the same features at once; one is killed, and goes on afterwards."""
    for number in _rounds(found, until):
        dice, place = random.Random(number), ground.work / "shared"
        cache = place / "cache"
        first, second = ("cut", "finetune") if number % 2 else ("head", "full")
        moment = dice.uniform(0.0, 2.0 * ground.seconds(first))
        killed, other = ground.server.run(
            _said(ground.job(first, place / "a", cache, after=moment), place / "a.txt"),
            _said(ground.job(second, place / "b", cache), place / "b.txt"),
        )
        found["kills"] = found.get("kills", 0) + killed.killed
        if killed.killed:
            ground.server.one(ground.job(first, place / "a", cache))
        wrong = [] if other.code == 0 else [f"the other ended with {other.code}: {other.said}"]
        for recipe, run in ((first, place / "a"), (second, place / "b")):
            wrong += [f"{recipe}: {n}" for n in differences(outcome(run), ground.reference(recipe))]
            wrong += broken(run, cache, ground.reference(recipe))
        _count(found, wrong)
        shutil.rmtree(place)


def share_folder(ground: Ground, found: dict[str, Any], until: float) -> None:
    """The same command twice at once: one does the work, the other says that it is being done."""
    for number in _rounds(found, until):
        place = ground.work / "one folder"
        recipe = ("head", "cut")[number % 2]
        ended = ground.server.run(
            *(
                _said(ground.job(recipe, place / "run", place / "cache"), place / f"{i}.txt")
                for i in range(2)
            )
        )
        wrong = differences(outcome(place / "run"), ground.reference(recipe))
        if sorted(end.code for end in ended) != [0, 2] or not all(end.clear for end in ended):
            wrong.append(f"they ended with {[(end.code, end.said) for end in ended]}")
        _count(found, wrong)
        shutil.rmtree(place)


def share_target(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Two exports to one place, one of them killed: what stands there is a whole one."""
    expected: dict[str, bytes] = {}
    for number in _rounds(found, until):
        dice, place = random.Random(number), ground.work / "one target"
        shutil.copytree(ground.whole("cut").place / "run", place / "run")
        kind, target = (("hub", "folder"), ("onnx", "model.onnx"))[number % 2]
        words = ["export", str(place / "run"), "-o", str(place / target), "--to", kind]
        job = Job([*words, "--overwrite"], place / "cache", place / "said.txt")
        alone = ground.server.one(job)
        expected = _bytes(place / target)
        moment = dice.uniform(0.0, 2.0 * alone.seconds)
        killed, other = ground.server.run(
            Job(job.arguments, job.cache, place / "a.txt", after=moment),
            _said(job, place / "b.txt"),
        )
        found["kills"] = found.get("kills", 0) + killed.killed
        wrong = []
        if _bytes(place / target) != expected:
            wrong.append(f"the {kind} export is not whole")
        # the one that comes second may find that the other has just been there
        if not (other.code == 0 or other.clear):
            wrong.append(f"the other ended with {other.code}: {other.said}")
        if ground.server.one(job).code or half_written(place):
            wrong.append(f"the next {kind} export failed or left something")
        _count(found, wrong)
        shutil.rmtree(place)


SHARING: dict[str, Callable[[Ground, dict[str, Any], float], None]] = {
    "two runs over one store": share_store,
    "two runs in one folder": share_folder,
    "two exports to one target": share_target,
}


def _rounds(found: dict[str, Any], until: float) -> Iterator[int]:
    """Numbers of the rounds that are left, while there is time."""
    while found.get("rounds", 0) < _ROUNDS and time.monotonic() < until:
        yield found.get("rounds", 0)


def _count(found: dict[str, Any], wrong: list[str]) -> None:
    found["rounds"] = found.get("rounds", 0) + 1
    found.setdefault("wrong", []).extend(wrong)


def _said(job: Job, said: Path) -> Job:
    return Job(job.arguments, job.cache, said, job.after, job.signal, job.patches)


def _bytes(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.name: file.read_bytes() for file in files if file.is_file()}
