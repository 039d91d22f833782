"""Datasets of Hugging Face: the real library where it is installed, its shape where not."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from sklearn.datasets import load_digits

from frostline.core.errors import InputError, SettingsError
from frostline.data.notes import OneHotLabels, OneLabelEach, Respelled, TakenColumns
from frostline.data.sources.open_source import open_source


def contents(n: int = 8) -> tuple[list[bytes], list[int]]:
    """Real digits 0 and 1 as PNG files."""
    data = load_digits(n_class=2)
    found = []
    for image in data.images[:n]:
        content = io.BytesIO()
        Pillow.fromarray((image * 15.9).astype(np.uint8)).save(content, "PNG")
        found.append(content.getvalue())
    return found, data.target[:n].tolist()


class Image:
    def __init__(self, decode: bool = True, mode: str | None = None) -> None:
        self.decode, self.mode = decode, mode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Value:
    pass


class Dataset:
    """As much of the library's class as is used."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self._columns, self.features = columns, features
        self.column_names = list(features)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def with_format(self, kind: None) -> Dataset:
        return self

    def select_columns(self, names: list[str]) -> Dataset:
        return Dataset({n: self._columns[n] for n in names}, {n: self.features[n] for n in names})

    def cast_column(self, name: str, feature: Any) -> Dataset:
        return Dataset(self._columns, {**self.features, name: feature})

    def __getitem__(self, key: str | int) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        return {name: self._cell(name, values[key]) for name, values in self._columns.items()}

    def _cell(self, name: str, value: Any) -> Any:
        feature = self.features[name]
        if not isinstance(feature, Image):
            return value
        if not feature.decode:
            return value if isinstance(value, dict) else {"bytes": value, "path": None}
        return Pillow.open(io.BytesIO(value)).convert(feature.mode)


def dataset(**changes: Any) -> Dataset:
    files, labels = contents()
    columns: dict[str, list[Any]] = {
        "image": files,
        "label": labels,
        "person": [i // 2 for i in range(len(files))],
    }
    features: dict[str, Any] = {
        "image": Image(),
        "label": ClassLabel(["nought", "one"]),
        "person": Value(),
    }
    return Dataset(columns, features | changes)


def refused(source: object, kind: type[Exception] = InputError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_source(source, **options)
    return str(caught.value)


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    catalog = open_source(dataset(), group_by="person")
    files, labels = contents()
    assert list(catalog.digests) == [hashlib.sha256(content).hexdigest() for content in files]
    assert catalog.classes == ("nought", "one")
    assert catalog.labels.tolist() == labels
    assert [row.group for row in catalog.rows][:3] == ["0", "0", "1"]
    # files that the dataset only points to
    paths = []
    for i, content in enumerate(files):
        (tmp_path / f"{i}.png").write_bytes(content)
        paths.append({"bytes": None, "path": str(tmp_path / f"{i}.png")})
    pointing = Dataset({"image": paths, "label": labels}, {"image": Image(), "label": Value()})
    assert open_source(pointing).digests == catalog.digests
    assert open_source(pointing).classes == ("0", "1")
    assert open_source(dataset(image=Image(mode="RGB"))).digests != catalog.digests


def test_mistakes() -> None:
    assert "2 image columns: image, person" in refused(dataset(person=Image()))
    assert "no image column" in refused(dataset(image=Value()))
    assert "datasets.Image()" in refused(dataset(image=Value()))
    assert "2 label columns" in refused(dataset(person=ClassLabel(["a"])))
    named = dataset()
    named.features = {"image": Image(), "kind": Value()}
    assert "rename_column" in refused(named)
    assert "Did you mean 'person'" in refused(dataset(), SettingsError, group_by="persn")
    unlabelled = dataset()
    unlabelled["label"][0] = -1
    assert "no label in row 0" in refused(unlabelled)


def test_streams_are_refused() -> None:
    class Streamed:
        features: dict[str, Any] = {}  # noqa: RUF012
        column_names: tuple[str, ...] = ()

        def cast_column(self) -> None: ...

    assert "streaming=True" in refused(Streamed())


def test_parts_are_kept() -> None:
    catalog = open_source({"train": dataset(), "validation": dataset()})
    assert catalog.parts == ("train",) * 8 + ("val",) * 8


def test_the_real_library() -> None:
    datasets = pytest.importorskip("datasets")
    files, labels = contents()
    real = datasets.Dataset.from_dict(
        {"image": [{"bytes": content, "path": None} for content in files], "label": labels},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=["nought", "one"])}
        ),
    )
    catalog = open_source(datasets.DatasetDict({"train": real, "test": real.select(range(4))}))
    assert list(catalog.digests[:8]) == [hashlib.sha256(content).hexdigest() for content in files]
    assert catalog.classes == ("nought", "one")
    assert catalog.parts == ("train",) * 8 + ("test",) * 4
    assert open_source(real.with_format("torch")).digests == catalog.digests[:8]


class List:
    def __init__(self, feature: Any) -> None:
        self.feature = feature


@pytest.mark.parametrize(
    ("name", "feature", "labels", "classes", "notes"),
    [
        ("class", Value(), list("abababab"), ("a", "b"), (TakenColumns((("label", "class"),)),)),
        ("Label", Value(), list("abababab"), ("a", "b"), ()),
        (
            "labels",
            List(ClassLabel(["x", "y"])),
            [[0], [1]] * 4,
            ("x", "y"),
            (TakenColumns((("label", "labels"),)), OneLabelEach(2)),
        ),
        ("label", List(Value()), [[1, 0], [0, 1]] * 4, ("0", "1"), (OneHotLabels(2),)),
        ("label", Value(), ["a", "a ", "b", "b"] * 2, ("a", "b"), None),
    ],
)
def test_labels_follow_the_rules_of_tables(
    name: str, feature: Any, labels: list[Any], classes: tuple[str, ...], notes: Any
) -> None:
    files, _ = contents()
    given = Dataset({"image": files, name: labels}, {"image": Image(), name: feature})
    catalog = open_source(given)
    assert catalog.classes == classes
    if notes is None:
        notes = (Respelled(((("a", 2), ("a ", 2)),)),)
    assert catalog.notes == notes


def test_several_labels_of_a_row_and_several_columns() -> None:
    files, _ = contents()
    columns: dict[str, Any] = {"image": files, "labels": [[0]] * 7 + [[0, 1]]}
    features = {"image": Image(), "labels": List(ClassLabel(["x", "y"]))}
    catalog = open_source(Dataset(columns, features))
    assert (catalog.task, catalog.classes) == ("multilabel", ("x", "y"))
    assert catalog.truth.tolist() == [[1, 0]] * 7 + [[1, 1]]
    columns |= {"category": list("aabbaabb"), "target": [0] * 8}
    features = {"image": Image(), "category": Value(), "target": Value()}
    assert "'category', 'target', each of which may be it" in refused(Dataset(columns, features))
