"""Names of classes that look alike, or list several classes, are noticed and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.core.errors import InputError
from frostline.data.notes import Lookalikes, Respelled
from frostline.data.sources.class_names import class_notes, combinations, unknown_class_hint
from frostline.data.sources.open_source import open_source
from frostline.wording.notes import note_sentence

Tree = Callable[[dict[str, int]], Path]


def said_by(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "400"})


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    "names",
    [
        ("Cat", "cat"),
        ("cat", "cat "),
        ("CAT", "Cat", "cat"),
        ("hot dog", "hot_dog", "hotdog", "Hot-Dog"),
        ("1", "01"),
        ("1", "1.0", "1e0"),
        ("class 1", "class 01"),
        ("cat", "c\u200bat"),
        ("ﬁn", "fin"),
        ("straße", "STRASSE"),
    ],
)
def test_names_that_look_alike_are_said_with_their_counts(names: tuple[str, ...]) -> None:
    counts = {name: i + 2 for i, name in enumerate(names)}
    (note,) = class_notes({**counts, "another": 7})
    assert isinstance(note, Lookalikes)
    (group,) = note.groups
    assert dict(group) == counts
    for name in names:
        assert f"{name!r} ({counts[name]})" in note_sentence(note)


@pytest.mark.parametrize(
    "names",
    [
        ("-1", "1"),
        ("1-2", "12", "1 2"),
        ("0.5", "0.05", "5"),
        ("C", "C++", "C#"),
        ("10", "1", "100"),
        ("a0", "a", "a00b"),
        ("1" * 30, "1" * 29 + "2"),
    ],
)
def test_other_names_are_left_in_peace(names: tuple[str, ...]) -> None:
    assert class_notes(dict.fromkeys(names, 2)) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b", "a|b", "a|c"], ["a|b", "a|c"]),
        (["x;y", "x;z", "w"], ["x;y", "x;z"]),
        (["action", "drama", "action, drama"], ["action, drama"]),
        (["salt", "pepper", "salt & pepper"], ["salt & pepper"]),
        (["haze", "clear", "water", "haze water", "clear water"], ["clear water", "haze water"]),
        (["white", "rice", "white rice"], []),
        (["a|x", "b|y"], []),
        (["wolf, grey", "wolf, red", "dog, red"], []),
        (["polar bear", "bear", "brown bear"], []),
        (["a|", "b"], []),
        (["km/h", "h"], []),
    ],
)
def test_lists_of_classes_are_told_from_single_names(names: list[str], expected: list[str]) -> None:
    assert combinations(names) == expected


@pytest.mark.parametrize(
    ("unknown", "classes", "expected"),
    [
        ("1", ["001", "002"], "dtype=str"),
        ("1.0", ["01", "02"], "dtype=str"),
        ("CAT", ["cat", "dog"], "'cat', which differs only by case"),
        ("hot dog", ["hot_dog", "cat"], "'hot_dog', which differs only"),
        ("dgo", ["cat", "dog"], "Did you mean 'dog'"),
        ("zebra", ["1", "2"], "It knows '1', '2'"),
    ],
)
def test_what_a_model_knows_instead(unknown: str, classes: list[str], expected: str) -> None:
    assert expected in unknown_class_hint([unknown], classes)


@pytest.mark.parametrize("kind", ["folder", "table", "pair", "parts"])
def test_every_source_notices_them(kind: str, tree: Tree) -> None:
    files = [f"{c}/{i}.png" for c in ("Cat", "cat", "dog") for i in range(2)]
    root = tree({name: i for i, name in enumerate(files)})
    labels = [name.split("/")[0] for name in files]
    source: Any = root
    if kind == "table":
        source = root / "t.csv"
        lines = (f"{n},{label}" for n, label in zip(files, labels, strict=True))
        source.write_text("\n".join(["path,label", *lines]))
    elif kind == "pair":
        source = ([root / name for name in files], labels)
    elif kind == "parts":
        source = {"train": root, "test": ([root / files[0]], ["Cat"])}
    (note,) = (note for note in open_source(source).notes if isinstance(note, Lookalikes))
    assert [name for name, _ in note.groups[0]] == ["Cat", "cat"]


def test_a_part_with_another_spelling_of_a_class_is_explained(tree: Tree) -> None:
    files = ["train/cat/0", "train/cat/1", "train/dog/0", "train/dog/1", "test/Cat/0"]
    root = tree({f"{name}.png": i for i, name in enumerate(files)})
    with pytest.raises(InputError, match="There is 'cat', which differs only by case"):
        open_source(root)
    labels = ["001", "001", "002", "002", "1"]
    rows = zip(files, labels, strict=True)
    lines = [f"{name}.png,{label},{name.split('/')[0]}" for name, label in rows]
    (root / "t.csv").write_text("\n".join(["path,label,split", *lines]))
    with pytest.raises(InputError, match=r"There is '001'\. Zeros get lost"):
        open_source(root / "t.csv")


def test_folders_that_differ_by_composed_accents_are_one_class(tree: Tree) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    files = [f"{c}/{i}.png" for c in (composed, apart, "dog") for i in range(2)]
    catalog = open_source(tree({name: i for i, name in enumerate(files)}))
    assert catalog.classes == (composed, "dog")
    assert catalog.labels.tolist() == [0, 0, 0, 0, 1, 1]
    (note,) = catalog.notes
    assert isinstance(note, Respelled)
    assert [dict(group) for group in note.groups] == [{composed: 2, apart: 2}]
    # every image keeps a name of its own
    assert len({row.name for row in catalog.rows}) == 6
    assert [row.name for row in catalog.rows][:4:2] == [
        f"{composed}/0.png",
        f"{composed}/0.png (2)",
    ]


def test_a_fit_says_and_writes_what_it_noticed(
    digit_folder: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    """Two classes that differ by case, and one that lists both, on digits."""
    names = {"digit 0": "a", "digit 1": "A", "digit 4": "a|A"}
    lines = [f"{p},{names[p.parent.name]}" for p in sorted(digit_folder.rglob("*.png"))]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,label", *lines]))
    options = ["--backbone", tiny_network["backbone"], "--weights", tiny_network["weights"]]
    run = tmp_path / "run"
    said = said_by("fit", str(table), "-o", str(run), "--effort", "fast", "--input-size", "64",
                   *options)  # fmt: skip
    assert said.exit_code == 0, said.output
    written = json.loads((run / "audit.json").read_text())["notes"]
    page = flat((run / "report.html").read_text())
    for words in ("'A' (16) and 'a' (16)", "16 images have labels that seem to list"):
        assert words in flat(said.stderr)
        assert any(words in note for note in written)
        assert words.replace("'", "&#39;") in page
    # the same words where such a model is tried on other spellings
    with pytest.raises(InputError, match=r"It knows 'a\|A', which differs only"):
        frostline.evaluate(run, ([np.zeros((8, 8), np.uint8)], ["A|A"]))


def test_a_class_that_is_too_small_is_explained(tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(5)})
    lines = ["path,label", "0.png,a", "1.png,a", "2.png,b", "3.png,b", "4.png,a|b"]
    (root / "t.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="--task multilabel"):
        open_source(root / "t.csv")
