"""Files of strangers that want more than their pixels: refused in milliseconds, with the reason."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.reading_rules import FIRST_RULES, ReadingRules, ValueRange
from frostline.data.decoding import greys
from frostline.data.decoding.decode import decode
from frostline.data.decoding.image_refs import digest_of
from frostline.data.naming import encodable, printable, visible
from frostline.data.sources import table_parquet, table_text
from frostline.data.sources.open_source import open_source, source_name
from tests.data.bombs import chunk, encoded, large_tile, many_scans, png_with

LIMIT = 1_000_000


def reason(content: bytes | Path) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(content, max_pixels=LIMIT)
    return caught.value.reason


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (large_tile, "tiles of 900 megapixels"),
        (many_scans, "more than 500 scans"),
        (lambda: many_scans(hidden=True), "more than 500 scans"),
        (lambda: png_with(chunk(b"teSt", b"") * 200_001), "more than 200,000 chunks"),
        (lambda: b"P2\n2 2\n255\n" + b"#\n" * 1001 + b"1 2 3 4\n", "more than 1,000 comments"),
        (
            lambda: png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000)))),
            "text or a colour profile of over a megabyte",
        ),
    ],
    ids=["tile", "scans", "hidden", "chunks", "comments", "text"],
)
def test_more_than_pixels(make: Callable[[], bytes], expected: str) -> None:
    assert reason(make()) == expected


def test_ordinary_numbers_of_everything_are_fine() -> None:
    for content in (
        encoded("TIFF"),
        encoded("JPEG", progressive=True),
        # telephones append a film, in which any bytes may stand
        encoded("JPEG") + b"\xff\xda\0\2" * 600,
        png_with(chunk(b"teSt", b"") * 500),
        b"P2\n2 2\n255\n" + b"# a comment\n" * 9 + b"1 2 3 4\n",
    ):
        assert decode(content, max_pixels=LIMIT).mode == "RGB"


def test_files_without_end_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "hollow.png"
    with path.open("wb") as stream:
        stream.truncate(8 * 2**40)
    assert reason(path) == "8,192.0 GiB, the limit is 4"
    with pytest.raises(UnreadableImageError, match="the limit is 4"):
        digest_of(path, name="hollow.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(UnreadableImageError, match="not a regular file"):
        digest_of(path, name="pipe.png")
    # one that took the place of a file after somebody had looked
    (tmp_path / "file.png").write_bytes(b"x")
    ordinary = (tmp_path / "file.png").stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: ordinary)
    assert reason(path) == "not a regular file"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deep_greys_by_rows_are_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 1e6, (37, 23))
    values[3, 4] = 0
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32)).save(stream, "TIFF")
    measured = ValueRange(low=-1e6, high=2e6)
    for rules in (FIRST_RULES, ReadingRules(integers=measured, floats=measured)):
        whole = np.asarray(decode(stream.getvalue(), max_pixels=LIMIT, rules=rules))
        with monkeypatch.context() as patch:
            patch.setattr(greys, "_PIXELS_AT_A_TIME", 50)
            again = decode(stream.getvalue(), max_pixels=LIMIT, rules=rules)
        assert np.array_equal(np.asarray(again), whole)


# ------------------------------------------------------------------------- names


def test_names_never_command_a_terminal() -> None:
    assert printable("a\x1b[31mb\n.png") == "a\\x1b[31mb\\n.png"
    assert printable(os.fsdecode(b"a\xff.png")) == "a\\xff.png"
    assert printable("half \ud800.png") == "half \\ud800.png"
    assert visible("\x9b2J\u2028") == "\\x9b2J\\u2028"
    assert encodable("größe 🦋") == "größe 🦋"


def test_odd_sources_are_named(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"fotos \xff\x1b")
    assert source_name(odd).endswith("fotos \\xff\\x1b")
    for source in ("~nobody-of-this-name/photos", "x" * 5_000, "nul\0"):
        with pytest.raises(InputError):
            open_source(source)


# ------------------------------------------------------------------------- tables


def listed(folder: Path, content: str) -> str:
    path = folder / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        open_source(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "cell",
    ["x" * 5_000, "a/" * 3_000, "nul\0.png", "/dev/zero", "/dev", ".", "~/x.png", "../../none.png"],
    ids=["long", "deep", "nul", "device", "folder", "dot", "home", "up"],
)
def test_cells_that_are_no_files(cell: str, tmp_path: Path) -> None:
    said = listed(tmp_path, f"path,label\n{cell},a\n")
    assert "1 of 1 files do not exist" in said
    assert len(said) < 500


def test_a_hundred_thousand_columns_take_no_time(tmp_path: Path) -> None:
    # looking for repeated names must not take time that grows with the square of their number
    columns = ",".join(f"c{i}" for i in range(300_000))
    assert "expected path, label" in listed(tmp_path, f"{columns}\n")


def test_tables_of_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"path": ["a.png"] * 9, "label": ["x"] * 9}), path)
    monkeypatch.setattr(table_parquet, "MOST_ROWS", 8)
    monkeypatch.setattr(table_text, "MOST_ROWS", 8)
    with pytest.raises(InputError, match="has 9 rows; at most 8"):
        open_source(path)
    assert "has 10 lines; at most 8" in listed(tmp_path, "path,label\n" + "a.png,x\n" * 9)


def test_tables_without_end_are_not_read(tmp_path: Path) -> None:
    for name in ("t.csv", "t.parquet"):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(8 * 2**40)
        with pytest.raises(InputError, match=r"cannot be read: 8,192\.0 GiB"):
            open_source(tmp_path / name)
