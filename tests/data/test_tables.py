"""Table sources: CSV, TSV and Parquet, their dialects, and messages that name the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frostline.core.errors import FrostlineError, InputError, SettingsError
from frostline.data.sources.open_source import open_for_evaluation, open_source

Tree = Callable[[dict[str, int]], Path]
FILES = {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 4}
LINES = ["path,label", "a.png,cat", "b.png,cat", "c.png,dog", "d.png,dog"]


def table(root: Path, lines: list[str], name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = root / name
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def refused(path: Path, kind: type[FrostlineError] = InputError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_source(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects(delimiter: str, encoding: str, tree: Tree) -> None:
    lines = [line.replace(",", delimiter).replace("dog", "größe") for line in LINES]
    catalog = open_source(table(tree(FILES), lines, encoding=encoding))
    assert catalog.classes == ("cat", "größe")
    assert [row.name for row in catalog.rows] == list(FILES)
    assert catalog.labels.tolist() == [0, 0, 1, 1]


def test_tsv_quotes_blank_lines_case_and_other_columns(tree: Tree) -> None:
    lines = ['"Path"\tLABEL\tcamera', '"a.png"\t" cat "\tx', "", "b.png\tcat\t"]
    lines += ["c.png\tdog\t", "d.png\tdog\t", "\t\t"]
    catalog = open_source(table(tree(FILES), lines, "t.TSV"))
    assert catalog.classes == ("cat", "dog")
    assert len(catalog) == 4


def test_paths_start_from_the_table(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tree({"images/a.png": 1, "images/b.png": 2, "c.png": 3})
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "d.png"
    (root / "c.png").rename(elsewhere)
    (root / "images" / "c.png").write_bytes(elsewhere.read_bytes() + b" ")
    lines = ["path,label", "images/a.png,1", "./images/../images/b.png,1", "images/c.png,2"]
    catalog = open_source(table(root, [*lines, f"{elsewhere},2"]))
    assert [row.name for row in catalog.rows] == [
        "images/a.png", "images/b.png", "images/c.png", str(elsewhere),
    ]  # fmt: skip


def test_numbers_sort_naturally(tree: Tree) -> None:
    files = {f"{i}.png": i for i in range(6)}
    lines = ["path,label", *(f"{i}.png,{(1, 10, 2)[i % 3]}" for i in range(6))]
    assert open_source(table(tree(files), lines)).classes == ("1", "2", "10")


def test_splits_and_their_aliases(tree: Tree) -> None:
    files = {f"{i}.png": i for i in range(8)}
    parts = ["train"] * 4 + ["valid", "Validation", "val", "TEST"]
    rows = [f"{i}.png,{'ab'[i % 2]},{part}" for i, part in enumerate(parts)]
    catalog = open_source(table(tree(files), ["path,label,split", *rows]))
    assert catalog.parts == ("train",) * 4 + ("val",) * 3 + ("test",)


def test_a_blank_split_column_is_no_split(tree: Tree) -> None:
    lines = [LINES[0] + ",split", *(line + "," for line in LINES[1:])]
    assert open_source(table(tree(FILES), lines)).parts == (None,) * 4


def test_groups(tree: Tree) -> None:
    lines = ["path,label,group,Patient", "a.png,x,g1,p1", "b.png,x,,p1", "c.png,y,g1,p2"]
    path = table(tree(FILES), [*lines, "d.png,y,g2,"])
    assert [row.group for row in open_source(path).rows] == ["g1", None, "g1", "g2"]
    by_patient = open_source(path, group_by="patient")
    assert [row.group for row in by_patient.rows] == ["p1", "p1", "p2", None]
    message = refused(path, SettingsError, group_by="patien")
    assert "no column 'patien'" in message
    assert "Did you mean 'patient'" in message


def test_parquet_with_numbers(tree: Tree) -> None:
    root = tree(FILES)
    columns = {"path": list(FILES), "label": [2, 2, 10, 10], "split": [None] * 4}
    pq.write_table(pa.table(columns), root / "t.parquet")
    catalog = open_source(root / "t.parquet")
    assert catalog.classes == ("2", "10")
    columns["label"] = [1.0, 1.0, 2.0, None]
    pq.write_table(pa.table(columns), root / "t.parquet")
    assert "no label in row 4" in refused(root / "t.parquet")
    (root / "bad.parquet").write_bytes(b"not parquet")
    assert "is no Parquet file" in refused(root / "bad.parquet")


def test_evaluation_of_a_table(tree: Tree) -> None:
    lines = [LINES[0] + ",split", *(line + ",test" for line in LINES[1:])]
    path = table(tree(FILES), lines)
    assert "no training rows" in refused(path)
    assert open_for_evaluation(path, ["dog", "cat"]).labels.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["path,lable", "a.png,x"], ["columns path, lable", "Did you mean 'label'?"]),
        (["photos,kind", "a.png,x"], ["columns photos, kind; expected path, label", "'path'"]),
        (["path,label,label", "a.png,x,y"], ["more than one column 'label'"]),
        ([], ["(none)"]),
        (["path,label"], ["has no rows"]),
        ([*LINES, "a.png,"], ["no label in line 6"]),
        ([*LINES, ",cat"], ["no path in line 6"]),
        ([*LINES, "a.png,cat,more"], ["line 6: 3 cells, but there are 2 columns"]),
        ([*LINES, "a.png,dog"], ["a.png is listed twice, in line 2 and line 6"]),
        ([*LINES, "./a.png,cat"], ["listed twice"]),
        ([*LINES, "x.png,cat", "y.png,cat"], ["2 of 6 files", "x.png, y.png", "start from"]),
        ([*LINES, '"a.png,cat'], ["line 6"]),
        (["path,label,split", "a.png,x,trian"], ["line 2: split cannot be 'trian'", "'train'?"]),
        (
            ["path,label,split", "a.png,x,train", "b.png,x,", "c.png,y,test"],
            ["no split, while other rows have one, in line 3"],
        ),
        (
            ["path,label,split", "a.png,x,train", "b.png,x,train", "c.png,zoo,test"],
            ["'zoo' in 'test'"],
        ),
        (["path,label", "a.png,x", "b.png,x"], ["one class, 'x'"]),
        (["path,label", "a.png,x", "b.png,x", "c.png,y"], ["'y' has 1"]),
    ],
)
def test_mistakes(lines: list[str], expected: list[str], tree: Tree) -> None:
    message = refused(table(tree(FILES), lines))
    for text in expected:
        assert text in message


def test_latin_1_is_named(tree: Tree) -> None:
    lines = [*LINES[:-1], "d.png,größe"]
    message = refused(table(tree(FILES), lines, encoding="latin-1"))
    assert "not UTF-8 text (line 5)" in message
