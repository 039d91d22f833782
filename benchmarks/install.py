"""What an install takes: seconds from nothing to ``frostline --help``, disk, largest packages.

    python -m benchmarks.install                     # the wheel of this tree, without PyTorch
    python -m benchmarks.install --extras train      # and with an extra
    python -m benchmarks.install --against FOLDER    # and another tree, side by side

Each install is a fresh environment that the wheel is installed into, three times; bytecode is
neither written nor counted. Needs a package index, and the room. Run it with nothing else running.
Updates benchmarks/results/install.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "install.json"
#: packages that are named
_LARGEST = 12
_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def build_wheel(tree: Path, folder: Path) -> Path:
    """Build the wheel of a tree into a folder, with what builds it in an environment of its own."""
    command = [sys.executable, *_PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(tree)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("frostline-*.whl")
    return wheel


def bare_environment(folder: Path) -> Path:
    """Make an environment with nothing in it but pip; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def install(python: Path, wheel: Path, extras: str = "") -> None:
    """Install a wheel, and extras with commas between, in the versions that work together."""
    constraints = ROOT / "constraints.txt"
    what = f"{wheel}[{extras}]" if extras else str(wheel)
    command = [str(python), *_PIP, "install", "--no-compile", "--constraint", str(constraints)]
    subprocess.run([*command, what], check=True)


def disk(folder: Path) -> int:
    """Bytes that files below a folder take on the disk, bytecode not counted, as ``du`` says."""
    return sum(blocks for _, blocks in _sizes(folder))


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        if "__pycache__" not in path.parts:
            yield path, path.lstat().st_blocks * 512


def largest(environment: Path) -> dict[str, int]:
    """Bytes of the largest packages; shared libraries beside a package count as its own."""
    (packages,) = environment.glob("lib/python*/site-packages")
    found: dict[str, int] = {}
    for path, size in _sizes(packages):
        name = path.relative_to(packages).parts[0].removesuffix(".libs")
        found[name] = found.get(name, 0) + size
    return dict(sorted(found.items(), key=lambda item: -item[1])[:_LARGEST])


def measure(tree: Path, extras: str, rounds: int, work: Path) -> dict[str, Any]:
    """Install a tree again and again; return seconds, bytes and packages."""
    wheels = work / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheel = build_wheel(tree, wheels)
    seconds, helps = [], []
    for _ in range(rounds):
        environment = work / "environment"
        shutil.rmtree(environment, ignore_errors=True)
        began = time.perf_counter()
        install(bare_environment(environment), wheel, extras)
        installed = time.perf_counter()
        command = [str(environment / "bin" / "frostline"), "--help"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Usage" not in said:
            raise RuntimeError(said)
        seconds.append(round(time.perf_counter() - began, 1))
        helps.append(round(time.perf_counter() - installed, 1))
    return {
        "extras": extras,
        "wheel_bytes": wheel.stat().st_size,
        "seconds": seconds,
        "first_help_seconds": helps,
        "bytes": disk(environment),
        "largest": largest(environment),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extras", action="append", default=[], help="such as train or all")
    parser.add_argument("--against", type=Path, help="another tree, without extras")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # what is compiled would be counted as work of whoever comes first
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    jobs = [("core", ROOT, "")]
    jobs += [(extras, ROOT, extras) for extras in options.extras]
    if options.against is not None:
        jobs.append(("against", options.against, ""))
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    found["python"] = platform.python_version()
    with tempfile.TemporaryDirectory() as work:
        for name, tree, extras in jobs:
            one = found[name] = measure(tree, extras, options.rounds, Path(work))
            print(
                f"{name}: {statistics.median(one['seconds']):.0f} s, {one['bytes'] / 2**20:,.0f} "
                f"MiB, wheel {one['wheel_bytes'] / 1e6:.1f} MB"
            )
            for package, size in one["largest"].items():
                print(f"  {size / 2**20:8,.1f} MiB  {package}")
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
