"""Names that are no text, look like markup or command a terminal are shown, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from frostline.cli.console import TerminalProgress
from frostline.cli.main import app

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-2"
NAMES = (
    "\x1b[31mred.png",
    "[bold]markup.png",
    "-rf.png",
    "two\nlines.png",
    os.fsdecode(b"\xff.png"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of odd names; and a link, a pipe and a text file that are called images."""
    for name in NAMES:
        Image.linear_gradient("L").save(tmp_path / name)
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    (tmp_path / "text.png").write_text("text")
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


def predict(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["predict", str(MODEL), *arguments])


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_every_name_is_answered_or_refused_by_name(
    folder: Path, form: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    said = predict(str(folder), *form)
    assert said.exit_code == 0, said.exception
    for line in (
        "broken.png: file not found",
        "pipe.png: not a regular",
        "text.png: text, not an image",
    ):
        assert line in said.stderr.replace("\n", "")
    if not form:
        assert "\x1b" not in said.stdout + said.stderr
        assert "\\x1b[31mred.png" in said.stdout
        return
    if form == ["--json"]:
        rows = json.loads(said.stdout)
        assert len([row for row in rows if "label" in row]) == len(NAMES)
        assert {Path(row["path"]).name for row in rows} >= set(NAMES)
    else:
        rows = list(csv.DictReader(io.StringIO(said.stdout)))
        assert len([row for row in rows if row["label"] and not row["error"]]) == len(NAMES)
        assert len([row for row in rows if row["error"] and not row["label"]]) == 3
        assert {Path(row["path"]).name for row in rows} >= set(NAMES[:4])


def test_errors_are_plain_text(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["fit", "no\x1b[2Jwhere [/]", "-o", str(tmp_path / "run")])
    assert said.exit_code == 2
    assert "no\\x1b[2Jwhere [/] does not exist" in said.stderr.replace("\n", "")


def test_notes_are_no_markup() -> None:
    stream = io.StringIO()
    progress = TerminalProgress(Console(file=stream, width=200))
    progress.note("a class called [/] and \x1b[2J")
    with progress.task("features of [/red]", 3):
        pass
    assert stream.getvalue().splitlines() == [
        "a class called [/] and \\x1b[2J",
        "features of [/red] (3) ...",
    ]
