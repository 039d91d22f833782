"""A checkpoint is whole, signed, and what training ended with."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from frostline.core.errors import RunFolderError
from frostline.training.checkpoints import Checkpoints, TrainingState

IDENTITY = {"seed": 1}


def state(**changes: object) -> TrainingState:
    values: dict[str, object] = {
        "epoch": 3,
        "best_epoch": 2,
        "best_nll": 0.4567,
        "history": [{"epoch": 3, "val_nll": 0.5, "seconds": 0.25}],
        "notes": ["a note"],
        "last": {"head.weight": torch.arange(6.0).reshape(2, 3)},
        "best": {"head.weight": torch.ones(2, 3)},
        "optimizer": {"exp_avg/head.weight": torch.zeros(2, 3)},
    }
    return TrainingState(**(values | changes))  # type: ignore[arg-type]


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = state()
    Checkpoints(tmp_path, IDENTITY).save(written)
    read, reason = Checkpoints(tmp_path, IDENTITY).load()
    assert reason == ""
    assert read is not None
    assert (read.epoch, read.best_nll, read.history) == (3, 0.4567, written.history)
    assert torch.equal(read.last["head.weight"], written.last["head.weight"])


def test_no_flipped_byte_of_any_file_goes_unnoticed(tmp_path: Path) -> None:
    Checkpoints(tmp_path, IDENTITY).save(state())
    dice = np.random.default_rng(0)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        places = [whole.find(b"0.4567") + 3, *dice.integers(0, len(whole), 30)]
        for place in (p for p in places if p >= 0):
            flipped = bytearray(whole)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            read, reason = Checkpoints(tmp_path, IDENTITY).load()
            changes_nothing = read is not None and whole[place : place + 1].isspace()
            assert changes_nothing or (read is None and reason), (path.name, place)
        path.write_bytes(whole)
    assert Checkpoints(tmp_path, IDENTITY).load()[0] is not None


def test_the_point_that_was_taken_between_start_and_best_is_what_is_read(tmp_path: Path) -> None:
    start = {"head.weight": torch.zeros(2, 3)}
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.save(state(start=start))
    between = {"head.weight": torch.full((2, 3), 0.5)}
    checkpoints.save(state(start=start, best=between, finished=True))
    read, _ = Checkpoints(tmp_path, IDENTITY).load()
    assert read is not None
    assert torch.equal(read.best["head.weight"], between["head.weight"])


def test_a_full_disk_is_one_clear_error_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.save(state())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunFolderError, match=r"last-00004.*No space left"):
            checkpoints.save(state(epoch=4))
    read, _ = Checkpoints(tmp_path, IDENTITY).load()
    assert read is not None
    assert read.epoch == 3
    assert not list(tmp_path.glob(".*"))
