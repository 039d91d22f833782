"""Predictions name the training images that an image is most like."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.compute.cache.locations import cache_root
from frostline.fitting import training_images
from frostline.run.manifest import ManifestRow, read_rows

pytestmark = pytest.mark.slow

SIZE: dict[str, Any] = {"effort": "fast", "input_size": "64"}
Digits = Callable[..., None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, digits_into: Digits) -> Path:
    folder = tmp_path_factory.mktemp("nearest")
    digits_into(folder / "images", per_class=12)
    return frostline.fit(folder / "images", folder / "run", **SIZE).folder


def training_rows(run: Path) -> list[ManifestRow]:
    rows = read_rows(run)
    assert rows is not None
    return [row for row in rows if row.part == "train"]


def predict(run: Path, *words: object, code: int = 0) -> Result:
    said = CliRunner().invoke(app, ["predict", str(run), *map(str, words)])
    assert said.exit_code == code, said.output
    return said


def told(run: Path, *words: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(predict(run, *words, "--json").stdout)
    return found


def place(run: Path, row: ManifestRow) -> Path:
    return run.parent / "images" / row.name


def test_a_training_image_is_nearest_to_itself(run: Path) -> None:
    rows = training_rows(run)
    images = [place(run, row) for row in rows]
    found = told(run, *images, "--nearest", 3)
    for row, one in zip(rows, found, strict=True):
        nearest = one["nearest"]
        assert [nearest[0]["path"], nearest[0]["label"]] == [row.name, row.label]
        assert nearest[0]["similarity"] == pytest.approx(1, abs=1e-4)
        close = [other["similarity"] for other in nearest]
        assert close == sorted(close, reverse=True)
        assert len({other["path"] for other in nearest}) == 3
    # most of the others show the same digit, and nothing else of an answer changes
    others = [
        n["label"] == row.label
        for row, one in zip(rows, found, strict=True)
        for n in one["nearest"][1:]
    ]
    assert sum(others) > 0.6 * len(others)
    plain = told(run, *images)
    assert [{k: v for k, v in one.items() if k != "nearest"} for one in found] == plain


def test_an_altered_copy_is_found_again(run: Path, tmp_path: Path) -> None:
    row = training_rows(run)[5]
    Image.open(place(run, row)).convert("RGB").resize((40, 40)).save(tmp_path / "a.jpg")
    (tmp_path / "b.png").write_bytes(b"no image")
    found = told(run, tmp_path / "a.jpg", tmp_path / "b.png", "--nearest", 1)
    assert found[0]["nearest"][0]["path"] == row.name
    assert "nearest" not in found[1]
    said = predict(run, tmp_path / "a.jpg", "--nearest", 2).stdout
    assert f"is most like {row.name} ({row.label}, " in said
    predict(run, tmp_path / "a.jpg", "--nearest", 2, "-o", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert json.loads(line["nearest"])[0]["path"] == row.name
    predict(run, tmp_path / "a.jpg", "--nearest", 2, "-o", tmp_path / "out.parquet")
    import pyarrow.parquet as pq

    (given,) = pq.read_table(tmp_path / "out.parquet").column("nearest").to_pylist()
    assert given == json.loads(line["nearest"])


def test_layers_that_were_trained_see_the_images_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [place(run, row) for row in training_rows(run)[:4]]
    stored = told(run, *images, "--nearest", 2)
    monkeypatch.setattr(training_images, "_stored_taps", lambda _: ())
    computed = told(run, *images, "--nearest", 2)
    for one, other in zip(stored, computed, strict=True):
        assert [n["path"] for n in one["nearest"]] == [n["path"] for n in other["nearest"]]


def test_stored_features_serve_where_images_are_gone(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = training_rows(run)[0]
    shutil.copy(place(run, row), tmp_path / "query.png")
    query = tmp_path / "query.png"
    before = told(run, query, "--nearest", 3)
    away = run.parent / "away"
    (run.parent / "images").rename(away)
    try:
        assert told(run, query, "--nearest", 3) == before
        monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "empty"))
        assert cache_root() == tmp_path / "empty"
        said = predict(run, query, "--nearest", 3, code=2)
        assert "stored" in " ".join(said.output.split())
    finally:
        away.rename(run.parent / "images")
    assert told(run, query, "--nearest", 3)[0]["nearest"][0]["path"] == row.name


def test_a_removed_image_is_never_named_again(run: Path, tmp_path: Path) -> None:
    row = training_rows(run)[0]
    frostline.update(run, tmp_path / "less", remove=(row.name,))
    found = told(tmp_path / "less", place(run, row), "--nearest", 5)
    assert row.name not in [one["path"] for one in found[0]["nearest"]]
    assert len(training_rows(run)) == len(training_rows(tmp_path / "less")) + 1


@pytest.mark.parametrize(
    ("k", "match"), [("0", "greater than or"), ("-1", "greater than or"), ("9999", "Ask for 1 to")]
)
def test_numbers_that_there_cannot_be_are_refused(run: Path, k: str, match: str) -> None:
    image = place(run, training_rows(run)[0])
    assert match in " ".join(predict(run, image, "--nearest", k, code=2).output.split())


def test_a_model_alone_names_nobody(run: Path, tmp_path: Path) -> None:
    image = place(run, training_rows(run)[0])
    shutil.copytree(run / "model", tmp_path / "model")
    shutil.copytree(run, tmp_path / "older")
    (tmp_path / "older" / "catalog.csv").unlink()
    for folder in (tmp_path / "model", run / "model", tmp_path / "older"):
        said = " ".join(predict(folder, image, "--nearest", "1", code=2).output.split())
        assert "does not say which images the model learned from" in said
    assert told(tmp_path / "model", image)


@pytest.mark.parametrize("task", ["multilabel", "regression", "ordinal"])
def test_every_task_names_them(run: Path, tmp_path: Path, task: str) -> None:
    rows = [row for row in read_rows(run) or [] if row.part == "train"]
    digit = {row.name: int(row.label.split()[-1]) for row in rows}
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for row in rows:
            n = digit[row.name]
            labels = ";".join(["even" if n % 2 == 0 else "odd", *(["big"] if n > 4 else [])])
            given = {"multilabel": labels, "regression": f"{n}.5", "ordinal": n // 4}[task]
            writer.writerow([place(run, row), given])
    options: dict[str, Any] = {"label_separator": ";"} if task == "multilabel" else {}
    found = frostline.fit(tmp_path / "t.csv", tmp_path / "run", **{"task": task, **SIZE}, **options)
    taught = training_rows(found.folder)
    (one,) = told(found.folder, taught[0].file or taught[0].name, "--nearest", 2)
    assert one["nearest"][0]["path"] == taught[0].name
    assert one["nearest"][0]["label"] == taught[0].label
