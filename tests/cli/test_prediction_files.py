"""Predictions as files, with the vectors that the model's head reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-6"


def predict(*words: object, code: int = 0) -> Result:
    said = CliRunner().invoke(app, ["predict", str(MODEL), *map(str, words)])
    assert said.exit_code == code, said.output
    return said


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two images and a file between them that is none."""
    random = np.random.default_rng(0)
    paths = [tmp_path / name for name in ("a.png", "b.png", "ü.png")]
    for path in (paths[0], paths[2]):
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    paths[1].write_bytes(b"no image")
    return paths


def test_json_has_the_vector_that_python_gives(images: list[Path]) -> None:
    plain = json.loads(predict(*images, "--json").stdout)
    found = json.loads(predict(*images, "--json", "--embeddings").stdout)
    vectors = frostline.load(MODEL).transform([images[0], images[2]])
    given = [one.pop("embedding") for one in (found[0], found[2])]
    # a double holds every float32
    np.testing.assert_array_equal(np.array(given, dtype=np.float32), vectors)
    assert found == plain
    assert "error" in found[1]
    assert "embedding" not in found[1]


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "OUT.NDJSON"])
def test_json_files_say_what_json_does(images: list[Path], tmp_path: Path, name: str) -> None:
    expected = json.loads(predict(*images, "--json", "--embeddings").stdout)
    said = predict(*images, "--embeddings", "-o", tmp_path / name)
    assert said.stdout == ""
    text = (tmp_path / name).read_text(encoding="utf-8")
    lines = name != "out.json"
    assert expected == ([*map(json.loads, text.splitlines())] if lines else json.loads(text))


def test_a_csv_file_is_what_csv_prints(images: list[Path], tmp_path: Path) -> None:
    predict(*images, "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == predict(*images, "--csv").stdout_bytes


def test_parquet_has_a_column_of_vectors_of_one_length(images: list[Path], tmp_path: Path) -> None:
    predict(*images, "--embeddings", "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    vectors = frostline.load(MODEL).transform([images[0], images[2]])
    column = table.column("embedding").combine_chunks()
    assert column.type == pa.list_(pa.float32(), vectors.shape[1])
    assert column.is_null().to_pylist() == [False, True, False]
    rows = column.drop_null().flatten().to_numpy().reshape(2, -1)
    np.testing.assert_array_equal(rows, vectors)
    # and every column of the CSV, with its type
    predict(*images, "-o", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert table.column_names == [*lines[0], "embedding"]
    for name in ("path", "label", "error", "set_95"):
        assert [one or "" for one in table.column(name).to_pylist()] == [x[name] for x in lines]
    shares = table.column("cracked").to_pylist()
    assert shares[1] is None
    assert shares[0] == pytest.approx(float(lines[0]["cracked"]), abs=1e-6)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--embeddings",), "no room for a vector"),
        (("--embeddings", "--csv"), "CSV has no column"),
        (("--embeddings", "-o", "out.csv"), "CSV has no column"),
        (("-o", "out.txt"), "no ending that says"),
        (("-o", "out"), "no ending that says"),
        (("-o", "folder.jsonl"), "is a folder"),
        (("-o", "out.jsonl", "--json"), "not both"),
    ],
)
def test_what_cannot_be_written_is_refused_first(
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    match: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.jsonl").mkdir()
    before = sorted(tmp_path.iterdir())
    said = predict(*images, *words, code=2)
    assert match in " ".join(said.output.split())
    assert sorted(tmp_path.iterdir()) == before


def test_parquet_needs_its_extra(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.core.extras.has_extra", lambda extra: extra != "tables")
    said = CliRunner().invoke(
        app, ["predict", str(MODEL), str(images[0]), "-o", str(tmp_path / "a.parquet")]
    )
    assert said.exit_code != 0
    assert "frostline[tables]" in said.output
