"""Weights of images from tables: read, checked, and nothing where they are 0."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frostline.core.errors import InputError
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.wording.notes import note_sentence


def _table(digits: Path, path: Path, weights: Sequence[Any] | None, name: str = "weight") -> Path:
    images = sorted(digits.rglob("*.png"))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", *([] if weights is None else [name])])
        for i, image in enumerate(images):
            own = [] if weights is None else [weights[i % len(weights)]]
            writer.writerow([image, image.parent.name, *own])
    return path


@pytest.mark.parametrize("name", ["weight", "Sample weight"])
@pytest.mark.parametrize("form", ["csv", "parquet", "frame"])
def test_each_image_has_its_weight(
    digit_folder: Path, tmp_path: Path, name: str, form: str
) -> None:
    source: Any = _table(digit_folder, tmp_path / "t.csv", [1, 2.5, 0.5], name)
    if form != "csv":
        frame = pd.read_csv(source)
        source = frame if form == "frame" else tmp_path / "t.parquet"
        if form == "parquet":
            frame.to_parquet(source)
    catalog = open_source(source)
    assert catalog.weights is not None
    for row, weight in zip(catalog.rows, catalog.weights, strict=True):
        assert weight == [1, 2.5, 0.5][sorted(digit_folder.rglob("*.png")).index(row.path) % 3]
    (said,) = [note_sentence(note) for note in catalog.notes if "count by" in note_sentence(note)]
    assert f"{name!r}, from 0.5 to 2.5" in said
    labelled = Problem.of(catalog, weights="balanced").labelled(np.arange(len(catalog)))
    # classes of one size: balancing changes nothing, and weights stay what they are
    assert labelled.weights is not None
    assert labelled.weights.tolist() == pytest.approx(catalog.weights.tolist())


def test_images_of_weight_0_are_left_out_in_words(digit_folder: Path, tmp_path: Path) -> None:
    catalog = open_source(_table(digit_folder, tmp_path / "t.csv", [1, 1, 0, 1]))
    assert len(catalog) == 36
    assert catalog.weights is None
    assert any("12 images are left out, of weight 0" in note_sentence(n) for n in catalog.notes)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, -1], "line 3: a weight cannot be -1"),
        ([1, "nan"], "line 3: a weight cannot be nan"),
        ([1, "inf"], "line 3: a weight cannot be inf"),
        ([1, ""], "line 3: a weight cannot be blank"),
        ([1, "much"], "line 3: a weight cannot be much"),
        ([0], "every weight is zero"),
    ],
)
def test_senseless_weights_are_refused_by_line(
    digit_folder: Path, tmp_path: Path, weights: list[Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(_table(digit_folder, tmp_path / "t.csv", weights))
    assert expected in str(caught.value)
