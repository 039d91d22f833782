"""Each Dockerfile, step by step in a root of its own, and what its container then does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.soak.containers import Container, ask_to_end, build, can_build
from tests.soak.ground import write_images

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not can_build(), reason="needs the right to mount, as root has it"),
]

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "tests" / "model" / "released" / "format-4"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Container:
    """What serves a model."""
    root = tmp_path_factory.mktemp("serving")
    return build(ROOT / "docker" / "serve.Dockerfile", ROOT, root, {})


@pytest.fixture(scope="module")
def fitting(tmp_path_factory: pytest.TempPathFactory) -> Container:
    """What runs every command."""
    root = tmp_path_factory.mktemp("fitting")
    return build(ROOT / "docker" / "fit.Dockerfile", ROOT, root, {})


def test_the_service_runs_as_nobody_important_and_ends_when_asked(serving: Container) -> None:
    shutil.copytree(RELEASED, serving.root / "model")
    assert serving.run(["id", "-un"]).strip() == "frostline"
    process = serving.process([*serving.entrypoint, "--port", "0"])
    try:
        assert process.stdout is not None
        address = next(line for line in process.stdout if "http://" in line).split()[-1]
        local = address.replace("0.0.0.0", "127.0.0.1")
        with urlopen(f"{local}health", timeout=60) as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        ask_to_end(process)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Stopped." in said


def test_nothing_heavy_is_in_it(serving: Container) -> None:
    code = "import importlib.util as u; print([n for n in ('torch', 'timm') if u.find_spec(n)])"
    assert serving.run(["python", "-c", code]).strip() == "[]"


def test_images_are_fitted_below_work_by_whoever_asks(fitting: Container) -> None:
    work = fitting.root / "work"
    write_images(work / "photos", classes=(0, 1, 4), per_class=12)
    words = [*fitting.entrypoint, "fit", "photos", "-o", "run", "--effort", "fast"]
    fitting.run(words, user="1234:1234")
    assert (work / "run" / "report.html").stat().st_uid == 1234
    assert any((fitting.root / "cache").iterdir())
    assert "Usage" in fitting.run([*fitting.entrypoint, *fitting.command], user="1234:1234")
