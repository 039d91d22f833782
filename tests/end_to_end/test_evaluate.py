"""Images that taught a model are told from others, and are not scored, wherever they lie."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.core.errors import InputError, SettingsError
from frostline.fitting.run_result import RunResult
from frostline.run.manifest import read_manifest

pytestmark = pytest.mark.slow

Write = Callable[..., None]
#: of each of the three digits, in the run of ``parted``
TRAIN, VALIDATION, TEST = 8, 2, 3


@pytest.fixture(scope="module")
def parted(
    tmp_path_factory: pytest.TempPathFactory, digits_into: Write, tiny_network: dict[str, Any]
) -> Path:
    """A run on a table with all parts and groups; its images have odd names."""
    folder = tmp_path_factory.mktemp("parted")
    digits_into(folder / "images", per_class=TRAIN + VALIDATION + TEST)
    lines = [["path", "label", "split", "group"]]
    for label in sorted((folder / "images").iterdir()):
        for number, file in enumerate(sorted(label.iterdir())):
            part = "train" if number < TRAIN else "val"
            part = "test" if number >= TRAIN + VALIDATION else part
            path = file.rename(file.with_name(f"=1+{number}, ö.png"))
            lines.append([str(path.relative_to(folder)), label.name, part, f"@{number}"])
    lines[1][3] = ""
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file_:
        csv.writer(file_).writerows(lines)
    frostline.fit(folder / "table.csv", folder / "run", effort="fast", **tiny_network)
    return folder


def evaluate(run: Path, source: Path, *options: str) -> Result:
    words = ["evaluate", str(run), str(source), *options]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def counts(run: Path, source: Path) -> tuple[int, Any, Any]:
    said = evaluate(run, source, "--json")
    assert said.exit_code == 0, said.stderr
    found = json.loads(said.stdout)
    return found["n"], found["left_out"], found["own_test"]


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "catalog.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_tells_what_it_used_every_image_for(parted: Path) -> None:
    rows = rows_of(parted / "run")
    assert list(rows[0]) == ["path", "digest", "label", "part", "group"]
    expected = {"train": 3 * TRAIN, "validation": 3 * VALIDATION, "test": 3 * TEST}
    assert Counter(row["part"] for row in rows) == expected
    with (parted / "table.csv").open(encoding="utf-8", newline="") as file:
        given = {row["path"]: row for row in csv.DictReader(file)}
    for row in rows:
        path = parted / row["path"]
        assert row["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["label"] == given[row["path"]]["label"]
        assert row["group"] == given[row["path"]]["group"]
        assert path.name.startswith("=1+")
    assert b"\r" not in (parted / "run" / "catalog.csv").read_bytes()


def test_all_images_of_a_cross_validated_run_taught_it(
    fast_run: RunResult, digit_folder: Path
) -> None:
    assert {row["part"] for row in rows_of(fast_run.folder)} == {"train"}
    said = evaluate(fast_run.folder, digit_folder)
    assert said.exit_code == 2
    words = " ".join(said.stderr.split())
    assert "trained on all 48 images" in words
    assert "cross-validation" in words
    assert "Give other images" in words


def test_only_images_that_did_not_teach_are_scored(parted: Path, tmp_path: Path) -> None:
    run = parted / "run"
    left_out = {"taught": 3 * TRAIN, "validation": 3 * VALIDATION}
    whole = counts(run, parted / "images")
    assert whole == (3 * TEST, left_out, 3 * TEST)
    said = evaluate(run, parted / "images")
    assert "24 images that the model was trained on" in said.stdout
    assert "6 images are of the validation part" in said.stdout
    assert "All of them are the run's own test part" in said.stdout
    own = json.loads((run / "metrics.json").read_text())["test"]
    again = json.loads(evaluate(run, parted / "images", "--json").stdout)
    assert again["accuracy"] == own["accuracy"]


def copied(parted: Path, folder: Path, write: Write) -> None:
    """Every image under another name, beside new ones."""
    for label in (parted / "images").iterdir():
        for number, file in enumerate(sorted(label.iterdir())):
            (folder / label.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / label.name / f"other {number}.png")
    write(folder, per_class=4, skip=40)


def twice(parted: Path, folder: Path, write: Write) -> None:
    """The same images twice, beside new ones."""
    copied(parted, folder, write)
    for label in (parted / "images").iterdir():
        shutil.copytree(label, folder / label.name / "again")


def parts_swapped(parted: Path, folder: Path, write: Write) -> None:
    """What taught the model is called a test part now."""
    copied(parted, folder / "test", write)
    write(folder / "train", per_class=2, skip=50)


def one_class_known(parted: Path, folder: Path, write: Write) -> None:
    """One class was seen before, another is new."""
    shutil.copytree(parted / "images" / "digit 0", folder / "digit 0")
    write(folder, per_class=5, skip=40, classes=(4,))


@pytest.mark.parametrize(
    ("make", "known", "new"),
    [(copied, 3, 12), (twice, 6, 12), (parts_swapped, 3, 18), (one_class_known, 1, 5)],
)
def test_images_are_known_by_their_content(
    parted: Path,
    tmp_path: Path,
    digits_into: Write,
    make: Callable[[Path, Path, Write], None],
    known: int,
    new: int,
) -> None:
    make(parted, tmp_path / "in", digits_into)
    left_out = {"taught": known * TRAIN, "validation": known * VALIDATION}
    assert counts(parted / "run", tmp_path / "in") == (known * TEST + new, left_out, known * TEST)


def test_new_images_are_all_scored(parted: Path, tmp_path: Path, digits_into: Write) -> None:
    digits_into(tmp_path / "in", per_class=4, skip=40)
    nobody = {"taught": 0, "validation": 0}
    assert counts(parted / "run", tmp_path / "in") == (12, nobody, 0)
    said = evaluate(parted / "run", tmp_path / "in")
    for word in ("Left out", "test part", "cannot be told"):
        assert word not in said.stdout


def test_what_only_chose_the_model_is_no_test_either(parted: Path, tmp_path: Path) -> None:
    for row in rows_of(parted / "run"):
        if row["part"] != "test":
            target = tmp_path / "in" / row["label"] / Path(row["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(parted / row["path"], target)
    said = evaluate(parted / "run", tmp_path / "in")
    assert said.exit_code == 2
    assert "metrics.json" in said.stderr
    with pytest.raises(InputError, match="would be honest"):
        frostline.evaluate(parted / "run", tmp_path / "in")


def test_images_in_memory_are_known_as_well(tmp_path: Path, tiny_network: dict[str, Any]) -> None:
    digits = load_digits(n_class=2)
    images = np.kron((digits.images * 15).astype(np.uint8), np.ones((4, 4), np.uint8))
    taught = {
        "train": (images[:20], digits.target[:20]),
        "test": (images[20:30], digits.target[20:30]),
    }
    frostline.fit(taught, tmp_path / "run", effort="fast", **tiny_network)
    assert all(row["path"].startswith(("train/", "test/")) for row in rows_of(tmp_path / "run"))
    found = frostline.evaluate(tmp_path / "run", (images[10:40], digits.target[10:40]))
    assert found.acquainted is not None
    assert found.acquainted.taught == found.acquainted.left_out == 10
    assert found.acquainted.own_test == 10
    assert found.scores.n == 20

    model = frostline.load(tmp_path / "run")
    again = frostline.evaluate(model, (images[10:40], digits.target[10:40]))
    assert str(again) == str(found)
    with pytest.raises(SettingsError, match="has its own max_pixels"):
        frostline.evaluate(model, (images[10:40], digits.target[10:40]), max_pixels=10_000)


def moved(run: Path, folder: Path) -> Path:
    shutil.copytree(run / "model", folder / "model")
    return folder / "model"


def exported(run: Path, folder: Path) -> Path:
    frostline.export(run, folder / "m.onnx")
    return folder / "m.onnx"


def older(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder / "run")
    (folder / "run" / "catalog.csv").unlink()
    return folder / "run"


def damaged(run: Path, folder: Path) -> Path:
    older(run, folder)
    whole = (run / "catalog.csv").read_bytes()
    (folder / "run" / "catalog.csv").write_bytes(whole[:-20])
    return folder / "run"


def foreign(run: Path, folder: Path) -> Path:
    older(run, folder)
    (folder / "run" / "catalog.csv").write_text("path,label\na.png,b\n")
    return folder / "run"


def of_another_run(run: Path, folder: Path) -> Path:
    older(run, folder)
    lines = (run / "catalog.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "run" / "catalog.csv").write_text("".join(lines[:-1] + lines[1:2]), encoding="utf-8")
    return folder / "run"


@pytest.mark.parametrize("make", [moved, exported, older, damaged, foreign, of_another_run])
def test_a_model_without_its_manifest_says_that_it_cannot_be_told(
    parted: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    run = make(parted / "run", tmp_path)
    assert counts(run, parted / "images") == (3 * (TRAIN + VALIDATION + TEST), None, None)
    assert "cannot be told" in evaluate(run, parted / "images").stdout


def test_the_model_folder_in_its_place_knows_its_run(
    parted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, _, own_test = counts(parted / "run" / "model", parted / "images")
    assert n == own_test == 3 * TEST
    monkeypatch.chdir(parted / "run" / "model")
    assert counts(Path(), parted / "images")[0] == 3 * TEST


def test_what_lies_in_two_parts_counts_where_it_taught(tmp_path: Path) -> None:
    lines = ["path,digest,label,part,group", "a,1,x,test,", "b,1,x,train,", "c,2,x,test,"]
    lines += ["d,3,x,train,", "e,3,x,validation,", "f,2,x,validation,"]
    (tmp_path / "catalog.csv").write_text("\n".join(lines) + "\n")
    found = read_manifest(tmp_path)
    assert found is not None
    assert found.parts == {"1": "train", "2": "validation", "3": "train"}
    assert found.n_train == 2
