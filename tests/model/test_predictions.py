"""The table of predictions: what it says, and that it is written line by line."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from frostline.core.errors import RunFolderError
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.run.predictions import write_predictions

CLASSES = ("one, two", "größer")


def catalog_of(n: int) -> Catalog:
    rows = tuple(ImageRow(Path(f"/x/{i}.png"), f'{i} "a".png', i % 2) for i in range(n))
    return Catalog("x", CLASSES, rows, tuple(f"{i:064x}" for i in range(n)))


def problem_of(n: int) -> Problem:
    return Problem.of(catalog_of(n))


def test_every_evaluated_image_has_a_line(tmp_path: Path) -> None:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5], [0.9, 0.1]])
    write_predictions(tmp_path / "p.csv", problem_of(9), np.array([4, 1, 7]), probabilities)
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ['4 "a".png', '1 "a".png', '7 "a".png']
    assert [row["label"] for row in rows] == ["one, two", "größer", "größer"]
    assert [row["prediction"] for row in rows] == ["größer", "one, two", "one, two"]
    assert [row["confidence"] for row in rows] == ["0.750000", "0.500000", "0.900000"]
    assert b"\r" not in (tmp_path / "p.csv").read_bytes()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    n = 20_000
    catalog, rows = catalog_of(n), np.arange(n)
    probabilities = np.full((n, 2), 0.5)
    problem = Problem.of(catalog)
    tracemalloc.start()
    write_predictions(tmp_path / "p.csv", problem, rows, probabilities)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the winners and their probabilities take 16 bytes an image
    assert peak - 16 * n < 0.3 * (tmp_path / "p.csv").stat().st_size


def test_nothing_is_left_of_a_table_that_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_predictions(
            tmp_path / "folder" / "p.csv",
            problem_of(2),
            np.arange(2),
            np.full((2, 2), 0.5),
        )
    with pytest.raises(IndexError):
        write_predictions(tmp_path / "p.csv", problem_of(1), np.arange(2), np.full((2, 2), 0.5))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
