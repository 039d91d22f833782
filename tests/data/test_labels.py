"""Labels of any kind: what is read as one class, what is several, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import frostline
from frostline.core.errors import InputError
from frostline.data.notes import ListsOfOne, Note, OneHotLabels, Respelled
from frostline.data.sources.labels import read_labels
from frostline.data.sources.open_source import open_source
from frostline.data.sources.target_choice import TargetChoice
from frostline.wording.notes import note_sentence

Tree = Callable[[dict[str, int]], Path]
MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"
#: different small pictures
PICTURES = [np.full((8, 8), 30 * i, dtype=np.uint8) for i in range(6)]
LABELS = [0, 0, 0, 1, 1, 1]


class Items:
    """A dataset of pairs, as torchvision's and MedMNIST's are."""

    def __init__(self, labels: list[Any], classes: list[str] | None = None) -> None:
        self._items = list(zip(map(Image.fromarray, PICTURES), labels, strict=True))
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: int) -> tuple[Image.Image, Any]:
        return self._items[i]


def frame(labels: list[Any], root: Path) -> Any:
    pandas = pytest.importorskip("pandas")
    paths = [str(root / f"{i}.png") for i in range(6)]
    return pandas.DataFrame({"path": paths, "label": pandas.Series(labels, dtype=object)})


def refused(source: Any) -> str:
    with pytest.raises(InputError) as caught:
        open_source(source)
    return str(caught.value)


def read(labels: Any, **options: Any) -> tuple[list[str], list[Note]]:
    return read_labels(labels, lambda i: f"image {i}", **options)


ONE_EACH: dict[str, Callable[[int], Any]] = {
    "array (1,)": lambda k: np.array([k]),
    "array (1, 1)": lambda k: np.array([[k]]),
    "array ()": lambda k: np.array(k),
    "tensor (1,)": lambda k: torch.tensor([k]),
    "tensor ()": lambda k: torch.tensor(k),
    "tensor of floats": lambda k: torch.tensor([float(k)]),
    "list of one": lambda k: [k],
    "tuple in a list": lambda k: [(k,)],
    "unsigned": np.uint8,
    "NumPy's text": lambda k: np.str_(k),
    "bytes": lambda k: str(k).encode(),
    "array of text": lambda k: np.array([str(k)]),
}


@pytest.mark.parametrize("kind", ONE_EACH)
def test_one_label_in_any_wrapping(kind: str, tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    labels = [ONE_EACH[kind](k) for k in LABELS]
    for source in (Items(labels), (PICTURES, labels), frame(labels, root)):
        catalog = open_source(source)
        assert catalog.classes == ("0", "1")
        assert catalog.labels.tolist() == LABELS
        assert not catalog.notes


def test_a_column_of_labels_is_no_list() -> None:
    for labels in (np.array(LABELS)[:, None], torch.tensor(LABELS)[:, None]):
        assert open_source((PICTURES, labels)).classes == ("0", "1")


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_vectors_with_a_single_one(kind: Callable[[list[float]], Any], tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    vectors = [kind([0, 0, 1] if k else [1, 0, 0]) for k in LABELS]
    for source in (Items(vectors), (PICTURES, vectors), frame(vectors, root)):
        catalog = open_source(source)
        assert catalog.classes == ("0", "2")
        assert catalog.notes == (OneHotLabels(3),)
    named = open_source(Items(vectors, ["x", "y", "z"]))
    assert named.classes == ("x", "z")


@pytest.mark.parametrize("label", [[1, 1, 0], [0, 0, 0]])
def test_other_vectors_are_several_labels_unless_one_is_asked_for(
    label: list[float], tree: Tree
) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    labels: list[Any] = [[1, 0, 0], [0, 1, 0], [1, 0, 0], label, [0, 1, 0], [1, 0, 1]]
    for source in (Items(labels), (PICTURES, np.array(labels)), frame(labels, root)):
        assert open_source(source).truth.tolist() == labels
        with pytest.raises(InputError, match=f"marks {sum(label)} of 3 classes"):
            open_source(source, choice=TargetChoice("single"))


def test_vectors_of_other_numbers_are_refused(tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    labels: list[Any] = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0.5, 0.25, 0.25], [0, 1, 0], [1, 0, 0]]
    for source in (Items(labels), (PICTURES, np.array(labels)), frame(labels, root)):
        assert "3 hold the number 0.5" in refused(source)


@pytest.mark.parametrize(
    "label", [["a", "b"], ("a", "b"), {"a", "b"}, np.array(["a", "b"]), "['a', 'b']", '["a", "b"]']
)
def test_a_list_among_single_labels_is_refused(label: Any, tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    labels = ["a", "b", "a", label, "a", "b"]
    for source in (Items(labels), (PICTURES, labels), frame(labels, root)):
        message = refused(source)
        assert "3 has 2 labels: " in message
        assert "multilabel" in message


def test_written_lists_of_one_label_are_read_and_said() -> None:
    texts, notes = read(["['cat']", '["dog"]', "cat"])
    assert texts == ["cat", "dog", "cat"]
    assert notes == [ListsOfOne(2, "['cat']", "cat")]
    assert read(["[1]", "(2)", "[0 1 0]"[:1], "[x]"])[0] == ["1", "(2)", "[", "[x]"]
    assert read(["(0, 10)", "(0.5, 3]"])[0] == ["(0, 10)", "(0.5, 3]"]
    # as NumPy prints rows
    assert read(["[0. 1.]", "[1. 0.]"]) == (["1", "0"], [OneHotLabels(2)])


def test_spellings_that_are_one_class_are_said_with_counts(tree: Tree) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    labels = ["cat ", "cat", "cat", composed, apart, apart]
    for source in ((PICTURES, labels), Items(labels)):
        catalog = open_source(source)
        assert catalog.classes == (composed, "cat")
        assert catalog.notes == (
            Respelled((((apart, 2), (composed, 1)), (("cat", 2), ("cat ", 1)))),
        )
    assert "'cafe\\u0301' (2) and 'caf\\xe9' (1)" in note_sentence(catalog.notes[0])
    # nothing to say where all are written alike
    assert read([" cat", " cat", " dog"]) == (["cat", "cat", "dog"], [])


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", np.array([]), [None], b""])
def test_missing_labels_are_named_by_their_place(missing: Any, tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    labels = ["a", "a", "b", "b", missing, "a"]
    assert "No label for image 4." in refused((PICTURES, labels))
    assert "No label for image 4." in refused(Items(labels))
    assert "no label in row 4." in refused(frame(labels, root))
    assert "No label for image 4." in refused(Items([0, 0, 1, 1, -1, 0], ["a", "b"]))


def test_words_that_pandas_takes_for_missing(tree: Tree) -> None:
    pandas = pytest.importorskip("pandas")
    root = tree({f"{i}.png": i for i in range(6)})
    lines = [f"{root}/{i}.png,{('NA', 'None', 'nan')[i % 3]}" for i in range(6)]
    (root / "t.csv").write_text("\n".join(["path,label", *lines]))
    assert open_source(root / "t.csv").classes == ("NA", "nan", "None")
    assert "keep_default_na=False" in refused(pandas.read_csv(root / "t.csv"))
    kept = pandas.read_csv(root / "t.csv", keep_default_na=False)
    assert open_source(kept).classes == ("NA", "nan", "None")


def test_zeros_that_pandas_loses(tree: Tree) -> None:
    """A model knows classes 'digit 0' ...; numbers are explained where it knows numbers."""
    pandas = pytest.importorskip("pandas")
    root = tree({f"{i}.png": i for i in range(6)})
    lines = [f"{root}/{i}.png,00{k}" for i, k in enumerate(LABELS)]
    (root / "t.csv").write_text("\n".join(["path,label", *lines]))
    assert open_source(root / "t.csv").classes == ("000", "001")
    lost = pandas.read_csv(root / "t.csv")
    from frostline.data.sources.open_source import open_for_evaluation

    for label in (lost["label"], lost["label"].astype(float)):
        with pytest.raises(InputError, match=r"'0', '1' of .*dtype=str"):
            open_for_evaluation(lost.assign(label=label), ["000", "001"])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("ababab", "one str"),
        ({"a": 0, "b": 1}, "a dict"),
        ({0, 1, 2, 3, 4, 5}, "a set"),
        (7, "a int"),
        ([{"id": 1}] * 6, "The label of image 0 is a dict"),
        ([object()] * 6, "The label of image 0 is a object"),
        ([Image.new("L", (4, 4))] * 6, "The label of image 0 is a Image"),
    ],
)
def test_what_is_no_label_for_every_image(labels: Any, expected: str) -> None:
    assert expected in refused((PICTURES, labels))


def test_numbers_that_are_no_class() -> None:
    assert "class number 1.5, but there are 2" in refused(Items([0, 1, 1.5, 0, 1, 0], ["a", "b"]))
    assert "class number 2, but there are 2" in refused(Items([0, 1, 2, 0, 1, 0], ["a", "b"]))
    assert read([True, np.bool_(False), True])[0] == ["True", "False", "True"]
    assert read([1.5, 2.0, 3])[0] == ["1.5", "2", "3"]


def test_evaluation_reads_labels_alike() -> None:
    """A released model of three classes, and labels in arrays of one."""
    classes = frostline.load(MODEL).classes
    labels = [np.array([classes[i % len(classes)]]) for i in range(6)]
    plain = [str(label[0]) for label in labels]
    found = [frostline.evaluate(MODEL, (PICTURES, given)).scores for given in (labels, plain)]
    assert found[0].n == 6
    assert found[0].accuracy == found[1].accuracy
