"""Labels and numbers that are wrong or odd: refused with a remedy, or taken with a word."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.core.errors import FrostlineError, InputError
from frostline.data.sources.open_source import open_for_evaluation, open_source
from frostline.data.sources.target_choice import TargetChoice

Tree = Callable[[dict[str, int]], Path]
N = 6
PICTURES = [np.full((8, 8), 30 * i, dtype=np.uint8) for i in range(N)]
NAN = math.nan


@pytest.fixture
def root(tree: Tree) -> Path:
    return tree({f"{i}.png": i for i in range(N)})


def refused(source: Any, choice: TargetChoice) -> str:
    with pytest.raises(FrostlineError) as caught:
        open_source(source, choice=choice)
    assert caught.value.hint, "every refusal says what to do"
    return f"{caught.value} | {caught.value.hint}"


def table(root: Path, head: str, cells: list[str]) -> Path:
    lines = [head, *(f"{i}.png,{cell}" for i, cell in enumerate(cells))]
    (root / "t.csv").write_text("\n".join(lines))
    return root / "t.csv"


#: header, cells, what is asked for, and words of the refusal
TABLES: dict[str, tuple[str, list[str], TargetChoice, tuple[str, ...]]] = {
    "no such column": (
        "path,angle,size", ["1,2"] * N, TargetChoice(columns=("angel",)),
        ("no column 'angel' to predict", "has path, angle, size", "Did you mean 'angle'"),
    ),
    "the path itself": (
        "path,angle", ["1"] * N, TargetChoice(columns=("path",)), ("holds the paths", "--target"),
    ),
    "two of one name": (
        "path,a,a", ["1,2"] * N, TargetChoice(columns=("a",)), ("more than one column 'a'",),
    ),
    "text among numbers": (
        "path,a", ["1.5", "2.5", "tall", "4", "5", "6"], TargetChoice("regression", ("a",)),
        ("column 'a' holds 'tall' in line 4", "finite number", "blank"),
    ),
    "infinity among numbers, nothing said": (
        "path,a", ["1.5", "2.5", "inf", "4", "5", "6"], TargetChoice(columns=("a",)),
        ("column 'a' holds 'inf' in line 4", "--task single"),
    ),
    "units, nothing said": (
        "path,a", [f"{i}.5 mm" for i in range(N)], TargetChoice(columns=("a",)),
        ("column 'a' holds '0.5 mm' in line 2", "finite number", "--task single"),
    ),
    "a blank column": (
        "path,a,b", [f"{i}," for i in range(N)], TargetChoice(columns=("a", "b")),
        ("column 'b' is blank in every row", "--target"),
    ),
    "too large for single precision": (
        "path,a", ["1.5", "2.5", "1e308", "4", "5", "6"], TargetChoice(columns=("a",)),
        ("not at 1e+308", "single precision", "larger unit"),
    ),
    "too small to tell apart": (
        "path,a", [f"{i}e-40" for i in range(N)], TargetChoice(columns=("a",)),
        ("Numbers of column 'a'", "single precision", "smaller unit"),
    ),
    "no label at all": (
        "path,labels", [""] * N, TargetChoice(), ("None of the 6 images", "a label", "--target"),
    ),
    "a decimal comma": (
        "path;a", [], TargetChoice("regression", ("a",)), ("holds '1,5' in line 2", "with a point"),
    ),
    "infinity": (
        "path,a", ["1.5", "inf", "3", "4", "5", "6"], TargetChoice("regression", ("a",)),
        ("holds 'inf' in line 3", "finite"),
    ),
    "a number too large": (
        "path,a", ["1.5", "1e999", "3", "4", "5", "6"], TargetChoice("regression", ("a",)),
        ("holds '1e999' in line 3", "finite"),
    ),
    "units": (
        "path,a", ["1 cm"] * N, TargetChoice("regression", ("a",)), ("holds '1 cm' in line 2",),
    ),
    "marks and numbers": (
        "path,a,b", ["1,5", "0,6", "1,7", "0,8", "1,9", "0,3"], TargetChoice(columns=("a", "b")),
        ("'a' hold 0 and 1, and 'b' other numbers", "--task regression"),
    ),
    "marks and text": (
        "path,a,b", ["1,x", "0,y"] * 3, TargetChoice(columns=("a", "b")),
        ("'b' hold neither 0 and 1 nor other numbers", "one column of labels"),
    ),
    "uncertain marks": (
        "path,a,b", ["1,0", "-1,1", "0,1", "1,1", "0,0", "1,0"],
        TargetChoice("multilabel", ("a", "b")),
        ("column 'a' holds '-1' in line 3", "0 or 1", "leave such cells blank"),
    ),
    "counts as marks": (
        "path,a,b", ["1,0", "2,1", "0,1", "1,1", "0,0", "1,0"],
        TargetChoice("multilabel", ("a", "b")), ("column 'a' holds '2' in line 3", "regression"),
    ),
    "several columns for one grade": (
        "path,a,b", ["1,2"] * N, TargetChoice("ordinal", ("a", "b")),
        ("takes one target column, not 2", "multilabel"),
    ),
    "two separators": (
        "path,labels", ["a;b", "b|c", "a", "b", "c", "a;c"], TargetChoice(),
        ("';'", "'|'", "Either may stand between labels", "--label-separator"),
    ),
    "another separator": (
        "path,labels", ["a|b", "b|c", "a", "b", "c", "a|c"], TargetChoice(separator=";"),
        ("label_separator=';' is in no label", "'a|b' has '|'", "Use '|'"),
    ),
    "constant numbers": (
        "path,a", ["2.5"] * N, TargetChoice(columns=("a",)),
        ("'a' has fewer than 2 different numbers", "Leave it out"),
    ),
    "labels that all have": (
        "path,a,b", ["1,1"] * N, TargetChoice(columns=("a", "b")),
        ("there in some images and absent in others",),
    ),
    "nothing known": (
        "path,labels", ["?"] * N, TargetChoice("multilabel"), ("Nothing is known of any image",),
    ),
    "no labels at all": (
        "path,x", ["q"] * N, TargetChoice("multilabel"), ("expected path, label", "--target a,b"),
    ),
    "grades of no order": (
        "path,label", ["dull", "bright", "blinding"] * 2, TargetChoice("ordinal"),
        ("in which order", "'blinding', 'bright', 'dull'", "Number them"),
    ),
    "a grade missing": (
        "path,label", ["1", "2", "", "1", "2", "1"], TargetChoice("ordinal"),
        ("no label in line 4", "Fill them in"),
    ),
    "several where one is asked for": (
        "path,label", ["\"['a', 'b']\""] * N, TargetChoice("single"),
        ("has 2 labels", "multilabel"),
    ),
    "marks that nobody named": (
        "path,a,b", ["1,1", "0,1", "1,0", "1,1", "0,1", "1,0"], TargetChoice(),
        ("mark a, b in line 2", "--target a,b"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_that_are_wrong(kind: str, root: Path) -> None:
    head, cells, choice, expected = TABLES[kind]
    source = table(root, head, cells)
    if kind == "a decimal comma":
        source.write_text("\n".join([head, *(f"{i}.png;{i + 1},5" for i in range(N))]))
    said = refused(source, choice)
    for words in expected:
        assert words in said


#: labels, what is asked for, and words of the refusal
VALUES: dict[str, tuple[Any, TargetChoice, tuple[str, ...]]] = {
    "fewer labels": ([["a"], ["b"]], TargetChoice("multilabel"), ("6 images, but 2 labels",)),
    "fewer numbers": ([1.0, 2.0], TargetChoice("regression"), ("6 images, but 2 labels",)),
    "rows of other lengths": (
        [[1.0, 2.0], [1.0], *[[1.0, 3.0]] * 4], TargetChoice("regression"),
        ("image 1 has 1 numbers, while image 0 has 2",),
    ),
    "text as a number": (
        [1.0, "two", 3.0, 4.0, 5.0, 6.0], TargetChoice("regression"), ("holds 'two' in image 1",),
    ),
    "infinity": (
        [1.0, math.inf, 3.0, 4.0, 5.0, 6.0], TargetChoice("regression"),
        ("holds 'inf' in image 1",),
    ),
    "a column of arrays": (
        ["a", "b"] * 3, TargetChoice("multilabel", ("x",)), ("target='x' needs a table",),
    ),
    "shares as labels": (
        [[0.5, 0.5], [1.0, 0.0]] * 3, TargetChoice(), ("hold the number 0.5", "regression"),
    ),
    "one number among rows": (
        [[1.0, 2.0], 3.0, *[[1.0, 3.0]] * 4], TargetChoice("regression"),
        ("image 1 has one number, others have 2",),
    ),
    "a list among names": (
        ["a", "b", ["a", "b"], "b", "a", "b"], TargetChoice(),
        ("2 has 2 labels", "'a'", "multilabel"),
    ),
    "lists of lists": ([[["a", "b"], ["c"]]] * 6, TargetChoice(), ("lists within a list",)),
    "objects": ([[object()], [object(), object()]] * 3, TargetChoice(), ("is a object",)),
    "no number known": ([None] * 6, TargetChoice("regression"), ("Nothing is known",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
def test_labels_in_memory_that_are_wrong(kind: str) -> None:
    labels, choice, expected = VALUES[kind]
    with pytest.raises(FrostlineError) as caught:
        open_source((PICTURES, labels), choice=choice)
    said = f"{caught.value} | {caught.value.hint}"
    for words in expected:
        assert words in said


def test_folders_have_one_class_an_image(tree: Tree) -> None:
    names = ("x/dull", "x/dim", "y/grade 1", "y/grade 2", "y/grade 10")
    files = {f"{name}/{i}.png": 9 * k + i for k, name in enumerate(names) for i in range(3)}
    root = tree(files) / "x"
    assert "in which order" in refused(root, TargetChoice("ordinal"))
    for choice in (TargetChoice("multilabel"), TargetChoice("regression")):
        assert "is a folder of classes" in refused(root, choice)
    assert "needs a table" in refused(root, TargetChoice(columns=("a",)))
    graded = open_source(root.parent / "y", choice=TargetChoice("ordinal"))
    assert graded.classes == ("grade 1", "grade 2", "grade 10")


def test_labels_that_are_numbers_as_text_keep_their_zeros(root: Path) -> None:
    cells = ["007;12", "12", "007", "12;3", "3", "007;3"]
    found = open_source(table(root, "path,labels", cells))
    assert found.classes == ("3", "007", "12")


@pytest.mark.parametrize(
    ("head", "known", "said"),
    [
        ("path,label,weight", ("angle",), "no column 'angle', which the model predicts"),
        ("path,angle,weight", ("angle", "size"), "no column 'size', which the model predicts"),
        ("path,width,weight", ("angle",), "no column 'angle', which the model predicts"),
    ],
)
def test_a_table_that_lacks_what_a_model_predicts(
    root: Path, head: str, known: tuple[str, ...], said: str
) -> None:
    cells = ["tall,1" if "label" in head else "2.5,1"] * N
    with pytest.raises(InputError, match=said) as caught:
        open_for_evaluation(table(root, head, cells), known, task="regression")
    assert head.split(",")[1] in str(caught.value.hint)


def test_a_model_judges_only_what_it_knows(root: Path) -> None:
    source = table(root, "path,labels", ["a;b", "a", "c", "", "b", "a;c"])
    with pytest.raises(InputError, match="does not know the label 'c'"):
        open_for_evaluation(source, ("a", "b"), task="multilabel")
    with pytest.raises(InputError, match="expected path, label"):
        open_for_evaluation(table(root, "path,x", ["q"] * N), ("a", "b"), task="multilabel")
    with pytest.raises(InputError, match="3 values of 0 and 1, but there are 2 labels"):
        vectors = [[1, 0, 1]] * 3 + [[0, 0, 0]] * 3
        open_for_evaluation((PICTURES, vectors), ("a", "b"), task="multilabel")


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_only_in_the_test_part_are_refused_as_classes_are(task: Any) -> None:
    if task == "regression":
        parts = {"train": (PICTURES, [1.0, 2.0] * 3), "test": (PICTURES, [[1.0, 2.0]] * 6)}
        expected = "expected value"
    else:
        parts = {"train": (PICTURES, [["a"], ["b"]] * 3), "test": (PICTURES, [["a", "z"]] * 6)}
        expected = "'z' in 'test' has no images in the training part"
    with pytest.raises(InputError, match=expected):
        open_source(parts, choice=TargetChoice(task))


def test_classes_of_which_some_are_numbers_stay_classes(root: Path) -> None:
    found = open_source(
        table(root, "path,a", ["1", "2", "x", "1", "2", "x"]), choice=TargetChoice(columns=("a",))
    )
    assert found.task == "single"
    assert found.classes == ("1", "2", "x")
