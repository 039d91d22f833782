"""A light install without installing: links to the packages of the core, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_SECONDS = 120


def link_core(folder: Path) -> Path:
    """Fill a folder with links to what a wheel of Frostline depends on, at any remove."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [(Requirement(line), "") for line in project["dependencies"]]
    known: set[str] = set()
    while waiting:
        needed, extra = waiting.pop()
        if needed.name in known or (needed.marker and not needed.marker.evaluate({"extra": extra})):
            continue
        known.add(needed.name)
        found = metadata.distribution(needed.name)
        waiting += [(Requirement(line), "") for line in found.requires or ()]
        waiting += [
            (Requirement(line), wanted) for wanted in needed.extras for line in found.requires or ()
        ]
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    return folder


def light(core: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with Frostline and its core alone: no folder of installed packages is searched."""
    with starting(core, *arguments) as process:
        out, err = process.communicate(timeout=_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def starting(core: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start such a process; it is stopped when the block ends."""
    path = os.pathsep.join([str(core), str(ROOT / "src")])
    command = [sys.executable, "-S", *arguments]
    with stopped_at_the_end(command, {**os.environ, "PYTHONPATH": path}) as process:
        yield process


@contextmanager
def stopped_at_the_end(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a process whose output is read; it is stopped when the block ends."""
    process = subprocess.Popen(
        command,
        env={**environment, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
