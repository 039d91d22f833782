"""The wheel in a bare environment: everything that needs no PyTorch works there, start to end."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.install import bare_environment, build_wheel, disk, install
from tests.soak.ground import write_images

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
MOST_BYTES, MOST_WHEEL_BYTES = 360 * 2**20, 12_000_000
HEAVY = ("torch", "torchvision", "timm", "sklearn", "pyarrow", "pandas", "openvino")


@dataclass(frozen=True)
class Light:
    """A fresh environment with the wheel of this tree, and a home of its own."""

    wheel: Path
    python: Path
    home: Path

    def run(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command that must end with a code."""
        with self.starting(*words) as process:
            out, err = process.communicate(timeout=600)
        assert process.returncode == code, out[-2000:] + err[-4000:]
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @contextmanager
    def starting(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Start a command; it is stopped when the block ends."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FROSTLINE"))}
        process = subprocess.Popen(
            [self.python.parent / "frostline", *words],
            env={**kept, "HOME": str(self.home), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Light:
    """Build the wheel and install it, as a person would."""
    work = tmp_path_factory.mktemp("light")
    (work / "home").mkdir()
    wheel = build_wheel(ROOT, work / "wheels")
    python = bare_environment(work / "environment")
    install(python, wheel)
    return Light(wheel, python, work / "home")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits to fit, and others to judge by."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "some", classes=(0, 1, 4), per_class=20)
    write_images(folder / "others", classes=(0, 1, 4), per_class=8, noise=0.1)
    return folder


def test_the_wheel_is_small_and_has_every_file(light: Light) -> None:
    assert light.wheel.stat().st_size < MOST_WHEEL_BYTES
    names = set(zipfile.ZipFile(light.wheel).namelist())
    of_tree = {
        str(file.relative_to(ROOT / "src"))
        for file in (ROOT / "src" / "frostline").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert of_tree <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "tools"))]


def test_the_environment_is_small_and_has_nothing_heavy(light: Light) -> None:
    assert disk(light.python.parents[1]) <= MOST_BYTES
    code = f"import importlib.util as u; print([n for n in {HEAVY!r} if u.find_spec(n)])"
    said = subprocess.run([light.python, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
