"""What a report is made of survives on disk, and a damaged file ends with a clear message."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frostline.core.errors import RunFolderError
from frostline.core.run_record import RunRecord
from frostline.explain.gallery import Gallery
from frostline.report import ReportData, load_record, save_record, write_report
from frostline.report.bounds import bounded

MakeData = Callable[..., ReportData]


def page(folder: Path, data: ReportData) -> bytes:
    write_report(folder / "report.html", data=data)
    return (folder / "report.html").read_bytes()


@pytest.mark.parametrize("n_classes", [2, 40])
@pytest.mark.parametrize("given", [False, True])
def test_the_page_can_be_made_anew(
    tmp_path: Path, make_data: MakeData, gallery: Gallery, n_classes: int, given: bool
) -> None:
    classes = tuple(f"class {i}" for i in range(n_classes))
    data = make_data(classes, given=given, gallery=gallery)
    save_record(tmp_path / "report.json", data)
    assert page(tmp_path, load_record(tmp_path / "report.json")) == page(tmp_path, data)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_long_lists_are_cut_once_and_counted(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("a", "b"))
    long = [[f"{i}/{k}.png" for k in range(20)] for i in range(300)]
    record = data.record.to_json()
    record["audit"]["exact_duplicates"] = long
    record["metrics"]["history"] = [{"epoch": i} for i in range(1000)]
    data = replace(data, record=RunRecord.model_validate(record))
    once = bounded(data)
    assert bounded(once) == once
    copies = once.record.audit.exact_duplicates
    assert (len(copies.items), copies.total) == (50, 300)
    assert (len(copies.items[0].items), copies.items[0].total) == (11, 20)
    assert len(once.record.metrics.history) <= 400
    save_record(tmp_path / "report.json", data)
    assert load_record(tmp_path / "report.json").record == once.record
    kept = json.loads((tmp_path / "report.json").read_text())
    assert len(kept["audit"]["exact_duplicates"]) == 50
    assert kept["audit"]["totals"]["exact_duplicates"] == 300
    assert "confusion" in kept["scores"] and "confusion" not in kept["metrics"]["test"]


def test_a_file_that_is_called_like_what_was_cut_is_a_file(
    tmp_path: Path, make_data: MakeData
) -> None:
    data = make_data(("a", "b"))
    record = data.record.to_json()
    record["audit"] = {"exact_duplicates": [["/set/and 9 more", "/set/a.png"]]}
    data = replace(data, record=RunRecord.model_validate(record))
    assert b"Paths are below <code>/set</code>" in page(tmp_path, data)


def test_a_file_of_the_first_format_is_read(tmp_path: Path, make_data: MakeData) -> None:
    def older(content: dict[str, Any]) -> None:
        content["format_version"] = 1
        for name in ("prior_case", "probe", "reasons", "runner_up"):
            del content["plan"][name]
        copies = content["audit"]["near_duplicates"]
        copies[0] = [*copies[0], "and 9 more"]

    data = load_record(edited(tmp_path, make_data(("a", "b")), older))
    assert data.record.audit.near_duplicates.total == 70
    assert b"and 9 more" in page(tmp_path, data)


def edited(folder: Path, data: ReportData, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / "report.json"
    save_record(path, data)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a newer version": (lambda c: c.update(format_version=3), "Update Frostline"),
    "a missing plan": (lambda c: c.pop("plan"), "plan"),
    "an unknown entry": (lambda c: c.update(colour="red"), "colour"),
    "a matrix that is not square": (lambda c: c["scores"]["confusion"].pop(), "not square"),
    "too few classes": (lambda c: c["classes"].pop(), "1 classes but a confusion matrix of 2"),
    "a share above one": (
        lambda c: c["scores"]["reliability"][0].update(accuracy=1.5),
        "reliability.0.accuracy",
    ),
    "a path without a reason": (
        lambda c: c["audit"]["unreadable"][0].pop("reason"),
        "audit.unreadable.items.0.reason",
    ),
    "metrics of another kind": (lambda c: c["metrics"].update(test=[1, 2]), "metrics.test"),
    "no base64": (lambda c: c["gallery"].update(filters="%%%"), "this is no picture"),
    "a picture that is none": (
        lambda c: c["gallery"]["mistakes"][0].update(thumbnail="PHN2Zz4="),
        "gallery.mistakes.0.thumbnail",
    ),
    "a truncated picture": (
        lambda c: c["gallery"]["depths"][0].update(picture="/9j/4AAQ"),
        "gallery.depths.0.picture",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong(
    tmp_path: Path, make_data: MakeData, gallery: Gallery, name: str
) -> None:
    change, words = DAMAGES[name]
    path = edited(tmp_path, make_data(("a", "b"), gallery=gallery), change)
    with pytest.raises(RunFolderError) as raised:
        load_record(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert raised.value.hint


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"nothing\.json cannot be read"):
        load_record(tmp_path / "nothing.json")
    for text in ("", "{", "[]", '{"format_version": 1'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(RunFolderError, match="damaged"):
            load_record(tmp_path / "report.json")


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with path.open("wb") as stream:
        stream.truncate(41_000_000)
    with pytest.raises(RunFolderError, match="the limit is"):
        load_record(path)
