"""Models that are copied, pickled, sent to processes and forked give the same answers."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import select
import shutil
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

import frostline
from frostline.core.errors import RunFolderError, UnreadableImageError
from frostline.core.onnx_runtime import open_session
from frostline.fitting.run_result import RunResult
from frostline.model import model as model_module
from frostline.model.model import Model
from frostline.model.packed import PackedModel

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parent / "released" / "format-3"
IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8))


def unpickled(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301


def through_joblib(model: Model) -> Model:
    file = BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    loaded: Model = joblib.load(file)
    return loaded


def _by_pickle(protocol: int, model: Model) -> Model:
    found: Model = unpickled(pickle.dumps(model, protocol))
    return found


COPIES: dict[str, Callable[[Model], Model]] = {
    **{f"pickle {n}": partial(_by_pickle, n) for n in (0, 2, 5)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a dict": lambda m: copy.deepcopy({"m": [m]})["m"][0],
    "clone": lambda m: clone(m, safe=False),
    "joblib": through_joblib,
}


@pytest.fixture(scope="module")
def exported(fast_run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "m.onnx"
    frostline.export(fast_run.folder, file)
    return file


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_gives_the_same_answers(way: str, used: bool) -> None:
    model = frostline.load(RELEASED, threads=1, max_pixels=10_000)
    expected = frostline.load(RELEASED).predict_proba(IMAGES)
    if used:
        model.predict(IMAGES)
    other = COPIES[way](model)
    np.testing.assert_array_equal(other.predict_proba(IMAGES), expected)
    with pytest.raises(UnreadableImageError, match=r"the limit is 0\.01"):
        other.predict(_large())


def _large() -> bytes:
    file = BytesIO()
    Image.new("RGB", (101, 100)).save(file, "PNG")
    return file.getvalue()


def test_an_exported_file_is_copied_as_well(exported: Path) -> None:
    model = frostline.load(exported)
    expected = model.predict_proba(IMAGES)
    for copied in (unpickled(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(copied.predict_proba(IMAGES), expected)


def test_a_pickle_works_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RELEASED, tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(frostline.load("m"))
    monkeypatch.chdir("/")
    assert len(unpickled(pickled).predict(IMAGES)) == 3
    assert len(pickled) < 1000


def gone(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)


def without_weights(folder: Path, other: Path) -> None:
    (folder / "model.onnx").unlink()


def replaced(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [(gone, "does not exist"), (without_weights, "onnx"), (replaced, "another")],
)
def test_a_copy_of_what_is_gone_is_one_clear_error(
    tmp_path: Path, fast_run: RunResult, change: Callable[[Path, Path], None], words: str
) -> None:
    shutil.copytree(RELEASED, tmp_path / "m")
    model = frostline.load(tmp_path / "m")
    pickled = pickle.dumps(model)
    change(tmp_path / "m", fast_run.folder / "model")
    for again in (lambda: unpickled(pickled), lambda: copy.copy(model)):
        with pytest.raises(RunFolderError, match=words) as raised:
            again()
        assert raised.value.hint


def test_results_and_errors_travel_too(fast_run: RunResult) -> None:
    for result in (unpickled(pickle.dumps(fast_run)), copy.deepcopy(fast_run)):
        assert result.metrics == fast_run.metrics
        assert result.model.classes == fast_run.classes
    error = UnreadableImageError("a.png", "truncated")
    for other in (unpickled(pickle.dumps(error)), copy.copy(error)):
        assert (other.path, other.reason, str(other)) == ("a.png", "truncated", str(error))
    one = unpickled(pickle.dumps(RunFolderError("cause", hint="remedy")))
    assert (one.message, one.hint) == ("cause", "remedy")


def test_models_and_their_methods_go_to_new_processes() -> None:
    model = frostline.load(RELEASED, threads=1)
    expected = model.predict(IMAGES)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(model.predict, [IMAGES[:1], IMAGES[1:]], chunksize=2) == [
            expected[:1],
            expected[1:],
        ]
        with pytest.raises(UnreadableImageError, match="file not found"):
            pool.map(model.predict, ["missing.png"])


def forked(work: Callable[[], list[str]]) -> list[str]:
    """Run something in a real fork; an endless wait there fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, "\n".join(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        assert select.select([reading], [], [], 20)[0], "the child hangs"
        return os.read(reading, 10_000).decode().splitlines()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)


def a_folder(exported: Path) -> Model:
    return frostline.load(RELEASED, threads=2)


def a_file(exported: Path) -> Model:
    return frostline.load(exported, threads=2)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("make", [a_folder, a_file])
def test_a_fork_predicts_and_its_own_fork_too(
    exported: Path, make: Callable[[Path], Model], used: bool
) -> None:
    model = make(exported)
    expected = make(exported).predict(IMAGES)
    if used:
        model.predict(IMAGES)
    assert forked(lambda: model.predict(IMAGES)) == expected
    assert forked(lambda: forked(lambda: model.predict(IMAGES))) == expected
    assert model.predict(IMAGES) == expected


def test_an_estimators_model_is_opened_anew_in_a_fork() -> None:
    model = PackedModel.read(RELEASED)
    options: dict[str, Any] = {"threads": 2, "workers": 2, "max_pixels": 10_000}
    expected = model.open(**options).predict(IMAGES)
    assert forked(lambda: model.open(**options).predict(IMAGES)) == expected


def test_a_fork_while_a_thread_opens_the_model_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = frostline.load(RELEASED, threads=2)
    expected = frostline.load(RELEASED).predict(IMAGES)
    begun = threading.Event()
    real = open_session

    def slowly(*args: object, **options: object) -> object:
        begun.set()
        time.sleep(0.3)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(model_module, "open_session", slowly)
    thread = threading.Thread(target=model.predict, args=(IMAGES,))
    thread.start()
    assert begun.wait(30)
    assert forked(lambda: model.predict(IMAGES)) == expected
    thread.join(30)
    assert not thread.is_alive()


def test_a_fork_that_ends_does_not_wait_for_threads_of_its_parent() -> None:
    model = frostline.load(RELEASED, threads=2)
    model.predict(IMAGES)

    def let_go() -> list[str]:
        model.__dict__.clear()
        gc.collect()
        return ["over"]

    assert forked(let_go) == ["over"]
