"""frostline report: the same page from what the run folder keeps, or one clear message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from frostline.cli.main import app
from frostline.fitting.run_result import RunResult


@pytest.fixture(scope="module")
def fitted(fast_run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(fast_run.folder, tmp_path_factory.mktemp("fitted") / "run")


def report(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_page_of_a_run_is_made_anew(fitted: Path, tmp_path: Path) -> None:
    first = (fitted / "report.html").read_bytes()
    (fitted / "report.html").unlink()
    done = report(fitted)
    assert done.exit_code == 0, done.output
    assert "report.html" in done.stderr
    assert (fitted / "report.html").read_bytes() == first
    assert report(fitted, "-o", tmp_path / "new" / "page.html").exit_code == 0
    assert (tmp_path / "new" / "page.html").read_bytes() == first


def test_a_run_keeps_what_its_page_shows(fitted: Path) -> None:
    kept = json.loads((fitted / "report.json").read_text())
    metrics = json.loads((fitted / "metrics.json").read_text())
    assert kept["plan"] == json.loads((fitted / "plan.json").read_text())
    assert kept["metrics"]["test"]["accuracy"] == metrics["test"]["accuracy"]
    assert sum(one["n"] for one in kept["scores"]["reliability"]) == metrics["n_test"]
    provenance = kept["provenance"]
    assert provenance["command"].endswith("--effort fast --seed 0 --input-size 96")
    card = json.loads((fitted / "model" / "model.json").read_text())
    prints = provenance["fingerprints"]
    assert prints["frozen layers"] == card["fingerprints"]["frozen"]
    assert prints["model/weights.safetensors"] == card["fingerprints"]["weights"]
    assert len(prints["images and labels"]) == 64


def nowhere(run: Path) -> Path:
    return run / "nowhere"


def a_file(run: Path) -> Path:
    return run / "plan.json"


def unfinished(run: Path) -> Path:
    (run / "report.json").unlink()
    (run / "metrics.json").unlink()
    return run


def of_an_older_version(run: Path) -> Path:
    (run / "report.json").unlink()
    return run


def newer(run: Path) -> Path:
    path = run / "report.json"
    path.write_text(path.read_text().replace('"format_version":2', '"format_version":9'))
    return run


def damaged(run: Path) -> Path:
    path = run / "report.json"
    path.write_text(path.read_text()[:-200])
    return run


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (nowhere, "does not exist"),
        (a_file, "is a file"),
        (unfinished, "no finished run"),
        (of_an_older_version, "older versions"),
        (newer, "Update Frostline"),
        (damaged, "damaged"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(
    fitted: Path, tmp_path: Path, harm: Callable[[Path], Path], words: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    done = report(harm(run))
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert done.stderr.count("Error") == 1
    assert "Traceback" not in done.output


def test_only_pages_are_written(fitted: Path, tmp_path: Path) -> None:
    done = report(fitted, "-o", tmp_path / "report.pdf")
    assert done.exit_code == 2
    assert ".html" in done.stderr
    (tmp_path / "file").write_text("in the way")
    done = report(fitted, "-o", tmp_path / "file" / "page.html")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
