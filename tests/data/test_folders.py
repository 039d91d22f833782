"""Folder sources: layouts, order, clutter, groups, and a helpful message for every mistake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frostline.core.errors import FrostlineError, InputError, SettingsError
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.naming import natural_key, printable, shorten
from frostline.data.sources.open_source import open_for_evaluation, open_source

Tree = Callable[[dict[str, int]], Path]
PAIRS = {"cat/1.png": 1, "cat/2.png": 2, "dog/1.png": 3, "dog/2.png": 4}


def names(catalog: Catalog) -> list[str]:
    return [row.name for row in catalog.rows]


def refused(
    source: Path | str, kind: type[FrostlineError] = InputError, group_by: str | None = None
) -> str:
    with pytest.raises(kind) as caught:
        open_source(source, group_by=group_by)
    return str(caught.value)


def in_parts(parts: dict[str, list[str]], each: int = 2) -> dict[str, int]:
    files = [f"{part}/{c}/{i}.png" for part, cs in parts.items() for c in cs for i in range(each)]
    return {name: seed for seed, name in enumerate(files)}


# ------------------------------------------------------------------------- what is read


def test_a_folder_per_class(tree: Tree) -> None:
    root = tree(PAIRS)
    catalog = open_source(str(root))
    assert catalog.classes == ("cat", "dog")
    assert names(catalog) == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]
    assert catalog.labels.tolist() == [0, 0, 1, 1]
    assert catalog.labels.dtype == np.int64
    assert catalog.parts == (None,) * 4
    assert all(row.path.is_absolute() for row in catalog.rows)
    expected = [hashlib.sha256(row.path.read_bytes()).hexdigest() for row in catalog.rows]
    assert list(catalog.digests) == expected
    assert not catalog.ignored
    assert not catalog.unreadable


def test_classes_and_files_in_natural_order(tree: Tree) -> None:
    files = {f"{c}/{i}.png": 0 for c in ("10", "2", "1", "B", "a") for i in (10, 9, 1)}
    catalog = open_source(tree({name: seed for seed, name in enumerate(files)}))
    assert catalog.classes == ("1", "2", "10", "a", "B")
    assert names(catalog)[:3] == ["1/1.png", "1/9.png", "1/10.png"]


def test_images_may_lie_deeper(tree: Tree) -> None:
    catalog = open_source(tree({**PAIRS, "cat/indoor/2024/3.JPG": 5, "dog/x/y.webp": 6}))
    assert "cat/indoor/2024/3.JPG" in names(catalog)
    assert catalog.labels.tolist().count(1) == 3


def test_clutter_is_ignored_and_counted(tree: Tree) -> None:
    clutter = {
        "cat/.hidden.png": 9, ".git/x.png": 9, "__MACOSX/cat/1.png": 9, "cat/Thumbs.db": -1,
        "cat/notes.txt": -1, "readme.md": -1, "loose.png": 9, "docs/a.pdf": -1,
    }  # fmt: skip
    catalog = open_source(tree({**PAIRS, **clutter}))
    assert len(catalog) == 4
    assert catalog.ignored == {
        "hidden": 4, "not an image": 3, "outside class folders": 1, "folder without images": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "folders",
    [("train", "val", "test"), ("Train", "VALID", "Test"), ("TRAIN", "validation", "test")],
)
def test_given_parts(folders: tuple[str, str, str], tree: Tree) -> None:
    catalog = open_source(tree(in_parts({folder: ["b", "a"] for folder in folders})))
    assert catalog.classes == ("a", "b")
    assert catalog.parts == ("train",) * 4 + ("val",) * 4 + ("test",) * 4
    assert names(catalog)[0] == f"{folders[0]}/a/0.png"


def test_a_training_part_alone(tree: Tree) -> None:
    catalog = open_source(tree(in_parts({"train": ["a", "b"]})))
    assert catalog.classes == ("a", "b")
    assert set(catalog.parts) == {"train"}


def test_a_class_may_be_called_train(tree: Tree) -> None:
    direct = open_source(tree({**PAIRS, "train/1.png": 5, "train/2.png": 6}))
    assert direct.classes == ("cat", "dog", "train")


def test_a_class_called_train_with_subfolders(tree: Tree) -> None:
    nested = open_source(tree({**PAIRS, "train/steam/1.png": 5, "train/diesel/2.png": 6}))
    assert nested.classes == ("cat", "dog", "train")
    assert set(nested.parts) == {None}


def test_classes_follow_the_training_part(tree: Tree) -> None:
    root = tree({**in_parts({"train": ["a", "b", "c"], "test": ["c", "b"]})})
    catalog = open_source(root)
    assert catalog.classes == ("a", "b", "c")
    assert {row.label for row in catalog.rows if row.part == "test"} == {1, 2}


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_are_followed_without_looping(tree: Tree) -> None:
    root = tree(PAIRS)
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "cat" / "round.png").symlink_to(root / "cat" / "round.png")
    (root / "fox").symlink_to(root / "dog")
    catalog = open_source(root)
    assert catalog.classes == ("cat", "dog", "fox")
    assert len(catalog) == 6
    assert catalog.ignored == {"link to a folder already seen": 2}
    assert [(u.path, u.reason) for u in catalog.unreadable] == [
        ("cat/gone.png", "broken link"), ("cat/round.png", "broken link"),
    ]  # fmt: skip


def test_empty_files_are_named_before_anything_is_decoded(tree: Tree) -> None:
    root = tree(PAIRS)
    (root / "cat" / "0.png").touch()
    catalog = open_source(root)
    assert [(u.path, u.reason) for u in catalog.unreadable] == [("cat/0.png", "empty file")]
    assert len(catalog) == len(catalog.digests) == 4


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_undecodable_names_stay_printable(tree: Tree) -> None:
    root = tree(PAIRS)
    odd = os.fsdecode(os.fsencode(root) + b"/cat/\xff.png")
    try:
        (root / "cat" / "1.png").rename(odd)
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    catalog = open_source(root)
    row = next(row for row in catalog.rows if "xff" in row.name)
    row.name.encode("utf-8")
    assert row.path.is_file()


# ------------------------------------------------------------------------- groups


def test_groups_come_from_the_path(tree: Tree) -> None:
    files = {"a/p1_x.png": 1, "a/p1_y.png": 2, "b/p2_x.png": 3, "b/q.png": 4}
    root = tree(files)
    by_group = open_source(root, group_by=r"(p\d+)_")
    assert [row.group for row in by_group.rows] == ["p1", "p1", "p2", None]
    by_match = open_source(root, group_by=r"p\d+")
    assert [row.group for row in by_match.rows] == ["p1", "p1", "p2", None]


def test_wrong_group_patterns(tree: Tree) -> None:
    root = tree(PAIRS)
    assert "is no regular expression" in refused(root, SettingsError, group_by="(p")
    message = refused(root, group_by="patient")
    assert "'patient' matches none of 4 paths" in message
    assert "cat/1.png" in message


# ------------------------------------------------------------------------- what is refused


def test_a_missing_folder_names_its_neighbour(tree: Tree) -> None:
    root = tree(PAIRS)
    message = refused(root / "cta")
    assert "does not exist" in message
    assert "Did you mean 'cat'?" in message


def test_files_that_are_no_tables(tree: Tree) -> None:
    root = tree({**PAIRS, "notes.txt": -1, "all.zip": -1})
    assert "single image" in refused(root / "cat" / "1.png")
    assert "Unpack it" in refused(root / "all.zip")
    tables = ".csv, .tsv, .jsonl, .ndjson, .parquet"
    assert f"neither a folder nor a table ({tables})" in refused(root / "notes.txt")


def test_an_empty_folder(tmp_path: Path) -> None:
    message = refused(tmp_path)
    assert "has no images" in message
    assert "one sub-folder per class" in message


def test_only_unknown_files(tree: Tree) -> None:
    message = refused(tree({"a/1.cr3": -1, "a/2.cr3": -1, "b/3.cr3": -1}))
    assert "only other files (3 .cr3)" in message


def test_images_without_class_folders(tree: Tree) -> None:
    message = refused(tree({"1.png": 1, "2.png": 2}))
    assert "2 images but no class folders" in message
    assert "photos/cat" in message


def test_parts_without_class_folders(tree: Tree) -> None:
    message = refused(tree({"train/1.png": 1, "test/2.png": 2}))
    assert "train" in message
    assert "no class folders inside" in message


def test_one_class(tree: Tree) -> None:
    message = refused(tree({"cat/1.png": 1, "cat/2.png": 2}))
    assert "one class, 'cat'" in message
    assert "at least two" in message


def test_a_class_with_one_image(tree: Tree) -> None:
    message = refused(tree({**PAIRS, "fox/1.png": 9}))
    assert "'fox' has 1" in message
    assert "at least 2" in message
    assert "'cat'" not in message


def test_a_class_with_one_training_image(tree: Tree) -> None:
    files = in_parts({"train": ["a", "b"], "test": ["a", "b"]})
    del files["train/b/1.png"]
    message = refused(tree(files))
    assert "'b' has 1" in message
    assert "training images" in message


def test_a_class_in_the_test_part_only(tree: Tree) -> None:
    message = refused(tree(in_parts({"train": ["a", "b"], "test": ["a", "zebra"]})))
    assert "'zebra' in 'test' has no images in the training part" in message


def test_parts_without_train(tree: Tree) -> None:
    message = refused(tree(in_parts({"val": ["a", "b"], "test": ["a", "b"]})))
    assert "no 'train' folder" in message


def test_images_beside_the_parts(tree: Tree) -> None:
    files = in_parts({"train": ["a", "b"], "test": ["a", "b"], "extra": ["a"]})
    message = refused(tree(files))
    assert "'extra'" in message
    assert "Move these folders" in message


def test_classes_beside_a_test_folder_that_repeats_them(tree: Tree) -> None:
    files = {**PAIRS, "test/cat/1.png": 8, "test/dog/1.png": 9}
    message = refused(tree(files))
    assert "class folders beside 'test'" in message
    assert "cat, dog" in message


# ------------------------------------------------------------------------- evaluation


def test_evaluation_uses_the_labels_of_the_model(tree: Tree) -> None:
    catalog = open_for_evaluation(tree(PAIRS), ["ant", "dog", "cat"])
    assert catalog.classes == ("ant", "dog", "cat")
    assert catalog.labels.tolist() == [2, 2, 1, 1]


def test_evaluation_needs_neither_train_nor_two_classes(tree: Tree) -> None:
    root = tree(in_parts({"test": ["b"]}, each=1))
    catalog = open_for_evaluation(root, ["a", "b"])
    assert catalog.labels.tolist() == [1]
    assert catalog.parts == ("test",)


def test_evaluation_refuses_unknown_classes(tree: Tree) -> None:
    with pytest.raises(InputError, match=r"does not know the class 'dog'.*Did you mean 'dogs'\?"):
        open_for_evaluation(tree(PAIRS), ["cat", "dogs"])


# ------------------------------------------------------------------------- catalog, names


def row(name: str, label: int) -> ImageRow:
    return ImageRow(Path("/x") / name, name, label)


def test_without_remembers_names_and_reasons() -> None:
    rows = tuple(row(f"{i}.png", i % 2) for i in range(6))
    catalog = Catalog("x", ("a", "b"), rows, tuple("abcdef"))
    assert catalog.labels.tolist() == [0, 1, 0, 1, 0, 1]
    smaller = catalog.without({4: "truncated", 1: "not an image"})
    assert names(smaller) == ["0.png", "2.png", "3.png", "5.png"]
    assert smaller.digests == ("a", "c", "d", "f")
    assert smaller.labels.tolist() == [0, 0, 1, 1]
    assert [(u.path, u.reason) for u in smaller.unreadable] == [
        ("1.png", "not an image"), ("4.png", "truncated"),
    ]  # fmt: skip
    smaller.check()
    with pytest.raises(InputError, match=r"'b' has 1; .* 3 could not be read, the first: 1\.png"):
        smaller.without({2: "empty file"}).check()
    with pytest.raises(InputError, match="No readable image"):
        catalog.without(dict.fromkeys(range(6), "truncated")).check()
    assert catalog.without({}) is catalog


def test_natural_order() -> None:
    words = ["img10", "img9", "IMG1", "img01", "a", "10", "9", "1" * 6000, "x2y10", "x2y9"]
    ordered = sorted(words, key=natural_key)
    assert ordered == [
        "9", "10", "1" * 6000, "a", "IMG1", "img01", "img9", "img10", "x2y9", "x2y10",
    ]  # fmt: skip


def test_text_for_people() -> None:
    assert printable("a/e\u0301.png") == "a/\u00e9.png"
    assert shorten([1, 2, 3]) == "1, 2, 3"
    assert shorten(list(range(2000)), limit=2) == "0, 1 and 1,998 more"
