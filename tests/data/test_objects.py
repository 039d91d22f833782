"""Sources that are objects: frames, datasets, arrays, and dicts of parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.data.decoding.image_refs import ImageRef, decode_unchanged
from frostline.data.sources.open_source import open_for_evaluation, open_source, source_name

Tree = Callable[[dict[str, int]], Path]
FILES = {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 4}


def digits(n: int = 12) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Real digits 0 and 1, grey, (n, 8, 8), uint8."""
    data = load_digits(n_class=2)
    return (data.images[:n] * 15.9).astype(np.uint8), data.target[:n]


def refused(source: object, kind: type[Exception] = InputError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_source(source, **options)
    return str(caught.value)


class Frame:
    """As much of a DataFrame as is used, so that this test needs neither pandas nor polars."""

    def __init__(self, **columns: list[Any]) -> None:
        self._columns = columns
        self.columns = list(columns)
        self.shape = (len(next(iter(columns.values()), [])), len(columns))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, name: str) -> Any:
        return FrameColumn(self._columns[name])


class FrameColumn:
    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def to_list(self) -> list[Any]:
        return self._values


def test_a_frame_follows_the_rules_for_tables(tree: Tree) -> None:
    root = tree(FILES)
    paths: list[Any] = [root / name for name in FILES]
    frame = Frame(
        Path=paths,
        label=[2, 2, 10.0, np.int64(10)],
        split=["train", "train", "train", "test"],
        group=["g", None, float("nan"), "h"],
    )
    catalog = open_source(
        Frame(path=paths, label=[2, 2, 10.0, np.int64(10)], group=["g", None, float("nan"), "h"])
    )
    assert catalog.classes == ("2", "10")
    assert [row.group for row in catalog.rows] == ["g", None, None, "h"]
    assert catalog.source == "Frame of 4 rows"
    assert not catalog.on_disk
    assert catalog.digests[0] == hashlib.sha256((root / "a.png").read_bytes()).hexdigest()
    assert "'10' has 1" in refused(frame)


def test_relative_paths_of_a_frame_start_here(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(FILES))
    catalog = open_source(Frame(path=list(FILES), label=list("xxyy")))
    assert [row.name for row in catalog.rows] == list(FILES)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"path": ["a"], "lable": ["x"]},
            ["The DataFrame has the columns", "Did you mean 'label'"],
        ),
        ({"path": ["a"], "label": [None]}, ["no label in row 0"]),
        ({"path": ["nowhere.png"], "label": ["x"]}, ["1 of 1 files do not exist: nowhere.png"]),
        ({"path": [], "label": []}, ["has no rows"]),
        ({"path": ["a"], "label": ["x"], "Label ": ["y"]}, ["more than one column 'label'"]),
    ],
)
def test_mistakes_in_a_frame(columns: dict[str, list[Any]], expected: list[str]) -> None:
    message = refused(Frame(**columns))
    for text in expected:
        assert text in message


def test_a_frame_of_pandas(tree: Tree) -> None:
    pandas = pytest.importorskip("pandas")
    root = tree(FILES)
    frame = pandas.DataFrame(
        {
            "path": [str(root / name) for name in FILES],
            "label": list("xxyy"),
            "patient": [1, 1, 2, 3],
        },
        index=list("pqrs"),
    )
    catalog = open_source(frame, group_by="patient")
    assert [row.group for row in catalog.rows] == ["1", "1", "2", "3"]
    assert "Did you mean 'patient'" in refused(frame, SettingsError, group_by="patiant")
    frame.loc["r", "label"] = pandas.NA
    assert "no label in row r" in refused(frame)


def test_arrays(tmp_path: Path) -> None:
    images, labels = digits()
    catalog = open_source((images, labels))
    assert catalog.classes == ("0", "1")
    assert catalog.labels.tolist() == labels.tolist()
    assert [row.name for row in catalog.rows][:2] == ["image 0", "image 1"]
    assert catalog.source == "ndarray of 12 images"
    # a picture is the same whatever holds it, so what is stored for it is found again
    colour = np.stack([images] * 3, axis=-1)
    pillow = [Image.fromarray(image) for image in images]
    mixed = [colour[0], pillow[1], images[2][..., None], *pillow[3:]]
    for same in (colour, images[..., None], pillow, list(images), mixed):
        assert open_source((same, labels)).digests == catalog.digests
    names = np.array([f"digit {label}" for label in labels], dtype=object)
    grouped = open_source((images, names, [i // 2 for i in range(12)]))
    assert grouped.classes == ("digit 0", "digit 1")
    assert [row.group for row in grouped.rows][:3] == ["0", "0", "1"]


def test_files_and_bytes_in_a_list(tree: Tree) -> None:
    root = tree(FILES)
    paths = [root / name for name in FILES]
    by_path = open_source((paths, list("xxyy")))
    by_bytes = open_source(([path.read_bytes() for path in paths], list("xxyy")))
    assert by_path.digests == by_bytes.digests
    assert [row.name for row in by_path.rows] == [str(path) for path in paths]
    held = by_bytes.rows[0].origin
    assert isinstance(held, ImageRef)
    image = decode_unchanged(held, by_bytes.digests[0], name="x", max_pixels=10**6, at_least=None)
    with Image.open(paths[0]) as opened:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(opened.convert("RGB")))
    twice = open_source(([paths[0], paths[0], *paths[2:]], list("xxyy")))
    assert len({row.name for row in twice.rows}) == 4


def test_an_image_that_changes_is_noticed() -> None:
    images, labels = digits()
    catalog = open_source((images, labels))
    images[0] = 7
    with pytest.raises(UnreadableImageError, match="changed"):
        decode_unchanged(
            catalog.rows[0].origin,
            catalog.digests[0],
            name="image 0",
            max_pixels=10**6,
            at_least=None,
        )


_IMAGES, _LABELS = digits()


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (_IMAGES / 255, ["float64 with values from 0 to", "(255 * images).round()", "(0, 1)"]),
        (_IMAGES.astype(float), ["images.round().astype('uint8')", "pixel_range=(0, 255)"]),
        (_IMAGES.astype(int) - 3, ["int64", "pixel_range=(low, high)"]),
        (np.where(_IMAGES > 9, np.nan, 0.0), ["NaN"]),
        (np.zeros((12, 3, 8, 8), np.uint8), ["channels first", "transpose(0, 2, 3, 1)"]),
        (np.zeros((12, 8, 8, 4), np.uint8), ["(8, 8, 4)", "RGBA"]),
        (np.zeros((12, 8, 8, 2), np.uint8), ["(8, 8, 2)", "Channels come last"]),
        (np.zeros((12, 64), np.uint8), ["table of numbers", "reshape"]),
        (np.zeros((12, 8, 3), np.uint8), ["one image, or many", "image[None]"]),
        (np.zeros((0, 8, 8), np.uint8), ["no image"]),
        (np.zeros((12, 0, 8), np.uint8), ["without any pixel"]),
        (iter(_IMAGES), ["only once", "list(images)"]),
        ((image for image in _IMAGES), ["generator", "only once"]),
        (Image.new("RGB", (8, 8)), ["One Image", "[image]"]),
        ("a.png", ["One str"]),
        ([[0, 1]] * 12, ["image 0 is a list"]),
        ([None] * 12, ["image 0 is a NoneType"]),
        (np.array([1.5, None] * 6, dtype=object), ["image 0 is a float"]),
        (_IMAGES[:3], ["There are 3 images, but 12 labels"]),
        ({1, 2}, ["no sequence"]),
    ],
)
def test_nothing_is_guessed(images: Any, expected: list[str]) -> None:
    message = refused((images, _LABELS))
    for text in expected:
        assert text in message


def test_tensors_are_named() -> None:
    import torch

    assert "permute(0, 2, 3, 1)" in refused((torch.zeros(12, 3, 8, 8), _LABELS))
    assert "permute" in refused(([torch.zeros(3, 8, 8)] * 12, _LABELS))


def test_labels_and_groups_of_arrays() -> None:
    missing = [None, *_LABELS[1:]]
    assert "No label for image 0" in refused((_IMAGES, missing))
    assert "groups=" in refused((_IMAGES, _LABELS), SettingsError, group_by="x")
    assert "one class" in refused((_IMAGES, ["x"] * 12))


class Items:
    """A dataset as torchvision's are: numbered items, and names of the classes."""

    def __init__(self, images: Any, labels: Any, classes: list[str] | None) -> None:
        self._items = list(zip(images, labels, strict=True))
        if classes:
            self.classes = classes
        self.read = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        self.read += 1
        return self._items[i]


def test_a_dataset_of_items() -> None:
    pillow = [Image.fromarray(image) for image in _IMAGES]
    catalog = open_source(Items(pillow, _LABELS, ["nought", "one"]))
    assert catalog.classes == ("nought", "one")
    assert catalog.digests == open_source((_IMAGES, _LABELS)).digests
    assert catalog.source == "Items of 12 images"
    assert open_source(Items(pillow, _LABELS, None)).classes == ("0", "1")
    from torch.utils.data import Subset

    some = Subset(Items(pillow, _LABELS, ["nought", "one"]), [3, 2, 1, 0])  # type: ignore[arg-type,var-annotated]
    assert open_source(some).digests == catalog.digests[3::-1]
    assert open_source(some).classes == ("nought", "one")


def test_datasets_that_cannot_be_read() -> None:
    import torch

    tensors = Items([torch.zeros(3, 8, 8)] * 4, [0, 0, 1, 1], None)
    assert "without a transform" in refused(tensors)
    pillow = [Image.fromarray(image) for image in _IMAGES[:4]]
    assert "class number 7" in refused(Items(pillow, [0, 7, 1, 1], ["a", "b"]))
    assert "is empty" in refused(Items([], [], None))
    assert "groups=" in refused(Items(pillow, [0, 0, 1, 1], None), SettingsError, group_by="x")


def test_an_image_folder_is_read_from_its_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    for i, (image, label) in enumerate(zip(_IMAGES, _LABELS, strict=True)):
        (tmp_path / f"c{label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"c{label}" / f"{i}.png")
    catalog = open_source(datasets.ImageFolder(tmp_path))
    assert sorted(catalog.digests) == sorted(open_source(tmp_path).digests)
    assert catalog.classes == ("c0", "c1")
    smaller = datasets.ImageFolder(tmp_path, transform=lambda image: image.resize((4, 4)))
    assert open_source(smaller).digests != catalog.digests
    fake = datasets.FakeData(8, image_size=(3, 8, 8), num_classes=2)
    assert len(open_source(fake)) == 8


def test_parts() -> None:
    train, test = (_IMAGES[:8], _LABELS[:8]), (_IMAGES[8:], _LABELS[8:])
    catalog = open_source({"train": train, "Test": test})
    assert catalog.parts == ("train",) * 8 + ("test",) * 4
    assert catalog.rows[0].name == "train/image 0"
    assert catalog.source == "train: ndarray of 8 images, Test: ndarray of 4 images"
    assert "Did you mean 'train'" in refused({"trian": train})
    assert "no training images" in refused({"test": test})
    assert len(open_for_evaluation({"test": test}, ["1", "0"])) == 4
    with pytest.raises(InputError, match="does not know the class '1'"):
        open_for_evaluation({"test": test}, ["0", "l"])


def test_what_is_no_source() -> None:
    assert "A list is no source" in refused([1, 2])
    assert "A int is no source" in refused(3)
    assert source_name("photos/") == "photos/"
