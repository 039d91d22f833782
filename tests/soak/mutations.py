"""Break one line that a promise rests on, and see that a test nearby fails."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.soak import record
from tests.soak._mutants import MUTANTS, Mutant

ORDER = 9
TITLE = "Broken lines"
PART = "mutations"

_ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("src", "tests", "benchmarks")
#: decides in which order lines are broken, so that a short run tries some of every room
_SEED = 9
#: a test that hangs has noticed
_MOST_SECONDS = 600.0
_TESTS_FAILED = 1


def run(work: Path, until: float) -> None:
    """Try every mutant whose file and tests are not those of an earlier run."""
    tree = work / "tree"
    _copy(tree)
    found = record.read(PART)
    broken = found.get("broken", {})
    whole = found.get("whole", {})
    order = list(MUTANTS)
    random.Random(_SEED).shuffle(order)
    for mutant in order:
        if broken.get(mutant.promise, {}).get("of") == _state(mutant):
            continue
        tests = " ".join(mutant.tests)
        state = _digest(_files(mutant.tests))
        if whole.get(tests, {}).get("of") != state:
            passed = _passes(tree, mutant.tests, until)
            if passed is None:
                return
            whole[tests] = {"of": state, "passed": passed}
        # tests that fail in any case say nothing about this line
        if whole[tests]["passed"]:
            killed = _killed(tree, mutant, until)
            if killed is None:
                return
            broken[mutant.promise] = {"of": _state(mutant), "killed": killed, "file": mutant.file}
        record.write(PART, {"broken": broken, "whole": whole})


def section(found: dict[str, Any]) -> str:
    """Return how many lines a test guards, and which none does."""
    places = found["broken"]
    killed = [name for name, place in places.items() if place["killed"]]
    lines = [
        f"One line is changed at a time, so that a promise no longer holds; then the tests nearby "
        f"run. They noticed {len(killed)} of {len(places)} changes.\n",
        "| promise | line in | a test fails |",
        "|---|---|---|",
    ]
    for mutant in MUTANTS:
        place = places.get(mutant.promise)
        if place is not None:
            said = "yes" if place["killed"] else "**no**"
            lines.append(f"| {mutant.promise} | `{mutant.file}` | {said} |")
    return "\n".join(lines) + "\n"


def broken_text(text: str, mutant: Mutant) -> str:
    """Return a source text with the mutant's line replaced.

    Raises
    ------
    ValueError
        If the line does not occur exactly once.
    """
    found = text.count(mutant.line)
    if found != 1:
        raise ValueError(f"{mutant.file} has {mutant.line!r} {found} times, expected once.")
    return text.replace(mutant.line, mutant.replacement)


def _killed(tree: Path, mutant: Mutant, until: float) -> bool | None:
    path = tree / "src" / "frostline" / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(broken_text(text, mutant), encoding="utf-8")
    try:
        passed = _passes(tree, mutant.tests, until)
    finally:
        path.write_text(text, encoding="utf-8")
    return None if passed is None else not passed


def _passes(tree: Path, tests: Iterable[str], until: float) -> bool | None:
    """Whether these tests pass; None where there was no time to say."""
    left = min(_MOST_SECONDS, until - time.monotonic())
    if left <= 0:
        return None
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join(str(tree / name) for name in ("src", "."))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=left, check=False
        )
    except subprocess.TimeoutExpired:
        return False if left == _MOST_SECONDS else None
    if done.returncode not in (0, _TESTS_FAILED):
        raise RuntimeError(f"{' '.join(command)} did not run:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def _copy(tree: Path) -> None:
    for name in _COPIED:
        shutil.copytree(_ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(_ROOT / "pyproject.toml", tree)


def _state(mutant: Mutant) -> str:
    """Return what a finding belongs to: the change, the file, and its tests."""
    file = _ROOT / "src" / "frostline" / mutant.file
    return _digest([file, *_files(mutant.tests)], repr(mutant))


def _files(tests: Iterable[str]) -> list[Path]:
    return [_ROOT / test.partition("::")[0] for test in tests]


def _digest(files: Iterable[Path], text: str = "") -> str:
    found = hashlib.sha256(text.encode())
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]
