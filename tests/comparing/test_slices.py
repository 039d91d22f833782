"""Images that are divided by what they are like, and tested part by part."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import frostline
from frostline.comparing.belonging import copies_among, joined
from frostline.comparing.slices import slices_of
from frostline.core.comparison_record import ImagesNotFound, UnusedDimension
from frostline.data.decoding.facts import facts_of
from frostline.data.sources.other_columns import other_columns
from tests.comparing.conftest import MakeRun, probabilities

N = 320


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """320 small pictures of growing brightness, with a table that says more of them."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N):
        noise = rng.integers(0, 40, (16, 16 + 16 * (i % 2), 3))
        picture = Image.fromarray((noise + i * 200 // N).astype(np.uint8))
        exif = Image.Exif()
        if i % 5:
            exif[0x010F], exif[0x0110] = "Maker", f"Maker {'One' if i % 5 < 3 else 'Two'}"
            exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 {i % 24:02d}:10:00"
        picture.save(folder / f"{i:05d}.png", exif=exif)
        said = {"label": "a", "site": "north" if i % 3 else "south", "serial": f"x{i}"}
        rows.append({"path": f"{i:05d}.png", **said, "depth": i, "one": "same", "split": "train"})
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "t.csv"


def test_a_planted_bad_slice_is_found_and_no_other(make_run: MakeRun, table: Path) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, N)
    good, other = probabilities(truth, 0.92, 1), probabilities(truth, 0.92, 2)
    dark = np.arange(N) < N // 4
    spoilt = dark & (rng.random(N) < 0.4)
    other[spoilt] = probabilities(truth[spoilt], 0.0, 4)
    found = frostline.compare(
        make_run("a", good, truth, source=table), make_run("b", other, truth, source=table)
    )
    differing = [one for one in found.record.parts if one.verdict != "neither"]
    assert {(one.dimension, one.value.split(":")[0]) for one in differing} == {
        ("brightness", "lowest quarter"),
        ("column depth", "lowest quarter"),
    }
    assert all(one.verdict == "a" and one.images == N // 4 for one in differing)
    dimensions = {one.dimension for one in found.record.parts}
    assert dimensions == {
        *("output", "brightness", "shape", "camera", "hour", "column site", "column depth", "size"),
    }
    assert {(one.dimension, one.reason) for one in found.record.unused} == {
        ("file type", "one value"),
        ("column serial", "too many values"),
        ("column one", "one value"),
    }
    cameras = {one.value for one in found.record.parts if one.dimension == "camera"}
    assert cameras == {"Maker One", "Maker Two"}
    assert found.tiles
    assert all(tile.thumbnail.startswith(b"\xff\xd8") for tile in found.tiles)


def test_small_parts_are_named_and_not_tested(make_run: MakeRun) -> None:
    truth = np.array([0] * 60 + [1] * 19 + [2] * 40)
    groups = [""] * 79 + [f"g{i % 9}" for i in range(40)]
    p = probabilities(truth, 0.9, 1)
    runs = [make_run(name, p, truth, groups=groups) for name in "ab"]
    found = frostline.compare(*runs).record
    assert [(one.value, one.images, one.groups) for one in found.untested] == [
        ("b", 19, 19),
        ("c", 40, 9),
    ]
    assert [one.value for one in found.parts] == ["a"]
    assert found.parts[0].p_adjusted == 1.0


def test_images_that_are_gone_are_in_no_slice_that_needs_them(
    make_run: MakeRun, table: Path
) -> None:
    truth = np.zeros(N + 10, dtype=int)
    p = probabilities(truth, 0.9, 1)
    runs = [make_run(name, p, truth, source=table) for name in "ab"]
    found = frostline.compare(*runs).record
    assert ImagesNotFound(images=10, of=N + 10) in found.caveats
    bright = [one.images for one in found.parts if one.dimension == "brightness"]
    assert sum(bright) == N


def test_facts_of_a_damaged_exif_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.new("RGB", (40, 20), (255, 255, 255)).save(
        path, exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff"
    )
    found = facts_of(path.read_bytes(), name="x.jpg", max_pixels=10**6)
    assert (found.width, found.height, found.camera, found.hour) == (40, 20, "", None)
    assert found.brightness == pytest.approx(1.0)


def test_what_is_no_table_has_no_columns(tmp_path: Path) -> None:
    assert other_columns(tmp_path, known=()) == {}
    assert other_columns(tmp_path / "gone.csv", known=()) == {}
    broken = tmp_path / "x.csv"
    broken.write_text("a,b\n1,2\n")
    assert other_columns(broken, known=()) == {}


def test_images_belong_together_by_way_of_others() -> None:
    found = joined(["a", "b", "c", "d", "a"], [("a", "x"), ("x", "c"), ("d",)])
    assert found[0] == found[2] == found[4]
    assert len(set(found.tolist())) == 3
    assert copies_among(["a", "b"], [("a", "x", "y")]) == {"a": {"x", "y"}}


def test_equal_numbers_stay_in_one_slice(make_run: MakeRun) -> None:
    truth = np.zeros(100, dtype=int)
    from frostline.comparing.judged import Judged
    from frostline.stats.score_contributions import Answered
    from frostline.targets.choose import target_of

    names = tuple(f"{i}.png" for i in range(100))
    cells = {name: str(max(0, i - 60)) for i, name in enumerate(names)}
    judged = Judged(
        target_of("single", 2),
        ("a", "b"),
        names,
        names,
        (None,) * 100,
        truth,
        np.arange(100),
        Answered(truth),
        Answered(truth),
        (None,) * 100,
        (None,) * 100,
        columns={"n": cells, "few": {names[0]: "1"}},
    )
    found = slices_of(judged, [None] * 100)
    rows = [one.rows for one in found.found if one.dimension == "column n"]
    assert sum(row.sum() for row in rows) == 100
    assert rows[0].sum() == 61
    assert UnusedDimension(dimension="column few", reason="one value", values=1) in found.unused
