"""Exports take their place whole, beside others and after deaths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frostline.core.errors import RunFolderError
from frostline.core.files import replacing, write_text
from frostline.exporting import placing
from frostline.exporting.placing import placing_file, placing_folder

pytestmark = pytest.mark.slow

_NOBODY = 2**22 + 7


class _Dead(BaseException):
    """The process is gone."""


def put(target: Path, text: str) -> None:
    with placing_folder(target, ours="config.json") as folder:
        (folder / "config.json").write_text(text)


def test_what_dead_exports_left_goes_with_the_next_one(tmp_path: Path) -> None:
    target, file = tmp_path / "folder", tmp_path / "model.onnx"
    # a namesake of this process: in a container all processes have the same few numbers
    for number in (_NOBODY, os.getpid()):
        left = tmp_path / f".folder.{number}.tmp" / "new"
        left.mkdir(parents=True)
        (left / "weights").touch()
        (tmp_path / f".model.onnx.{number}.tmp").touch()
    others = [tmp_path / ".other.onnx.1.tmp", tmp_path / f".model.onnx.{os.getppid()}.tmp"]
    for path in others:
        path.touch()
    put(target, "new")
    with placing_file(file) as temporary:
        temporary.write_text("new")
    assert sorted(tmp_path.iterdir()) == sorted([target, file, *others])


@pytest.mark.parametrize("at_once", [True, False])
def test_an_export_that_dies_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    target = tmp_path / "folder"
    put(target, "old")
    if not at_once:
        monkeypatch.setattr(placing, "_exchanged", lambda one, other: False)
    put(target, "older")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(_Dead), placing_folder(target, ours="config.json") as folder:
        (folder / "config.json").write_text("half")
        raise _Dead
    assert (target / "config.json").read_text() == "older"


def test_an_export_that_died_between_two_names_is_given_back(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    put(target, "old")
    # where names cannot be exchanged in one step
    work = tmp_path / f".folder.{_NOBODY}.tmp"
    work.mkdir()
    target.rename(work / "old")
    with (
        pytest.raises(RunFolderError, match="Is a directory"),
        placing_folder(target, ours="config.json") as folder,
    ):
        (folder / "a folder").mkdir()
    assert (target / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_a_dead_process_wrote_goes_with_the_next_writing(tmp_path: Path) -> None:
    left = tmp_path / f".report.html.{_NOBODY}.tmp"
    left.touch()
    write_text(tmp_path / "report.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_two_exports_to_one_place_leave_one_of_them_whole(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    with replacing(target) as first:
        first.write_text("one")
        # another process, which began later and ends first
        other = target.with_name(f".{target.name}.{os.getppid()}.tmp")
        other.write_text("two")
        other.replace(target)
        assert target.read_text() == "two"
    assert target.read_text() == "one"
