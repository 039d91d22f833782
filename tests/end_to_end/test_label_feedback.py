"""What people said of a service's answers becomes labels, where the pictures can be found."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import frostline
from frostline.core.errors import InputError
from frostline.fitting.run_result import RunResult
from frostline.run.feedback_log import FeedbackEntry, FeedbackLog, Picture
from frostline.wording.suggesting import next_sentence

pytestmark = pytest.mark.slow


@pytest.fixture
def run(fast_run: RunResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fast_run.folder, tmp_path / "run"))


@pytest.fixture
def new(tmp_path: Path, digits_into: Callable[..., None]) -> list[Path]:
    """Digits that the run has not seen."""
    digits_into(tmp_path / "new", per_class=2, skip=16)
    return sorted((tmp_path / "new").rglob("*.png"))


def said(log: FeedbackLog, image: Path, label: str, *, keep: bool) -> str:
    content = image.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    entry = FeedbackEntry("2026-01-01T00:00:00+00:00", "m", digest, "digit 0", label, True, 0.9)
    log.append(entry, Picture(content, ".png") if keep else None)
    return digest


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_kept_pictures_become_labels_and_the_latest_word_counts(
    run: Path, new: list[Path], tmp_path: Path
) -> None:
    log = FeedbackLog(tmp_path / "kept", max_entries=10, max_bytes=10**6)
    first = said(log, new[0], "digit 4", keep=True)
    said(log, new[0], "digit 1", keep=True)
    nothing = said(log, new[1], "", keep=True)
    found = frostline.label(run, log.path, measure=False)
    assert (found.taken, found.aside, found.corrections) == (2, 1, False)
    (row,) = rows(run / "labels.csv")
    assert (row["label"], row["digest"], row["split"]) == ("digit 1", first, "train")
    assert Path(row["path"]).read_bytes() == new[0].read_bytes()
    assert nothing != first
    assert frostline.label(run, log.path, measure=False).taken == 0


def test_pictures_that_were_not_kept_are_asked_for_and_found_under_any_name(
    run: Path, new: list[Path], tmp_path: Path
) -> None:
    log = FeedbackLog(tmp_path / "kept", max_entries=10, max_bytes=10**6)
    digests = [said(log, image, "digit 1", keep=False) for image in new[:2]]
    with pytest.raises(InputError, match="2 pictures") as failure:
        frostline.label(run, log.path, measure=False)
    assert all(digest in str(failure.value) for digest in digests)
    assert str(tmp_path / "kept" / "images") in str(failure.value)
    assert not (run / "labels.csv").exists()
    (tmp_path / "kept" / "images").mkdir()
    (tmp_path / "kept" / "images" / "notes.txt").write_text("no image")
    for number, image in enumerate(new):
        shutil.copy(image, tmp_path / "kept" / "images" / f"{number}.png")
    assert frostline.label(run, log.path, measure=False).taken == 2
    assert {row["digest"] for row in rows(run / "labels.csv")} == set(digests)


def test_images_of_the_run_need_not_be_kept(run: Path, digit_folder: Path, tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path / "kept", max_entries=10, max_bytes=10**6)
    image = min(digit_folder.rglob("*.png"))
    said(log, image, "digit 4", keep=False)
    found = frostline.label(run, log.path, measure=False)
    assert (found.taken, found.corrected, found.corrections) == (1, 1, True)
    (row,) = rows(run / "corrections.csv")
    assert (Path(row["path"]), row["label"]) == (image.absolute(), "digit 4")


def test_both_kinds_of_images_go_into_two_tables(
    run: Path, new: list[Path], digit_folder: Path, tmp_path: Path
) -> None:
    log = FeedbackLog(tmp_path / "kept", max_entries=10, max_bytes=10**6)
    said(log, min(digit_folder.rglob("*.png")), "digit 4", keep=True)
    said(log, new[0], "digit 1", keep=True)
    found = frostline.label(run, log.path, measure=False)
    assert found.of_run is not None
    assert (found.table, found.taken) == (str(run / "labels.csv"), 1)
    assert (found.of_run.table, found.of_run.corrected) == (str(run / "corrections.csv"), 1)
    assert [len(rows(run / name)) for name in ("labels.csv", "corrections.csv")] == [1, 1]
    sentence = next_sentence("RUN", found)
    assert f"--add {found.table} --relabel {found.of_run.table} " in sentence
    # two steps, the last one first
    assert frostline.label(run, undo=True).table == str(run / "corrections.csv")
    assert rows(run / "corrections.csv") == []
    with pytest.raises(InputError, match="in two files"):
        frostline.label(run, log.path, output=tmp_path / "one.csv", measure=False)


def test_other_files_are_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "log.jsonl"
    other.write_text('{"event": "start"}\n')
    with pytest.raises(InputError, match="no line of feedback"):
        frostline.label(run, other)
