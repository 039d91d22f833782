"""What programs and people make of a CSV file: read in the one sensible way, or explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.core.errors import InputError
from frostline.data.notes import (
    MarkedColumns,
    MendedPaths,
    NoHeader,
    SkippedLines,
    TakenColumns,
)
from frostline.data.sources.open_source import open_source

Tree = Callable[[dict[str, int]], Path]
NAMES = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(2)]
ROWS = "".join(f"{name},{name[:3]}\n" for name in NAMES)
TEXT = "path,label\n" + ROWS


@pytest.fixture
def root(tree: Tree) -> Path:
    return tree({name: i for i, name in enumerate(NAMES)})


def listed(root: Path, content: str | bytes, name: str = "t.csv") -> Any:
    content = content.encode() if isinstance(content, str) else content
    (root / name).write_bytes(content)
    catalog = open_source(root / name)
    assert [row.name for row in catalog.rows] == NAMES
    assert [catalog.classes[row.label].lower() for row in catalog.rows] == [n[:3] for n in NAMES]
    return catalog


def refused(root: Path, content: str | bytes, name: str = "t.csv") -> str:
    content = content.encode() if isinstance(content, str) else content
    (root / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_source(root / name)
    assert caught.value.hint
    return str(caught.value)


def with_columns(header: str, cells: Callable[[str], str]) -> str:
    return "\n".join([header, *map(cells, NAMES)]) + "\n"


SEMICOLONS = TEXT.replace(",", ";")
DIALECTS: dict[str, str | bytes] = {
    "sep line": "sep=;\n" + SEMICOLONS,
    "sep line of Windows": "sep=;\r\n" + SEMICOLONS.replace("\n", "\r\n"),
    "quoted sep line": '"sep=;"\n' + SEMICOLONS,
    "sep line of a tab": "sep=\t\n" + TEXT.replace(",", "\t"),
    "comments above": "# made by a program\n# on, one, day\n\n" + TEXT,
    "header in a comment": "# " + TEXT,
    "old Macintosh": TEXT.replace("\n", "\r"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "delimiter after each row": "path,label\n" + ROWS.replace("\n", ",\n"),
    "delimiters after all lines": TEXT.replace("\n", ",,\n"),
    "index": with_columns(",path,label", lambda n: f"7,{n},{n[:3]}"),
    "two indices": with_columns(",,path,label", lambda n: f"7,7,{n},{n[:3]}"),
    "index of pandas": with_columns("Unnamed: 0,path,label", lambda n: f"7,{n},{n[:3]}"),
    "other columns of one name": with_columns("x,x,path,label", lambda n: f"1,2,{n},{n[:3]}"),
    "a huge cell elsewhere": with_columns("path,label,x", lambda n: f"{n},{n[:3]},{'x' * 200_000}"),
    "lines inside a cell": with_columns("path,label,x", lambda n: f'{n},{n[:3]},"a\n\nb"'),
    "a sign of inches elsewhere": with_columns("path,label,x", lambda n: f'{n},{n[:3]},5" wide'),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_read_without_a_word(dialect: str, root: Path) -> None:
    assert not listed(root, DIALECTS[dialect]).notes


SAID: dict[str, tuple[str, list[Any]]] = {
    "comments below": (TEXT + "# the, end, of it\n# all\n", [SkippedLines("comment", 2)]),
    "header again": (TEXT + "path,label\n", [SkippedLines("header", 1)]),
    "no header": (ROWS, [NoHeader(("path", "label"))]),
    "no header, label first": (
        "".join(f"{name[:3]};{name}\n" for name in NAMES),
        [NoHeader(("label", "path"))],
    ),
    "no header, no ending": (
        ROWS.replace(".png", ""),
        [NoHeader(("path", "label")), MendedPaths("ending", 4, "cat/0", "cat/0.png")],
    ),
    "file and class": (
        TEXT.replace("path,label", "File Name,CLASS"),
        [TakenColumns((("path", "File Name"), ("label", "CLASS")))],
    ),
    "id and species": (
        TEXT.replace("path,label", "id,species"),
        [TakenColumns((("path", "id"), ("label", "species")))],
    ),
    "the plainer of two": (
        with_columns("id,image_path,class_id,label", lambda n: f"1,{n},2,{n[:3]}"),
        [TakenColumns((("path", "image_path"),))],
    ),
    "columns of 0 and 1": (
        with_columns(
            "image,age,Cat,DOG", lambda n: f"{n},9{n[4]},{n[0] == 'c':d}.0,{n[0] == 'd':d}"
        ),
        [TakenColumns((("path", "image"),)), MarkedColumns(("Cat", "DOG"))],
    ),
    "columns of truth": (
        with_columns("path,cat,dog", lambda n: f"{n},{n[0] == 'c'},{n[0] == 'd'}"),
        [MarkedColumns(("cat", "dog"))],
    ),
}


@pytest.mark.parametrize("dialect", SAID)
def test_read_and_said(dialect: str, root: Path) -> None:
    content, notes = SAID[dialect]
    assert listed(root, content).notes == tuple(notes)


def test_a_class_may_bear_the_name_of_a_column(root: Path) -> None:
    """Without a header, the first label is no reason to take the first line for one."""
    for label in ("id", "image", "class", "y", "set"):
        (root / "t.csv").write_text(ROWS.replace(",cat", f",{label}"))
        catalog = open_source(root / "t.csv")
        assert set(catalog.classes) == {label, "dog"}
        assert len(catalog) == 4


def test_a_column_that_names_parts_is_a_split(root: Path) -> None:
    lines = with_columns("path,label,data set", lambda n: f"{n},x{n[4]},train")
    (root / "t.csv").write_text(lines)
    catalog = open_source(root / "t.csv")
    assert catalog.parts == ("train",) * 4
    assert catalog.notes == (TakenColumns((("split", "data set"),)),)
    # a column of that name which says something else is another column
    assert listed(root, with_columns("path,label,set", lambda n: f"{n},{n[:3]},{n[4]}")).parts == (
        (None,) * 4
    )
    mixed = with_columns(
        "path,label,set", lambda n: f"{n},{n[:3]},{'train' if n[4] == '0' else 'x'}"
    )
    assert "column 'set' names parts (train), but also 'x'" in refused(root, mixed)


REFUSED: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "two labels": (
        with_columns("path,class,species", lambda n: f"{n},a,{n[:3]}"),
        ("'class', 'species', each of which may be it", "rename the one"),
    ),
    "a label twice": (
        with_columns("path,label,Label", lambda n: f"{n},a,{n[:3]}"),
        ("more than one column 'label'",),
    ),
    "a name of two columns": (
        with_columns("file,file,label", lambda n: f"{n},{n},{n[:3]}"),
        ("more than one column 'file'",),
    ),
    "three columns, no header": (
        "".join(f"{n},{n[:3]},train\n" for n in NAMES),
        ("no header", "names an image, cat/0.png", "path,label,split"),
    ),
    "two marks": (
        with_columns("path,cat,dog", lambda n: f"{n},1,{n[0] == 'd':d}"),
        ("mark cat, dog in line 4", "several labels", "--target cat,dog"),
    ),
    "no mark": (
        with_columns("path,cat,dog", lambda n: f"{n},0,{n[0] == 'd':d}"),
        ("mark none in line 2",),
    ),
    "one column of marks": (
        with_columns("path,melanoma", lambda n: f"{n},{n[0] == 'd':d}"),
        ("if 'melanoma' is the label, rename it",),
    ),
    "spaces between": (TEXT.replace(",", " "), ("commas, semicolons, tabs",)),
    "a comma too many": (
        with_columns("path,label,x", lambda n: f"{n},{n[:3]},a, b"),
        ("line 2: 4 cells, but there are 3 columns", "cat/0.png", "quotation marks"),
    ),
    "a workbook": (b"PK\x03\x04...", ("spreadsheet", "csv utf-8")),
    "Parquet": (b"PAR1...", ("parquet table",)),
    "packed": (b"\x1f\x8b...", ("compressed", "unpack")),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_a_remedy(kind: str, root: Path) -> None:
    content, expected = REFUSED[kind]
    message = refused(root, content).lower()
    for words in expected:
        assert words in message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t.xlsx", "CSV UTF-8"),
        ("t.json", "a DataFrame"),
        ("t.txt", ".csv or .tsv"),
        ("t.npz", "(images, labels)"),
    ],
)
def test_other_files_are_told_how_to_become_a_source(name: str, expected: str, root: Path) -> None:
    (root / name).write_text("x")
    said = CliRunner().invoke(app, ["fit", str(root / name), "-o", str(root / "run")])
    assert said.exit_code == 2
    assert "neither a folder nor a table" in " ".join(said.stderr.split())
    assert expected in " ".join(said.stderr.split())


def test_parquet_reads_no_column_that_it_does_not_need(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "t.parquet"
    columns = {
        "path": pa.array(NAMES),
        "label": pa.array([n[:3] for n in NAMES]),
        "embedding": pa.array([[0.5] * 8] * 4),
        "image": pa.array([{"bytes": b"\xff" * 99}] * 4),
        "label.more": pa.array(["x"] * 4),
    }
    pq.write_table(pa.table(columns), path)
    read: list[list[str]] = []
    real = pq.ParquetFile.iter_batches

    def seen(self: Any, *args: Any, columns: list[str], **options: Any) -> Any:
        read.append(columns)
        return real(self, *args, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", seen)
    assert open_source(path).classes == ("cat", "dog")
    assert sorted(read) == [["label"], ["path"]]
    # columns that are not needed may even bear one name, and be damaged on disk
    twice = pa.Table.from_arrays(
        [columns["path"], columns["label"], columns["label"], columns["image"]],
        names=["path", "label", "x", "x"],
    )
    pq.write_table(twice, path)
    damaged = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(0).column(3).dictionary_page_offset
    damaged[at : at + 8] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises((OSError, pa.ArrowException)):
        pq.ParquetFile(path).read()
    assert open_source(path).classes == ("cat", "dog")


def test_images_inside_parquet_are_no_paths(root: Path) -> None:
    for cell in ({"bytes": b"\xff\xd8"}, b"\xff\xd8\0"):
        table = pa.table({"image": [cell] * 4, "label": [n[:3] for n in NAMES]})
        pq.write_table(table, root / "t.parquet")
        with pytest.raises(InputError, match=r"column 'image' holds .*load_dataset\('parquet'"):
            open_source(root / "t.parquet")


def test_frames_are_read_by_the_columns_that_are_needed(root: Path) -> None:
    pandas = pytest.importorskip("pandas")
    paths = [str(root / n) for n in NAMES]
    labels = [n[:3] for n in NAMES]
    frame = pandas.DataFrame({"path": paths, "label": labels})
    odd = frame.assign(x=[{"a": 1}, [2], None, object()])
    for given in (
        odd,
        pandas.concat([frame, odd[["x"]], odd[["x"]]], axis=1),
        frame.reset_index().rename(columns={"index": "Unnamed: 0"}),
        pa.table({"path": paths, "label": labels, "x": [[1], [2, 3], [], None]}),
    ):
        assert open_source(given).classes == ("cat", "dog")
    with pytest.raises(InputError, match="more than one column 'label'"):
        open_source(pandas.concat([frame, frame[["label"]]], axis=1))
    with pytest.raises(InputError, match=r"'path' as its index.*reset_index"):
        open_source(frame.set_index("path"))
    with pytest.raises(InputError, match=r"as a first row would be.*header=None"):
        open_source(frame.rename(columns={"path": "cat/0.png", "label": "cat"}))
    with pytest.raises(InputError, match=r"pandas\.DataFrame"):
        open_source({"path": paths, "label": labels})
