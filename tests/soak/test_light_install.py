"""The wheel in a bare environment: everything that needs no PyTorch works there, start to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.install import bare_environment, build_wheel, disk, install
from tests.light import stopped_at_the_end
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
        command = [self.python.parent / "frostline", *words]
        with stopped_at_the_end(command, {**kept, "HOME": str(self.home)}, self.home) as process:
            yield process


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
    write_images(folder / "others", classes=(0, 1, 4), per_class=8, noise=0.01)
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


def test_from_images_to_a_service(light: Light, images: Path) -> None:
    some, others = images / "some", images / "others"
    light.run("advise", some, "--effort", "fast", "--save", "plan.json")
    light.run("fit", some, "-o", "run", "--effort", "fast")
    light.run("fit", some, "-o", "planned", "--plan", "plan.json", "--effort", "fast")
    one = next(others.rglob("*.png"))
    (predicted,) = json.loads(light.run("predict", "run", one, "--json").stdout)
    assert predicted["label"].startswith("digit ")
    assert json.loads(light.run("evaluate", "run", others, "--json").stdout)["accuracy"] > 0.8
    light.run("export", "run", "-o", "model.onnx")
    light.run("export", "run", "-o", "small.onnx", "--quantize", "int8")
    light.run("report", "run", "-o", "again.html")
    page = (light.home / "again.html").read_text(encoding="utf-8")
    assert page == (light.home / "run" / "report.html").read_text(encoding="utf-8")
    with light.starting("serve", "run", "--port", "0") as service:
        assert service.stdout is not None
        address = next(line for line in service.stdout if "http://" in line).split()[-1]
        assert "Frostline" in urlopen(address, timeout=60).read().decode()


def test_the_model_is_that_of_the_full_install(light: Light, images: Path, tmp_path: Path) -> None:
    light.run("fit", images / "some", "-o", "same", "--effort", "fast")
    words = ["fit", str(images / "some"), "-o", str(tmp_path / "full"), "--effort", "fast"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "FROSTLINE_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "frostline", *words], env=env, check=True)
    ours, theirs = light.home / "same", tmp_path / "full"
    for name in ("predictions.csv", "model/weights.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    plans = [json.loads((run / "plan.json").read_text()) for run in (ours, theirs)]
    assert plans[0] == plans[1]
    pictures = [json.loads((run / "report.json").read_text())["gallery"] for run in (ours, theirs)]
    assert pictures[0] == pictures[1]
    assert pictures[0]["filters"] and pictures[0]["depths"]


def test_the_default_effort_takes_a_head_and_names_what_could_not_run(
    light: Light, tmp_path: Path
) -> None:
    # with noise, so that frozen features leave something to gain
    write_images(tmp_path / "hard", classes=(3, 8, 9), per_class=20, noise=0.6)
    light.run("fit", tmp_path / "hard", "-o", "default")
    plan = json.loads((light.home / "default" / "plan.json").read_text(encoding="utf-8"))
    assert plan["action"]["kind"] == "taps_head"
    left = [one["name"] for one in plan["candidates"] if one["fate"] == "not_installed"]
    assert left
    assert plan["reasons"][-1] == {"kind": "not_installed", "extra": "train", "names": left}
    assert re.search(r"pip install 'frostline\[train\]'", " ".join(plan["explanation"]))


@pytest.mark.parametrize(
    "words",
    [
        ["--strategy", "finetune"],
        ["--strategy", "full"],
        ["--strategy", "cut"],
        ["--effort", "best"],
        ["--backbone", "resnet18"],
        ["--weights", "w.safetensors"],
        ["--input-size", "96"],
        ["--device", "cuda"],
    ],
)
def test_a_fit_that_needs_pytorch_says_so_before_it_starts(
    light: Light, images: Path, words: list[str]
) -> None:
    done = light.run("fit", images / "some", "-o", "refused", *words, code=2)
    (line,) = done.stderr.strip().splitlines()
    assert words[0].removeprefix("--").replace("-", "_") in line
    assert line.endswith("pip install 'frostline[train]'")
    assert not (light.home / "refused").exists()
