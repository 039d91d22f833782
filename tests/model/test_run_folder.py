"""The run folder after deaths, beside other processes, and on disks that are full."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import frostline
from frostline.core.errors import InputError, RunFolderError
from frostline.core.files import replacing, system_errors
from frostline.run import run_folder
from frostline.run.run_folder import OURS, RunFolder

SETTINGS = {"seed": 1}


class _Dead(BaseException):
    """Stands for a process that is gone: nothing catches it."""


def test_what_a_killed_process_left_is_neither_taken_for_a_file_nor_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    # it died before its settings were whole: the folder is as good as empty
    left = [run / ".settings.json.77.tmp", run / "model" / ".model.onnx.77.tmp"]
    left.append(run / "model" / ".tmpAb12Cd")
    (run / "model").rmdir()
    left[0].write_text('{"se')
    with RunFolder.open(run, settings=SETTINGS, overwrite=False) as opened:
        assert not opened.resumed
    assert [path.name for path in run.iterdir()] == ["settings.json"]
    (run / "model").mkdir()
    for path in (*left, run / "thesis.77.tmp", run / ".thesis.txt.77.tmp"):
        path.write_text("half")
    with RunFolder.open(run, settings=SETTINGS, overwrite=False) as opened:
        assert opened.resumed
    assert not any(path.exists() for path in left)
    assert (run / "thesis.77.tmp").exists(), "it is not ours"
    assert (run / ".thesis.txt.77.tmp").exists(), "it is not ours"


def test_a_second_run_in_one_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False):
        with (
            pytest.raises(RunFolderError, match="Another process is writing a run"),
            RunFolder.open(tmp_path, settings=SETTINGS, overwrite=True),
        ):
            pass
        assert json.loads((tmp_path / "settings.json").read_text()).items() >= SETTINGS.items()
    with (
        pytest.raises(_Dead),
        RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False),
    ):
        raise _Dead
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False) as opened:
        assert opened.resumed


@pytest.mark.parametrize("earlier", [SETTINGS, SETTINGS | {"run_format": 1}])
def test_an_unfinished_run_of_another_version_is_refused_and_stays_whole(
    earlier: dict[str, int], tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(earlier))
    # nothing was begun, so nothing can be lost
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False) as run:
        assert not run.resumed
    (tmp_path / "settings.json").write_text(json.dumps(earlier))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "state.json").write_text("{}")
    with (
        pytest.raises(RunFolderError, match="unfinished run of another version") as refused,
        RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False),
    ):
        pass
    assert "--overwrite" in (refused.value.hint or "")
    assert (tmp_path / "checkpoints" / "state.json").exists()
    assert json.loads((tmp_path / "settings.json").read_text()) == earlier
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=True) as run:
        assert not run.resumed
        assert run.checkpoints.exists(), "nothing is lost before this run begins"
        run.begin()
        assert not run.checkpoints.exists()


def test_training_is_not_forgotten_before_the_run_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False) as run:
        run.checkpoints.mkdir()

        def dies(path: Path, text: str) -> None:
            del path, text
            raise _Dead

        with monkeypatch.context() as patch, pytest.raises(_Dead):
            patch.setattr(run_folder, "write_text", dies)
            run.finish({})
        assert run.checkpoints.exists()
        run.finish({"n": 1})
        assert not run.checkpoints.exists()
        # it died between the two
        run.checkpoints.mkdir()
    with (
        pytest.raises(RunFolderError, match="holds a finished run"),
        RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False),
    ):
        pass
    assert not run.checkpoints.exists()


def test_overwriting_goes_on_with_what_it_has_begun(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, settings={"seed": 0}, overwrite=False) as run:
        run.finish({})
    for expected in (False, True):
        with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=True) as run:
            assert run.resumed is expected
            run.begin()
            assert not (tmp_path / "metrics.json").exists()
            run.checkpoints.mkdir(exist_ok=True)
            (run.checkpoints / "state").touch()
    with RunFolder.open(tmp_path, settings={"seed": 2}, overwrite=True) as run:
        run.begin()
        assert not run.checkpoints.exists()


def test_what_is_refused_costs_no_earlier_run(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, settings={"seed": 0}, overwrite=False) as run:
        (tmp_path / "plan.json").write_text("{}")
        run.finish({})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(InputError),
        RunFolder.open(tmp_path, settings={"seed": 1}, overwrite=True),
    ):
        raise InputError("There are no images.")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_that_dies_while_it_is_removed_never_passes_for_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False) as run:
        for name in OURS:
            (tmp_path / name).write_text("{}")
        (tmp_path / "checkpoints").unlink()
        run.finish({})
    unlink, gone = Path.unlink, []

    def dies_at_the_second(path: Path, missing_ok: bool = False) -> None:
        if path.name in OURS:
            gone.append(path.name)
            if len(gone) == 2:
                raise _Dead
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies_at_the_second)
        with (
            pytest.raises(_Dead),
            RunFolder.open(tmp_path, settings={"a": 1}, overwrite=True) as run,
        ):
            run.begin()
    assert not (tmp_path / "metrics.json").exists()
    assert (tmp_path / "settings.json").exists()


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False) as run:
        (tmp_path / "log.jsonl").symlink_to("/dev/full")
        with pytest.raises(RunFolderError, match=r"log\.jsonl cannot be written: No space left"):
            run.log("prepared", images=3)


def test_weights_on_a_full_disk_are_one_clear_error_too(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with (
            pytest.raises(
                RunFolderError, match=r"w\.safetensors cannot be written: File too large"
            ),
            replacing(tmp_path / "w.safetensors") as temporary,
            system_errors(),
        ):
            save_file({"w": np.zeros(5000)}, temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with (
        pytest.raises(RunFolderError, match="cannot be written: Permission denied"),
        RunFolder.open(tmp_path, settings=SETTINGS, overwrite=False),
    ):
        pass


def test_what_is_refused_before_any_work_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        frostline.fit(tmp_path / "empty", tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()
    # a folder that was there stays, as it was
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError):
        frostline.fit(tmp_path / "nowhere", tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_what_was_begun_stays_when_something_is_wrong(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError),
        RunFolder.open(tmp_path / "run", settings={"seed": 0}, overwrite=False) as run,
    ):
        run.log("prepared")
        raise InputError("The images went away.")
    with RunFolder.open(tmp_path / "run", settings={"seed": 0}, overwrite=False) as run:
        assert run.resumed
