"""frostline compare: what it prints, writes and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from frostline.cli.main import app
from tests.comparing.conftest import kept_run, probabilities

TRUTH = np.arange(300) % 3


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    names = [f"[bold]{i}<b>.png" for i in range(300)]
    for name, right, seed in (("a", 0.95, 1), ("b", 0.8, 2)):
        kept_run(folder / name, probabilities(TRUTH, right, seed), TRUTH, names=names)
    return str(folder / "a"), str(folder / "b")


def ends(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["compare", *arguments])
    return found.exit_code, found.output


def test_it_says_what_differs(runs: tuple[str, str]) -> None:
    code, said = ends(*runs)
    assert code == 0
    assert "B is worse" in said
    assert "Right in A, wrong in B:" in said
    assert "[bold]" in said
    assert "300 images that both runs judged" in said


@pytest.mark.parametrize(("margin", "code"), [("1", 3), ("40", 0)])
def test_the_exit_code_is_the_answer(runs: tuple[str, str], margin: str, code: int) -> None:
    found, said = ends(*runs, "--no-worse-than", margin)
    assert found == code
    assert ("passed" if code == 0 else "failed") in said


def test_json_and_files(runs: tuple[str, str], tmp_path: Path) -> None:
    code, _ = ends(*runs, "-o", str(tmp_path / "c.json"), "--no-worse-than", "1")
    assert code == 3
    record = json.loads((tmp_path / "c.json").read_text())
    assert record["non_inferiority"]["passed"] is False
    assert {one["kind"] for one in record["caveats"]} == {"images not found"}
    assert len(record["flips"]) == len({one["path"] for one in record["flips"]}) > 20
    code, _ = ends(*runs, "-o", str(tmp_path / "c.html"))
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert code == 0
    assert "<b>.png" not in page
    assert "&lt;b&gt;.png" in page
    for outside in ('src="http', 'href="http', "@import", "url("):
        assert outside not in page


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["-o", "x.txt"], "neither a page nor JSON"),
        (["--metric", "acuracy"], "accuracy"),
        (["--on", "nowhere"], "does not exist"),
        (["--no-worse-than", "-1"], "Invalid value"),
    ],
)
def test_bad_input_ends_with_2(runs: tuple[str, str], more: list[str], says: str) -> None:
    code, said = ends(*runs, *more)
    assert code == 2
    assert says in said


def test_an_answer_of_no_is_not_an_error(runs: tuple[str, str], tmp_path: Path) -> None:
    code, said = ends(runs[0], str(tmp_path))
    assert code == 2
    assert "is not a run folder" in said
