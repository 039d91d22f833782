"""Several labels, grades and numbers from every kind of source."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frostline.core.task import TaskSetting
from frostline.data.catalog import Catalog
from frostline.data.notes import (
    GradesInOrder,
    MixedLabels,
    NothingKnown,
    OneLabelEach,
    OneSidedLabels,
    RareLabels,
    SeparatedLabels,
    SuggestedTask,
    TargetColumns,
    VectorLabels,
)
from frostline.data.sources.open_source import open_for_evaluation, open_source
from frostline.data.sources.target_choice import TargetChoice
from frostline.wording.notes import note_sentence

Tree = Callable[[dict[str, int]], Path]
N = 8
PICTURES = [np.full((8, 8), 30 * i, dtype=np.uint8) for i in range(N)]
SETS = [
    {"cat"},
    {"cat", "dog"},
    set(),
    {"dog"},
    {"cat", "bird"},
    {"bird"},
    {"dog", "bird"},
    {"cat"},
]
CLASSES = ("bird", "cat", "dog")
TRUTH = [[float(name in own) for name in CLASSES] for own in SETS]
NAN = math.nan


@pytest.fixture
def root(tree: Tree) -> Path:
    return tree({f"{i}.png": i for i in range(N)})


def written(
    root: Path, head: str, cells: list[str], *, name: str = "t.csv", sign: str = ","
) -> Path:
    lines = [head, *(f"{i}.png{sign}{cell}" for i, cell in enumerate(cells))]
    (root / name).write_text("\n".join(lines))
    return root / name


def read(source: Any, task: TaskSetting = "auto", *columns: str, **options: Any) -> Catalog:
    return open_source(source, choice=TargetChoice(task, columns, **options))


def same(found: Catalog, truth: Any) -> bool:
    return np.array_equal(found.truth, np.array(truth, dtype=float), equal_nan=True)


def joined(sign: str) -> list[str]:
    return [sign.join(sorted(own)) for own in SETS]


def lists(root: Path) -> Any:
    pandas = pytest.importorskip("pandas")
    paths = [str(root / f"{i}.png") for i in range(N)]
    return pandas.DataFrame({"path": paths, "labels": [sorted(own) for own in SETS]})


def parquet(root: Path) -> Any:
    pytest.importorskip("pyarrow")
    lists(root).to_parquet(root / "t.parquet")
    return root / "t.parquet"


def json_lines(root: Path) -> Any:
    rows = [{"file_name": f"{i}.png", "labels": sorted(own)} for i, own in enumerate(SETS)]
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root / "metadata.jsonl"


SEVERAL: dict[str, Callable[[Path], Any]] = {
    "semicolons": lambda root: written(root, "path,labels", joined(";")),
    "bars in TSV": lambda root: written(root, "path\tlabels", joined("|"), name="t.tsv", sign="\t"),
    "commas": lambda root: written(root, "path,labels", [f'"{cell}"' for cell in joined(", ")]),
    "written lists": lambda root: written(
        root, "path,labels", [f'"{sorted(own)}"' for own in SETS]
    ),
    "lists of pandas": lists,
    "Parquet": parquet,
    "JSON lines": json_lines,
    "lists in Python": lambda root: (PICTURES, [sorted(own) for own in SETS]),
    "sets in Python": lambda root: (PICTURES, SETS),
    "arrays": lambda root: (PICTURES, [np.array(sorted(own)) for own in SETS]),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_labels_are_read_alike_from_every_source(kind: str, root: Path) -> None:
    found = read(SEVERAL[kind](root))
    assert (found.task, found.classes) == ("multilabel", CLASSES)
    assert same(found, TRUTH)
    assert found.labels.tolist() == [-1] * N
    # images of the same labels share them
    assert found.rows[0].values is found.rows[7].values
    judged = open_for_evaluation(SEVERAL[kind](root), (*CLASSES, "owl"), task="multilabel")
    assert same(judged, [[*row, 0.0] for row in TRUTH])


def test_what_stands_between_is_said(root: Path) -> None:
    found = read(written(root, "path,labels", joined(";")))
    assert found.notes[-1] == SeparatedLabels(";", 3, 3, "cat;dog", ("cat", "dog"))
    assert "'cat;dog' is read as 'cat' and 'dog'" in note_sentence(found.notes[-1])


def test_unknown_is_no_absence(root: Path) -> None:
    cells = ["cat;dog", "?", "cat;?", "", "dog", "dog;cat", "cat", "?"]
    found = read(written(root, "path,labels", cells))
    assert found.classes == ("cat", "dog")
    # images 1 and 7 say nothing; of image 2 only the cat is known
    assert same(found, [[1, 1], [1, NAN], [0, 0], [0, 1], [1, 1], [1, 0]])
    assert NothingKnown(2) in found.notes
    assert "pandas" not in note_sentence(NothingKnown(2))
    named = [["cat", "dog"], None, ["cat", None], [], ["dog"], ["cat", "dog"], ["cat"], NAN]
    assert same(read((PICTURES, named)), found.truth)
    (unknown,) = (one for one in read((PICTURES, pd.Series(named))).notes)
    assert "pandas" in note_sentence(unknown)


def test_a_column_label_stays_single_and_a_task_decides(root: Path) -> None:
    cells = ["cat;dog", "cat", "dog", "cat;dog", "cat", "dog", "cat", "dog"]
    table = written(root, "path,label", cells)
    assert read(table).task == "single"
    assert read(table).classes == ("cat", "cat;dog", "dog")
    assert read(table, "multilabel").classes == ("cat", "dog")
    assert read(table, separator=";").classes == ("cat", "dog")
    assert read(table, "single", "label").task == "single"
    # a column 'labels' may hold several, even where each image has one; a note says so
    alone = written(root, "path,labels", ["cat", "dog"] * 4)
    assert same(read(alone), [[1, 0], [0, 1]] * 4)
    assert OneLabelEach(2) in read(alone).notes
    assert (read(alone, "single").task, read(alone, "single").classes) == ("single", ("cat", "dog"))


def test_separators_inside_names(root: Path) -> None:
    cells = ["wolf, grey|fox, red", "fox, red", "wolf, grey", "fox, red|wolf, grey"] * 2
    found = read(written(root, "path\tlabels", cells, name="t.tsv", sign="\t"))
    assert found.classes == ("fox, red", "wolf, grey")
    # nothing proves that a comma separates: each text is one label
    names = [f'"{one}"' for one in ("wolf, grey", "fox, red", "bear, brown", "wolf, grey") * 2]
    assert read(written(root, "path,labels", names)).classes == (
        "bear, brown", "fox, red", "wolf, grey",
    )  # fmt: skip
    assert read(written(root, "path,labels", names), "multilabel").classes == (
        "bear", "brown", "fox", "grey", "red", "wolf",
    )  # fmt: skip
    kept = read(written(root, "path,labels", names), "multilabel", separator=";")
    assert kept.classes == ("bear, brown", "fox, red", "wolf, grey")
    words = ["haze primary", "clear primary", "clear water", "haze water"] * 2
    assert read(written(root, "path,labels", words)).classes == (
        "clear", "haze", "primary", "water",
    )  # fmt: skip
    bears = ["polar bear", "brown bear", "wolf", "fox"] * 2
    assert read(written(root, "path,labels", bears)).classes == (
        "brown bear", "fox", "polar bear", "wolf",
    )  # fmt: skip


def test_columns_of_0_and_1_are_labels_where_they_are_named(root: Path) -> None:
    cells = ["1,0,x", "0,1,x", "1,1,x", "0,0,x", ",1,x", "1,?,x", "true,0,x", "0,False,x"]
    found = read(written(root, "path,MEL,NV,other", cells), "auto", "MEL", "NV")
    assert (found.task, found.classes) == ("multilabel", ("MEL", "NV"))
    assert same(found, [[1, 0], [0, 1], [1, 1], [0, 0], [NAN, 1], [1, NAN], [1, 0], [0, 0]])
    assert found.notes == (TargetColumns("multilabel", ("MEL", "NV")),)
    one = read(root / "t.csv", "auto", "NV")
    assert one.classes == ("NV",)
    # the order is that of the columns as they were named, in any case
    assert read(root / "t.csv", "auto", "nv", "mel").classes == ("NV", "MEL")
    # without names, the task says that such columns are meant
    assert read(root / "t.csv", "multilabel").classes == ("MEL", "NV")
    judged = open_for_evaluation(root / "t.csv", ("NV", "MEL"), task="multilabel")
    assert same(judged, found.truth[:, ::-1])
    lacking = open_for_evaluation(root / "t.csv", ("NV", "owl"), task="multilabel")
    assert np.isnan(lacking.truth[:, 1]).all()


@pytest.mark.parametrize("kind", [np.array, lambda rows: [tuple(row) for row in rows]])
def test_vectors_are_labels_by_place(kind: Callable[[Any], Any]) -> None:
    rows = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, NAN, 0.0], [0.0, 1.0, 0.0]] * 2
    found = read((PICTURES, kind(rows)))
    assert (found.task, found.classes) == ("multilabel", ("0", "1", "2"))
    assert same(found, rows)
    assert found.notes == (VectorLabels(3),)
    named = open_for_evaluation((PICTURES, kind(rows)), ("a", "b", "c"), task="multilabel")
    assert named.classes == ("a", "b", "c")
    assert same(named, rows)


def test_numbers_of_one_column_or_several(root: Path) -> None:
    cells = ["1.5,10,a", "-2,20,a", "1e3,,a", "0,40,a", "?,?,a", "7,70,a", "8,80,a", "9,90,a"]
    table = written(root, "path,angle,size,other", cells)
    one = read(table, "auto", "angle")
    assert (one.task, one.classes) == ("regression", ("angle",))
    assert same(one, [[1.5], [-2], [1000], [0], [7], [8], [9]])
    both = read(table, "auto", "size", "angle")
    assert both.classes == ("size", "angle")
    assert same(both, [[10, 1.5], [20, -2], [NAN, 1000], [40, 0], [70, 7], [80, 8], [90, 9]])
    assert NothingKnown(1) in both.notes
    judged = open_for_evaluation(table, ("angle", "size"), task="regression")
    assert same(judged, both.truth[:, ::-1])


def test_numbers_in_python_and_in_a_column_label(root: Path) -> None:
    values = [0.5, 1, None, 2.5, NAN, 4, 5, 6]
    found = read((PICTURES, values), "regression")
    assert found.classes == ("value",)
    assert same(found, [[0.5], [1], [2.5], [4], [5], [6]])
    table = np.arange(2 * N, dtype=float).reshape(N, 2)
    assert same(read((PICTURES, table), "regression"), table)
    assert read((PICTURES, table), "regression").classes == ("value 0", "value 1")
    plain = written(root, "path,label", [str(i / 2) for i in range(N)])
    assert read(plain, "regression").classes == ("label",)


def test_0_and_1_are_numbers_where_they_are_asked_for(root: Path) -> None:
    table = written(root, "path,a", ["0", "1"] * 4)
    assert read(table, "auto", "a").task == "multilabel"
    assert read(table, "regression", "a").task == "regression"


@pytest.mark.parametrize(
    ("grades", "order"),
    [
        (["2", "10", "1"], ("1", "2", "10")),
        (["0.33", "0", "1"], ("0", "0.33", "1")),
        (["grade 2", "Grade 10", "grade 1"], ("grade 1", "grade 2", "Grade 10")),
        (["0 none", "2 severe", "1 mild"], ("0 none", "1 mild", "2 severe")),
        (["C", "A", "B"], ("A", "B", "C")),
        (["severe", "mild", "none"], ("none", "mild", "severe")),
        (["high", "low", "medium"], ("low", "medium", "high")),
    ],
)
def test_grades_have_the_order_that_is_evident(
    grades: list[str], order: tuple[str, ...], root: Path
) -> None:
    cells = [*grades, *grades, *grades][:N]
    found = read(written(root, "path,label", cells), "ordinal")
    assert (found.task, found.classes) == ("ordinal", order)
    assert [found.classes[k] for k in found.labels] == cells
    assert GradesInOrder(order) in found.notes


def test_grades_of_pandas_have_its_order(root: Path) -> None:
    pandas = pytest.importorskip("pandas")
    order = ["dull", "bright", "blinding"]
    cells = pandas.Categorical([order[i % 3] for i in range(N)], categories=order, ordered=True)
    frame = pandas.DataFrame({"path": [str(root / f"{i}.png") for i in range(N)], "label": cells})
    assert read(frame, "ordinal").classes == tuple(order)
    assert read((PICTURES, frame["label"]), "ordinal").classes == tuple(order)
    assert read(frame).task == "single"


@pytest.mark.parametrize(
    ("labels", "column", "expected"),
    [
        (["0", "1", "2", "3"], "label", None),
        (["0", "1", "2", "3"], "severity", "ordinal"),
        (["0.0", "0.33", "0.66", "1.0"], "label", "ordinal"),
        (["mild", "moderate", "severe"], "label", "ordinal"),
        (["grade 1", "grade 2", "grade 3"], "label", "ordinal"),
        (["cat", "dog", "bird"], "label", None),
        (["a", "b", "c"], "label", None),
        (["img 1", "img 2", "img 3"], "label", None),
        ([str(i / 4) for i in range(40)], "label", "regression"),
        ([str(i) for i in range(1000)], "label", "regression"),
        ([str(i % 100) for i in range(1000)], "label", None),
    ],
)
def test_what_may_be_another_task_is_only_suggested(
    labels: list[str], column: str, expected: str | None
) -> None:
    from frostline.data.sources.read_targets import read_targets

    found = read_targets(labels, "t", str, choice=TargetChoice(), column=column)
    assert found.task == "single"
    other = [note.task for note in found.notes if isinstance(note, SuggestedTask)]
    assert other == ([] if expected is None else [expected])


def test_parts_are_read_as_the_training_part_is(root: Path) -> None:
    frame = lists(root)
    test = frame.assign(labels=[[one[0] if one else "cat"] for one in frame["labels"]])
    found = read({"train": frame, "test": test})
    assert (found.task, len(found)) == ("multilabel", 2 * N)
    assert found.truth[N:].sum(axis=1).tolist() == [1.0] * N


def test_labels_of_few_images_and_of_one_side_are_said(root: Path) -> None:
    cells = ["1,0,1,0", "1,1,1,0", "1,0,0,0", "1,0,0,0", "1,0,1,0", "1,0,0,0", "1,0,1,0", "1,0,0,0"]
    found = read(written(root, "path,a,b,c,d", cells), "auto", "a", "b", "c", "d")
    assert OneSidedLabels(("d",), had=False) in found.notes
    assert OneSidedLabels(("a",), had=True) in found.notes
    assert RareLabels(("b",), 4) in found.notes
    for note in found.notes:
        assert note_sentence(note).endswith(".")


def test_lists_and_texts_are_mixed_where_several_are_asked_for() -> None:
    named = [["a", "b"], "a", ["b"], "b", ["a"], ["a", "b"], "a", []]
    found = read((PICTURES, named), "multilabel")
    assert same(found, [[1, 1], [1, 0], [0, 1], [0, 1], [1, 0], [1, 1], [1, 0], [0, 0]])
    assert MixedLabels(5, 3, "a") in found.notes


def test_five_thousand_labels_are_read() -> None:
    rng = np.random.default_rng(0)
    sets = [{f"tag {k}" for k in rng.choice(5000, 1200, replace=False)} for _ in range(N)]
    found = read((PICTURES, sets))
    assert len(found.classes) == len(set.union(*sets)) > 4000
    assert found.truth.sum() == 8 * 1200
