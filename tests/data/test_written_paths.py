"""Paths of a table that name no file as they are written: read where one fits, else explained."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from frostline import evaluate, load
from frostline.cli.main import app
from frostline.core.errors import InputError
from frostline.data.notes import MendedPaths
from frostline.data.sources.open_source import open_source

Tree = Callable[[dict[str, int]], Path]
FILES = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(2)]
MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"


def table(root: Path, written: Callable[[str], str], files: list[str] = FILES) -> Path:
    path = root / "t.csv"
    lines = (f"{written(name)},{name.split('/')[0]}" for name in files)
    path.write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("written", "notes"),
    [
        (lambda n: n.replace("/", "\\"), {"backslash": "cat\\0.png"}),
        (lambda n: ".\\" + n.replace("/", "\\"), {"backslash": ".\\cat\\0.png"}),
        (lambda n: n[:-4], {"ending": "cat/0"}),
        (str.upper, {"case": "CAT/0.PNG"}),
        (lambda n: n.replace(".png", ".PNG"), {"case": "cat/0.PNG"}),
        (lambda n: n[:-4].replace("/", "\\"), {"backslash": "cat\\0", "ending": "cat\\0"}),
        (lambda n: n.title()[:-4], {"case": "Cat/0", "ending": "Cat/0"}),
    ],
)
def test_one_sensible_reading(
    written: Callable[[str], str], notes: dict[Any, str], tree: Tree
) -> None:
    root = tree({name: i for i, name in enumerate(FILES)})
    catalog = open_source(table(root, written))
    assert [row.name for row in catalog.rows] == FILES
    assert catalog.notes == tuple(
        MendedPaths(how, 4, example, "cat/0.png") for how, example in notes.items()
    )


def test_accents_composed_in_another_way(tree: Tree) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    for on_disk, in_table in ((composed, apart), (apart, composed)):
        files = [f"{on_disk}/{name}.png" for name in (f"{on_disk} 1", "2")] + FILES[:2]
        root = tree({name: i for i, name in enumerate(files)})
        path = table(root, lambda n, a=on_disk, b=in_table: n.replace(a, b), files)  # type: ignore[misc]
        catalog = open_source(path)
        assert catalog.classes == (composed, "cat")
        assert [os.fsencode(row.path) for row in catalog.rows] == [
            os.fsencode(root / name) for name in files
        ]
        (note,) = catalog.notes
        assert isinstance(note, MendedPaths)
        assert (note.how, note.images) == ("accents", 2)
        shutil.rmtree(root / on_disk)


def test_what_exists_is_never_read_otherwise(tree: Tree) -> None:
    """Files without an ending, of both cases, and with a backslash in their names."""
    files = ["a/0", "a/0.png", "A/0.png", "b\\0.png", "b/0.png"]
    root = tree({f"{i}.png": i for i in range(5)})
    for i, name in enumerate(files):
        (root / name).parent.mkdir(exist_ok=True)
        (root / f"{i}.png").rename(root / name)
    lines = [f"{name},{'xy'[i % 2]}" for i, name in enumerate(files)]
    (root / "t.csv").write_text("\n".join(["path,label", *lines]))
    catalog = open_source(root / "t.csv")
    assert [row.name for row in catalog.rows] == files
    assert not catalog.notes


@pytest.mark.parametrize(
    ("written", "more", "expected"),
    [
        (lambda n: n[:-4], "cat/0.jpg", "line 2: the path may mean cat/0.jpg or cat/0.png"),
        (lambda n: n.upper(), "Cat/0.png", "2 of 4 files do not exist.* CAT may mean Cat or cat"),
        (lambda n: n.replace(".png", ".jpg"), "", "cat/0.png does exist: its ending is another"),
        (lambda n: f"C:\\data\\{n}", "", r"cat/0.png does exist in .*, without 'C:\\data\\'"),
        (lambda n: f"/home/me/{n}", "", "cat/0.png does exist in .*, without '/home/me/'"),
        (lambda n: f"photos/{n}", "", "cat/0.png does exist in .*, without 'photos/'"),
        (lambda n: n.replace("/", "/00"), "", r"cat/0.png does exist. Zeros get lost .*dtype=str"),
        (lambda n: f"'{n}'", "", "write it without quotation marks"),
        (lambda n: f"https://example.org/{n}", "", "download the images"),
        (lambda n: n.split("/")[0], "", "cat is a folder; a table names every image"),
        (lambda n: f"nowhere\\{n}x", "", "Relative paths start from"),
    ],
)
def test_refused_with_what_does_exist(
    written: Callable[[str], str], more: str, expected: str, tree: Tree
) -> None:
    root = tree({name: i for i, name in enumerate([*FILES, *filter(None, [more])])})
    path = table(root, written)
    with pytest.raises(InputError, match=expected):
        open_source(path)


def test_the_folder_that_is_missing_in_a_path(tree: Tree) -> None:
    root = tree({f"images/{i}.png": i for i in range(4)})
    for ending in (".png", ""):
        lines = (f"{i}{ending},{'xy'[i % 2]}" for i in range(4))
        (root / "t.csv").write_text("\n".join(["path,label", *lines]))
        with pytest.raises(InputError, match=f"images/0{ending} does exist: write the folder"):
            open_source(root / "t.csv")


def test_one_file_by_two_names_is_listed_twice(tree: Tree) -> None:
    root = tree({name: i for i, name in enumerate(FILES)})
    for other in ("cat/0", "cat\\0.png", "CAT/0.png", "./cat/0.png"):
        lines = ["path,label", "cat/0.png,x", "cat/1.png,x", f"{other},y"]
        (root / "t.csv").write_text("\n".join(lines))
        with pytest.raises(InputError, match=r"listed twice, in line 2 and line 4, once as cat/0"):
            open_source(root / "t.csv")


def test_the_command_line_says_it_once_with_an_example(tree: Tree) -> None:
    root = tree({name: i for i, name in enumerate(FILES)})
    path = table(root, lambda n: n[:-4].replace("/", "\\"))
    lines = path.read_text().replace(",cat", ",{0}").replace(",dog", ",{1}")
    path.write_text(lines.format(*load(MODEL).classes))
    said = CliRunner().invoke(app, ["evaluate", str(MODEL), str(path)], env={"COLUMNS": "300"})
    assert said.exit_code == 0, said.output
    words = " ".join(said.stderr.split())
    assert words.count("4 paths are written with backslashes; read as separators") == 1
    assert "'cat\\0' is cat/0.png" in words
    assert "4 paths have no ending" in words
    assert "4 images" in said.stdout
    as_json = CliRunner().invoke(app, ["evaluate", str(MODEL), str(path), "--json"])
    notes = json.loads(as_json.stdout)["notes"]
    assert notes == list(evaluate(MODEL, path).notes)
    assert [note.split(";")[0] for note in notes if "paths" in note] == [
        "4 paths are written with backslashes", "4 paths have no ending",
    ]  # fmt: skip
