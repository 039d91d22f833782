"""Files are whole or not there, whoever else writes; what dead processes left is swept out."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from frostline.core.errors import StoreError
from frostline.core.files import LEFTOVER_AGE, replacing, sweep, write_text

_NOBODY = 2**22 + 7
_WORD = "0123456789abcdef" * 2


def test_threads_that_write_one_file_leave_one_of_them_whole(tmp_path: Path) -> None:
    texts = [str(number) * 10_000 for number in range(10)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "plan.json", text), texts * 10))
    (path,) = tmp_path.iterdir()
    assert path.read_text() in texts


def test_a_folder_loses_what_nobody_touched_for_a_day(tmp_path: Path) -> None:
    names = [
        f".a.shard.{_NOBODY}-01234567.tmp",
        # as the first versions called them
        f".a.shard.{_WORD}.tmp",
        f".a.shard.{_NOBODY}.tmp",
    ]
    for name in (*names, "a.shard", "a.tmp", ".hidden"):
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 6, "another machine may write them"
    before = time.time() - LEFTOVER_AGE - 60
    for path in tmp_path.iterdir():
        os.utime(path, (before, before))
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.shard", "a.tmp", ".hidden"}


def test_what_this_process_writes_is_not_swept(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as temporary:
        temporary.write_text("slow")
        before = time.time() - LEFTOVER_AGE - 60
        os.utime(temporary, (before, before))
        write_text(path, "quick")
        sweep(tmp_path)
    assert path.read_text() == "slow"


def test_a_folder_that_cannot_be_written_is_the_error_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="cannot be written"),
        replacing(tmp_path / "file" / "a", failure=StoreError),
    ):
        pass
