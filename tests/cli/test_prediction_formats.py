"""Predictions as data: every file has a row, every column its name, every letter its bytes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from frostline.cli.main import app
from frostline.cli.prediction_formats import FIRST, LAST, class_columns, path_text
from frostline.cli.streams import Written, write_csv, write_json
from frostline.core.errors import InputError

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"


def model_of(folder: Path, *classes: str) -> Path:
    """A model whose three classes have these names."""
    shutil.copytree(MODEL, folder)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    del card["checksum"]
    card["classes"] = classes
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.linear_gradient("L").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def frostline(*words: object, charset: str = "utf-8") -> Result:
    return CliRunner(charset=charset).invoke(app, [*map(str, words)], catch_exceptions=False)


def table_of(said: Result) -> list[dict[str, str]]:
    content = said.stdout_bytes
    assert not content.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" not in content
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    assert len(set(rows[0])) == len(rows[0]), "two columns of one name"
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def missing(folder: Path) -> Path:
    return folder / "missing.png"


def text(folder: Path) -> Path:
    (folder / "text.png").write_text("no image")
    return folder / "text.png"


def empty(folder: Path) -> Path:
    (folder / "empty, or =1+1.png").touch()
    return folder / "empty, or =1+1.png"


def cut_short(folder: Path) -> Path:
    Image.effect_noise((64, 64), 50).save(folder / "whole.png")
    (folder / "half.png").write_bytes((folder / "whole.png").read_bytes()[:2000])
    return folder / "half.png"


@pytest.mark.parametrize("make", [missing, text, empty, cut_short])
def test_what_is_not_classified_has_a_row_that_says_why(
    image: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    bad = make(tmp_path)
    paths = [str(image), str(bad), str(image)]
    said = frostline("predict", MODEL, *paths, "--csv")
    assert said.exit_code == 0
    assert "Not classified" in said.stderr
    rows = table_of(said)
    assert [row["path"] for row in rows] == paths
    assert rows[0] == rows[2]
    assert rows[0]["error"] == ""
    assert rows[0]["label"] in ("sound", "cracked", "größer")
    assert {value for key, value in rows[1].items() if key not in ("path", "error")} == {""}
    answers = json.loads(frostline("predict", MODEL, *paths, "--json").stdout)
    assert [answer["path"] for answer in answers] == paths
    assert answers[1] == {"path": str(bad), "error": rows[1]["error"]}
    for form in (["--csv"], ["--json"], []):
        said = frostline("predict", MODEL, bad, bad, *form)
        assert said.exit_code == 2
        assert "None of the images" in said.stderr
    assert table_of(frostline("predict", MODEL, bad, "--csv"))[0]["error"]


@pytest.mark.parametrize("name", [*FIRST, *LAST])
def test_columns_of_classes_are_told_from_all_others(
    image: Path, tmp_path: Path, name: str
) -> None:
    model = model_of(tmp_path / "m", name, "other", f"p_{name}")
    row = table_of(frostline("predict", model, image, "--csv"))[0]
    assert row["path"] == str(image)
    assert row["label"] in (name, "other", f"p_{name}")
    assert row["error"] == ""
    shares = [float(row[column]) for column in (f"p_{name}", "p_other", f"p_p_{name}")]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert row["confidence"] == f"{max(shares):.6f}"
    answer = json.loads(frostline("predict", model, image, "--json").stdout)[0]
    assert set(answer["probabilities"]) == {name, "other", f"p_{name}"}


@pytest.mark.parametrize(
    "classes",
    [
        ["sound", "cracked"],
        ["p_path", "Path", "UNKNOWN", " error"],
        [f"class {i}" for i in range(1000)],
        [f"p_{i}" for i in range(1000)] + ["label"],
        ["path", "p_path", "p_p_path"],
    ],
)
def test_every_column_has_its_own_name(classes: list[str]) -> None:
    columns = class_columns(classes)
    assert len({*FIRST, *columns, *LAST}) == len(FIRST) + len(classes) + len(LAST)
    if {*FIRST, *LAST}.isdisjoint(classes):
        assert columns == classes


@pytest.mark.parametrize(
    "classes",
    [
        ("größe", "猫", "🐈 \N{COMBINING ACUTE ACCENT}"),
        ("two\nlines", 'a "quoted", one', "=1+1"),
        ("001", "1", "1e3"),
        ("a\r\nb", "a;b", "[bold]a"),
    ],
)
@pytest.mark.parametrize("charset", ["ascii", "cp1252", "utf-8"])
def test_names_are_their_bytes_in_every_locale(
    image: Path, tmp_path: Path, classes: tuple[str, ...], charset: str
) -> None:
    model = model_of(tmp_path / "m", *classes)
    said = frostline("predict", model, image, "--csv", charset=charset)
    content = said.stdout_bytes.decode("utf-8")
    heading, row = csv.reader(io.StringIO(content, newline=""))
    assert tuple(heading[len(FIRST) : -len(LAST)]) == classes
    assert row[1] in classes
    said = frostline("predict", model, image, "--json", charset=charset)
    answer = json.loads(said.stdout_bytes.decode("utf-8"))[0]
    assert tuple(answer["probabilities"]) == classes
    assert answer["label"] == row[1]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("größe.png", "größe.png"),
        ("größe.png".encode().decode("ascii", "surrogateescape"), "größe.png"),
        (os.fsdecode(b"\xff.png"), "\udcff.png"),
    ],
)
def test_paths_are_read_as_utf8_in_every_locale(given: str, read: str) -> None:
    assert path_text(Path(given)) == read


@pytest.mark.parametrize("length", [60, 90, 240])
def test_nothing_is_cut_or_broken_in_a_pipe(
    image: Path, tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    classes = [f"{'long ' * (length // 5)}{i}" for i in range(3)]
    model = model_of(tmp_path / "m", *classes)
    said = frostline("predict", model, image, "--top", 99)
    assert said.exit_code == 0
    line = next(line for line in said.stdout.splitlines() if str(image) in line)
    assert all(name in line for name in classes)
    for name in classes:
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(image, tmp_path / "in" / name / "a.png")
    said = frostline("evaluate", model, tmp_path / "in")
    assert said.exit_code == 0, said.stderr
    assert all(any(name in line for line in said.stdout.splitlines()) for name in classes)


@pytest.mark.parametrize("command", [["models"], ["inspect", "test_resnet", "--random-weights"]])
def test_tables_and_json_of_other_commands_are_whole_in_a_pipe(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    said = frostline(*command, charset="ascii")
    names = [row["name"] for row in json.loads(frostline(*command, "--json").stdout)]
    first = [line.split()[0] for line in said.stdout.splitlines() if line.strip()]
    assert set(names) <= set(first)


@pytest.mark.parametrize(
    "write",
    [
        lambda: write_csv([["x" * 100]] * 1000),
        lambda: write_json(["x" * 100] * 1000),
        lambda: Written().print("a line"),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(
    write: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        write()
        write()


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_data_without_an_output_are_refused(
    image: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frostline.cli.predict import Wanted, predict_images

    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(InputError, match="closed"):
        wanted = Wanted(as_json=form == "--json", as_csv=form == "--csv", top=1)
        predict_images(MODEL, [image], wanted, max_pixels=10**6)
