"""What a source lacks or holds beside its images is said: classes of a part, tables of labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.data.notes import LacksClasses
from frostline.data.sources.folder_notes import TablesBeside
from frostline.data.sources.open_source import open_for_evaluation, open_source
from frostline.wording.notes import note_sentence

Tree = Callable[[dict[str, int]], Path]
MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"


def two_in(*folders: str) -> dict[str, int]:
    names = [f"{folder}/{i}.png" for folder in folders for i in range(2)]
    return {name: seed for seed, name in enumerate(names)}


TRAIN = ("train/cat", "train/dog", "train/emu")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["val/cat", "val/dog"], [LacksClasses("val", ("emu",), 3)]),
        (["test/emu"], [LacksClasses("test", ("cat", "dog"), 3)]),
        (
            ["val/cat", "val/emu", "test/dog", "test/emu"],
            [LacksClasses("val", ("dog",), 3), LacksClasses("test", ("cat",), 3)],
        ),
        (["val/cat", "val/dog", "val/emu"], []),
    ],
)
def test_a_part_that_lacks_classes_is_said(
    others: list[str], expected: list[LacksClasses], tree: Tree
) -> None:
    catalog = open_source(tree(two_in(*TRAIN, *others)))
    assert [note for note in catalog.notes if isinstance(note, LacksClasses)] == expected


def test_a_table_whose_part_lacks_classes_is_said(tree: Tree) -> None:
    root = tree(two_in("0", "1", "2"))
    rows = ["a,train", "b,train", "a,train", "b,train", "a,val"]
    lines = [f"{i // 2}/{i % 2}.png,{row}" for i, row in enumerate(rows)]
    (root / "t.csv").write_text("path,label,split\n" + "\n".join(lines) + "\n")
    notes = open_source(root / "t.csv").notes
    assert LacksClasses("val", ("b",), 2) in notes


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("metadata.csv", True),
        ("labels.tsv", True),
        ("cat/train_labels.csv", True),
        ("_classes.csv", True),
        ("train.csv", True),
        ("labels.txt", False),
        ("_annotations.coco.json", False),
        ("metadata.jsonl", False),
    ],
)
def test_a_table_of_labels_beside_the_images_is_said(name: str, readable: bool, tree: Tree) -> None:
    root = tree(two_in("cat", "dog"))
    (root / name).write_text("path,label\ncat/0.png,dog\n")
    catalog = open_source(root)
    (note,) = catalog.notes
    assert note == TablesBeside((name,), readable)
    said = note_sentence(note)
    assert "not read: labels are the names of the folders" in said
    assert ("in place of the folder" in said) == readable
    assert catalog.classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["train/train.csv", "train/cat/labels.txt", "annotations.json"])
def test_a_table_in_or_beside_the_parts_is_said(name: str, tree: Tree) -> None:
    root = tree(two_in("train/cat", "train/dog", "val/cat", "val/dog"))
    (root / name).write_text("path,label\n")
    (note,) = open_source(root).notes
    assert isinstance(note, TablesBeside)
    assert note.examples == (name,)


@pytest.mark.parametrize("name", ["readme.txt", "trainer.txt", "licence.json", "notes.csv"])
def test_other_files_are_merely_counted(name: str, tree: Tree) -> None:
    root = tree(two_in("cat", "dog"))
    (root / name).write_text("x")
    catalog = open_source(root)
    assert not catalog.notes
    assert sum(one.count for one in catalog.left_out) == 1


def test_a_model_is_judged_on_the_classes_that_occur(tree: Tree) -> None:
    root = tree(two_in("sound", "größer"))
    said = CliRunner().invoke(app, ["evaluate", str(MODEL), str(root), "--json"])
    assert said.exit_code == 0, said.stderr
    words = " ".join(said.stderr.split())
    assert "4 images of 2 classes" in words
    assert "images of 2 of the model's 3 classes: none of 'cracked'" in words
    found: dict[str, Any] = json.loads(said.stdout)
    f1 = {row["class"]: row["f1"] for row in found["per_class"]}
    assert found["macro_f1"] == pytest.approx((f1["sound"] + f1["größer"]) / 2)
    assert any("none of 'cracked'" in note for note in found["notes"])


def test_a_source_with_every_class_has_nothing_to_say(tree: Tree) -> None:
    root = tree(two_in("a", "b"))
    assert not open_for_evaluation(root, ["a", "b"]).notes
