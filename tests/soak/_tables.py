"""Tables that nobody would want: encodings, quotes, sizes, paths that climb out."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: images that the good rows name, below the folder of the table
GOOD = ("a/1.png", "a/2.png", "b/1.png", "b/2.png")


def tables(large: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kind, file name and content; ``large`` is the number of rows of the long ones."""
    rows = "".join(f"{path},{path[0]}\n" for path in GOOD)
    head = "path,label\n"
    good = head + rows
    yield "good", "good.csv", good.encode()
    yield "byte-order mark", "bom.csv", good.encode("utf-8-sig")
    for kind in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037", "utf-7"):
        yield f"encoding {kind}", f"{kind}.csv", (good + "a/1.png,größe\n").encode(kind, "replace")
    yield "quotes", "quotes.csv", (head + '"a/1.png","a ""quoted"" label"\n' + rows[10:]).encode()
    yield "quotes", "open-quote.csv", (good + '"a/1.png,a\n').encode()
    yield "quotes", "late-quote.csv", (good + 'a/1.png,"a"b\n').encode()
    for name, path in {
        "climb": "../../../../etc/passwd",
        "absolute": "/etc/passwd",
        "device": "/dev/zero",
        "memory": "/proc/kcore",
        "nul": "a/\0.png",
        "long": "a/" + "x" * 5_000,
        "deep": "a/" + "b/" * 3_000 + "c.png",
        "home": "~/.ssh/id_rsa",
        "address": "http://127.0.0.1/x.png",
        "empty": " ",
        "dot": ".",
        "folder": "a",
        "escape": "\x1b]0;title\x07.png",
        "half": "\\ud800.png",
    }.items():
        yield "path", f"path-{name}.csv", (good + f"{path},a\n").encode()
    yield "label", "label-controls.csv", (head + rows.replace(",a", ",\x1b[2Ja")).encode()
    yield "label", "label-long.csv", (head + rows.replace(",a", "," + "a" * 100_000)).encode()
    yield "label", "label-too-long.csv", (head + rows.replace(",a", "," + "a" * 200_000)).encode()
    yield "label", "label-markup.csv", (head + rows.replace(",a", ",[/][red]<b>")).encode()
    yield "columns", "twice.csv", ("path,label,label\n" + rows.replace("\n", ",x\n")).encode()
    many = "path,label," + ",".join(f"c{i}" for i in range(100_000))
    yield "columns", "many.csv", (many + "\n").encode()
    yield "columns", "ragged.csv", (good + "a/1.png\n").encode()
    yield "columns", "no-head.csv", rows.encode()
    yield "rows", "repeated.csv", (good + rows).encode()
    yield "rows", "absent.csv", (head + "".join(f"x/{i}.png,a\n" for i in range(large))).encode()
    yield "rows", "blank-lines.csv", (good + "\n" * large).encode()
    yield "rows", "lines.csv", (head + "\n" * (40 * large)).encode()
    yield "rows", "commas.csv", ("," * large).encode()
    yield "bytes", "empty.csv", b""
    yield "bytes", "nul.csv", bytes(1_000)
    yield "bytes", "noise.csv", np.random.default_rng(0).bytes(100_000)
    yield "bytes", "noise.parquet", np.random.default_rng(0).bytes(100_000)
    yield "bytes", "noise.tsv", b"\xff\xfe" + np.random.default_rng(1).bytes(10_001)
    yield from _parquet(large)


def _parquet(large: int) -> Iterator[tuple[str, str, bytes]]:
    paths, labels = list(GOOD), [path[0] for path in GOOD]
    whole = _packed({"path": pa.array(paths), "label": pa.array(labels)})
    yield "good", "good.parquet", whole
    random = np.random.default_rng(2)
    for i in range(60):
        spoilt = bytearray(whole)
        for place in random.integers(0, len(spoilt), 4):
            spoilt[int(place)] = int(random.integers(256))
        yield "damaged Parquet", f"damaged-{i}.parquet", bytes(spoilt)
    yield "damaged Parquet", "footer.parquet", whole[:-8] + struct.pack("<I", 2**31) + b"PAR1"
    yield "Parquet types", "numbers.parquet", _packed({"path": pa.array([1, 2]), "label": [1, 2]})
    yield (
        "Parquet types",
        "nested.parquet",
        _packed({"path": [["a"], ["b"]], "label": [{"x": 1}, {"x": 2}]}),
    )
    yield "Parquet types", "bytes.parquet", _packed({"path": [b"\xff", b"\0"], "label": ["a", "b"]})
    repeated = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(40 * large, dtype=np.int32)), pa.array(["a/1.png"])
    )
    yield "rows", "repeated.parquet", _packed({"path": repeated, "label": repeated})


def _packed(columns: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def plant_good(folder: Path, content: list[bytes]) -> None:
    """Write the images that the good rows name."""
    for path, image in zip(GOOD, content, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(image)
