"""What folders mean: each layout is read in the one sensible way and said, or refused with both."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from frostline.core.errors import FrostlineError, InputError, SettingsError
from frostline.data.catalog import Catalog, Part
from frostline.data.sources.open_source import open_for_evaluation, open_source
from frostline.wording.notes import note_sentence

Tree = Callable[[dict[str, int]], Path]


def images(folders: Iterable[str], each: int = 2) -> dict[str, int]:
    names = [f"{folder}/{i}.png" for folder in folders for i in range(each)]
    return {name: seed for seed, name in enumerate(names)}


def below(parts: Iterable[str], classes: Iterable[str] = ("cat", "dog")) -> list[str]:
    return [f"{part}/{name}" for part in parts for name in classes]


def notes(catalog: Catalog) -> str:
    return " ".join(map(note_sentence, catalog.notes))


def refused(root: Path, kind: type[FrostlineError] = InputError, **folders: str) -> tuple[str, str]:
    with pytest.raises(kind) as caught:
        open_source(root, folders=folders)  # type: ignore[arg-type]
    return caught.value.message, caught.value.hint


def counts(catalog: Catalog) -> dict[Part | None, int]:
    return dict(Counter(catalog.parts))


# ------------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("train", "other", "part"),
    [
        ("Training", "Testing", "test"),
        ("training", "validation", "val"),
        ("training_set", "test_set", "test"),
        ("train", "dev", "val"),
        ("TRAIN", "EVAL", "test"),
        ("train", "holdout", "test"),
        ("train2017", "val2017", "val"),
        ("dogs-train", "dogs-val", "val"),
        ("01 Training data", "02 Test data", "test"),
    ],
)
def test_parts_in_every_spelling(train: str, other: str, part: Part, tree: Tree) -> None:
    catalog = open_source(tree(images(below([train, other]))))
    assert catalog.classes == ("cat", "dog")
    assert counts(catalog) == {"train": 4, part: 4}
    assert catalog.folders == (("train", train), (part, other))


@pytest.mark.parametrize(
    "folders",
    [
        ["train", "test1"],
        ["Training", "Testing"],
        ["train", "val", "test"],
        ["train/images", "dev"],
    ],
)
def test_flat_parts_are_refused_with_both_readings(folders: list[str], tree: Tree) -> None:
    root = tree(images(folders))
    said, hint = refused(root)
    assert "train" in said.lower()
    assert "no class folders inside" in said
    assert "table" in hint
    assert "--train ." in hint


def test_whatever_it_is_called_a_folder_may_be_a_class(tree: Tree) -> None:
    catalog = open_source(tree(images(["train", "test1"])), folders={"train": "."})
    assert catalog.classes == ("test1", "train")


@pytest.mark.parametrize(
    "folders",
    [
        ["test", "control"],
        ["test 1", "test 2", "test 3"],
        ["valid", "invalid"],
        ["dev", "cat", "dog"],
    ],
)
def test_classes_may_be_called_like_parts(folders: list[str], tree: Tree) -> None:
    catalog = open_source(tree(images(folders)))
    assert catalog.classes == tuple(sorted(folders))
    assert set(catalog.parts) == {None}


@pytest.mark.parametrize(
    ("flat", "where"),
    [("test", "test"), ("val/images", "val"), ("Testing", "Testing"), ("dev/dev", "dev")],
)
def test_a_part_without_class_folders_is_named(flat: str, where: str, tree: Tree) -> None:
    catalog = open_source(tree({**images(below(["train"])), **images([flat], 3)}))
    assert counts(catalog) == {"train": 4}
    assert f"{where}/ has 3 images and no class folders: not used." in notes(catalog)
    assert [(one.count, one.example) for one in catalog.left_out] == [(3, f"{flat}/0.png")]


def test_images_without_labels_beside_parts_are_named(tree: Tree) -> None:
    folders = below(["seg_train/seg_train", "seg_test/seg_test"])
    catalog = open_source(tree(images([*folders, "seg_pred/seg_pred"])))
    assert counts(catalog) == {"train": 4, "test": 4}
    assert "seg_pred/ has 2 images and no class folders" in notes(catalog)


def test_a_training_part_without_class_folders(tree: Tree) -> None:
    said, _ = refused(tree(images(["train", *below(["test"])])))
    assert "has 2 images in 'train' but no class folders there" in said


def test_empty_folders_beside_parts_do_not_matter(tree: Tree) -> None:
    root = tree({**images([*below(["train"]), "test"]), "docs/readme.md": -1})
    (root / "val").mkdir()
    catalog = open_source(root)
    assert counts(catalog) == {"train": 4}
    assert catalog.ignored["folder without images"] == 2


@pytest.mark.parametrize(("one", "other"), [("eval", "test"), ("test1", "test2"), ("dev", "val")])
def test_parts_that_may_be_one_or_two_are_refused(one: str, other: str, tree: Tree) -> None:
    root = tree(images(below(["train", one, other])))
    said, hint = refused(root)
    assert f"{one!r} and {other!r}, which may be one" in said
    assert f"--{'val' if one == 'dev' else 'test'} {one}" in hint
    catalog = open_source(root, folders={"val": one, "test": other})
    assert counts(catalog) == {"train": 4, "val": 4, "test": 4}


@pytest.mark.parametrize("other", ["vaild", "extra", "Prueba", "fold2"])
def test_what_holds_the_classes_of_a_part_may_be_one(other: str, tree: Tree) -> None:
    root = tree(images(below(["train", other])))
    said, hint = refused(root)
    assert f"'train' and {other!r}, which hold the same folders (cat, dog)" in said
    assert f"--train train --test {other}" in hint
    assert "--train ." in hint
    catalog = open_source(root, folders={"train": "train", "val": other})
    assert counts(catalog) == {"train": 4, "val": 4}
    assert open_source(root, folders={"train": "."}).classes == tuple(sorted(["train", other]))


def test_two_forms_of_one_word_are_one_part(tree: Tree) -> None:
    catalog = open_source(tree(images(below(["train", "val", "validation"]))))
    assert counts(catalog) == {"train": 4, "val": 8}


def test_parts_inside_the_classes(tree: Tree) -> None:
    catalog = open_source(tree(images(below(["cat", "dog", "fox"], ["train", "test"]))))
    assert catalog.classes == ("cat", "dog", "fox")
    assert counts(catalog) == {"train": 6, "test": 6}
    assert "Parts lie inside the classes (cat/test, cat/train)" in notes(catalog)


@pytest.mark.parametrize("sets", [["fold1", "fold2"], ["bottle", "capsule"]])
def test_several_sets_with_parts_are_refused(sets: list[str], tree: Tree) -> None:
    said, hint = refused(tree(images(below(below(sets, ["train", "test"])))))
    assert "may be several sets of images, or classes" in said
    assert f"such as {sets[0]}" in hint


@pytest.mark.parametrize(("other", "inside"), [("old", "cd"), ("Prueba", "c"), ("new batch", "cd")])
def test_a_folder_that_holds_other_classes_is_refused(other: str, inside: str, tree: Tree) -> None:
    root = tree(images(["c", "d", *below([other], inside)]))
    said, hint = refused(root)
    assert f"class folders beside {other!r}, which holds {', '.join(inside)} too" in said
    assert "--train . --test" in hint
    catalog = open_source(root, folders={"train": ".", "test": other})
    assert counts(catalog) == {"train": 4, "test": 2 * len(inside)}
    assert set(open_source(root, folders={"train": "."}).classes) == {"c", "d", other}


# ------------------------------------------------------------------------- folders around


@pytest.mark.parametrize("wrapper", ["PetImages", "archive/PetImages", "a/b/c"])
def test_a_folder_around_everything_is_stepped_into(wrapper: str, tree: Tree) -> None:
    root = tree({**images(below([wrapper])), "licence.txt": -1})
    catalog = open_source(root)
    assert catalog.classes == ("cat", "dog")
    assert catalog.rows[0].name == f"{wrapper}/cat/0.png"
    assert f"{wrapper}/ was read in place of the folder around it" in notes(catalog)
    assert open_for_evaluation(root, ["cat", "dog"]).digests == catalog.digests


def test_parts_in_a_wrapper(tree: Tree) -> None:
    root = tree({**images(below(["images/train", "images/val"])), "labels/train/0.txt": -1})
    catalog = open_source(root)
    assert counts(catalog) == {"train": 4, "val": 4}


@pytest.mark.parametrize("loose", ["cover.png", "pets/cover.png"])
def test_a_wrapper_with_images_of_its_own_is_named(loose: str, tree: Tree) -> None:
    root = tree({**images(below(["pets"])), loose: 9})
    said, hint = refused(root)
    assert "one class folder, 'pets'" in said
    assert "If its folders (cat, dog) are the classes: --train pets" in hint
    assert open_source(root, folders={"train": "pets"}).classes == ("cat", "dog")


def test_an_evaluation_does_not_step_into_a_class(tree: Tree) -> None:
    root = tree(images(below(["cat"], ["indoor", "outdoor"])))
    assert open_for_evaluation(root, ["cat", "dog"]).labels.tolist() == [0] * 4


def test_a_test_part_of_one_class_is_not_stepped_into(tree: Tree) -> None:
    folders = below(["train"]) + below(["test/cat"], ["indoor", "outdoor"])
    catalog = open_source(tree(images(folders)))
    assert {row.label for row in catalog.rows if row.part == "test"} == {0}


def test_classes_that_hold_only_folders_are_said(tree: Tree) -> None:
    folders = ["a/airfield", "a/alley", "b/bakery", "b/bar"]
    catalog = open_source(tree(images(folders)))
    assert catalog.classes == ("a", "b")
    assert "they lie in 4 inner folders (a/airfield, a/alley, b/bakery, b/bar)" in notes(catalog)


def test_the_same_folders_in_every_class_are_said(tree: Tree) -> None:
    root = tree(images(below(["Entrenamiento", "Prueba"])))
    catalog = open_source(root)
    assert catalog.classes == ("Entrenamiento", "Prueba")
    assert "holds the same folders (cat, dog)" in notes(catalog)
    named = open_source(root, folders={"train": "Entrenamiento", "test": "Prueba"})
    assert named.classes == ("cat", "dog")
    assert not named.notes


@pytest.mark.parametrize("inner", ["images", "2024"])
def test_one_folder_in_every_class_is_nothing_to_say(inner: str, tree: Tree) -> None:
    assert not open_source(tree(images(below(["cat", "dog"], [inner])))).notes


# ------------------------------------------------------------------------- masks


@pytest.mark.parametrize(
    ("pictures", "masks"),
    [("images", "masks"), ("images", "lung masks"), ("original", "Ground_Truth"), ("", "mask")],
)
def test_masks_beside_images_are_left_out_and_said(pictures: str, masks: str, tree: Tree) -> None:
    catalog = open_source(tree(images(below(["cat", "dog"], [pictures, masks]))))
    assert len(catalog) == 4
    assert catalog.ignored == {"mask of another image": 4}
    assert f"4 masks were left out (in cat/{masks}/)" in notes(catalog)


def test_masks_of_all_classes_in_a_folder_of_their_own(tree: Tree) -> None:
    catalog = open_source(tree(images(below(["images", "masks"]))))
    assert catalog.classes == ("cat", "dog")
    assert len(catalog) == 4
    assert "4 masks were left out" in notes(catalog)


def test_what_only_sounds_like_masks_is_read(tree: Tree) -> None:
    kinds = open_source(tree(images(["with_mask", "without_mask", "mask"])))
    assert len(kinds.classes) == 3
    files = {"cat/1.png": 0, "cat/masks/x.png": 1, "dog/1.png": 2, "dog/2.png": 3}
    assert len(open_source(tree(files)).rows) == 10


def test_files_called_like_masks_are_said(tree: Tree) -> None:
    catalog = open_source(tree({**images(["cat", "dog"]), "cat/1_mask.png": 8}))
    assert len(catalog) == 5
    assert "1 image is called like a mask of another, such as cat/1_mask.png" in notes(catalog)


# ------------------------------------------------------------------------- clutter, links


@pytest.mark.parametrize(
    "clutter",
    [
        ".ipynb_checkpoints", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information",
        "lost+found", "#recycle", "__pycache__", "._x", "#snapshot",
    ],
)  # fmt: skip
def test_what_systems_leave_behind_is_no_image(clutter: str, tree: Tree) -> None:
    files = {**images(["cat", "dog"]), f"{clutter}/0.png": 7, f"cat/{clutter}/0.png": 8}
    catalog = open_source(tree(files))
    assert len(catalog) == 4
    assert catalog.ignored == {"hidden": 2}


def test_what_is_left_out_is_told_by_ending_with_an_example(tree: Tree) -> None:
    others = {"cat/p0.CR3": -1, "cat/p1.CR3": -1, "dog/a.txt": -1, "dog/b.png.1": -1}
    catalog = open_source(tree({**images(["cat", "dog"]), **others}))
    assert {(one.ending, one.count, one.example) for one in catalog.left_out} == {
        (".cr3", 2, "cat/p0.CR3"), (".txt", 1, "dog/a.txt"), ("", 1, "dog/b.png.1"),
    }  # fmt: skip
    assert catalog.ignored == {"not an image": 4}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.JPG_large", "JPEG"), ("b.jpg.1", "JPEG"), ("0f3a9c", "PNG"), ("c.dat", "WebP")],
)
def test_images_called_otherwise_are_said(name: str, kind: str, tree: Tree) -> None:
    root = tree({**images(["cat", "dog"]), "cat/a.txt": -1, "cat/b.bin": -1})
    Image.new("RGB", (8, 8)).save(root / "cat" / name, kind)
    catalog = open_source(root)
    assert len(catalog) == 4
    said = f"1 image was left out for the ending of the name ({kind}, such as cat/{name})"
    assert said in notes(catalog)


def test_a_folder_of_images_called_otherwise(tree: Tree) -> None:
    root = tree(images(["cat", "dog"]))
    for path in root.rglob("*.png"):
        path.rename(path.with_suffix(""))
    said, hint = refused(root)
    assert "has no images, only other files (4 without ending)" in said
    assert "4 images were left out for the ending of the name (PNG, such as cat/0)" in hint


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_links_in_circles_around_the_classes(tree: Tree) -> None:
    root = tree(images(below(["wrap"])))
    (root / "wrap" / "again").symlink_to(root)
    (root / "wrap" / "cat" / "wrap").symlink_to(root / "wrap")
    catalog = open_source(root)
    assert catalog.classes == ("cat", "dog")
    assert len(catalog) == 4


# ------------------------------------------------------------------------- words that settle


def test_named_parts_leave_the_rest_out(tree: Tree) -> None:
    root = tree(images(below(["fit here", "old", "data/judge"])))
    catalog = open_source(root, folders={"train": "fit here", "test": "data/judge"})
    assert counts(catalog) == {"train": 4, "test": 4}
    assert catalog.ignored == {"outside the parts": 4}
    assert catalog.left_out[0].example == "old/cat/0.png"


def test_parts_beside_a_named_one_are_known_by_their_names(tree: Tree) -> None:
    root = tree(images(below(["d/lern", "d/test", "d/val"])))
    catalog = open_source(root, folders={"train": "d/lern", "val": "d/val"})
    assert counts(catalog) == {"train": 4, "val": 4, "test": 4}


def test_a_named_test_part_beside_classes(tree: Tree) -> None:
    root = tree(images(["cat", "dog", *below(["test"])]))
    _, hint = refused(root)
    assert "--train . --test test" in hint
    for folders in ({"test": "test"}, {"train": ".", "test": "test"}):
        catalog = open_source(root, folders=folders)  # type: ignore[arg-type]
        assert catalog.classes == ("cat", "dog")
        assert counts(catalog) == {"train": 4, "test": 4}


@pytest.mark.parametrize(
    ("folders", "said", "hint"),
    [
        ({"train": "Trainng"}, "train='Trainng': there is no folder 'Trainng' in", "'Training'?"),
        ({"test": "Training/bird"}, "no folder 'bird' in Training", "There are cat, dog."),
        ({"train": "Training", "test": "Training"}, "are one folder", ""),
    ],
)
def test_folders_that_are_not_there(
    folders: dict[str, str], said: str, hint: str, tree: Tree
) -> None:
    message, help_ = refused(tree(images(below(["Training"]))), SettingsError, **folders)
    assert said in message
    assert hint in help_


def test_only_folders_have_sub_folders(tree: Tree) -> None:
    root = tree({"t.csv": -1})
    for source in (root / "t.csv", {"train": root}):
        with pytest.raises(SettingsError, match="train='x' names a sub-folder"):
            open_source(source, folders={"train": "x"})
