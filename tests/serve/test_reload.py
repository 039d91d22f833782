"""A running service takes the new model of its folder: all of it or nothing, between requests."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from frostline.core.errors import RunFolderError, SettingsError
from frostline.model.model import Model
from frostline.model_format.drift_file import DRIFT
from frostline.model_format.model_folder import load_card
from frostline.run.replacement import next_folder, take_place
from frostline.serve.access_control import Guard
from frostline.serve.limits import Limits
from frostline.serve.model_slot import open_whole
from frostline.serve.opening import fingerprint_of
from frostline.serve.served_model import ServedModel
from frostline.serve.service import Service

if TYPE_CHECKING:
    from tests.serve.conftest import Live, Starting

pytestmark = pytest.mark.slow

KEY = "a-key"
#: what the classes of the model are called that takes the other one's place
OTHER = {"digit 0": "ring", "digit 1": "stroke", "digit 4": "fork"}


def renamed(run: Path, target: Path) -> Path:
    """Copy a run and call its classes otherwise: another model of the same pictures."""
    shutil.copytree(run, target)
    card = load_card(target)
    other = card.model_copy(update={"classes": tuple(OTHER[name] for name in card.classes)})
    (target / "model" / "model.json").write_text(other.to_json(), encoding="utf-8")
    return target


@pytest.fixture
def runs(run: Path, tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    """A run folder to serve, and two finished runs that may take its place, by fingerprint."""
    first = tmp_path / "first"
    shutil.copytree(run, first)
    both = (first, renamed(run, tmp_path / "second"))
    served = tmp_path / "served"
    shutil.copytree(first, served)
    return served, {fingerprint_of(load_card(one)): one for one in both}


def replace(served: Path, run: Path) -> None:
    """Let a copy of a run take the place of the served one, as an update in place does."""
    shutil.copytree(run, next_folder(served))
    take_place(served)


def asked(live: Live, path: str, files: list[Path] | None = None) -> tuple[int, Any]:
    """Ask with the key; status and JSON. ``files``: None sends none."""
    body, headers = b"", {"X-API-Key": KEY}
    if files is not None:
        headers["Content-Type"] = "multipart/form-data; boundary=x"
        for file in files:
            head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{file.name}"'
            body += head.encode() + b"\r\n\r\n" + file.read_bytes() + b"\r\n"
        body += b"--x--\r\n"
    wanted = urllib.request.Request(live.url + path, data=body, headers=headers)
    try:
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "health", timeout=30) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_answer_is_of_two_models_while_runs_take_each_others_place(
    runs: tuple[Path, dict[str, Path]], started: Starting, digits: list[Path]
) -> None:
    served, by_fingerprint = runs
    first, second = by_fingerprint
    names = {first: set(OTHER), second: set(OTHER.values())}
    answers: list[tuple[int, Any]] = []
    over = threading.Event()

    def ask(live: Live, path: str, files: list[Path]) -> None:
        while not over.is_set():
            answers.append(asked(live, path, files))

    options = ("--threads", "1", "--allow-reload")
    with started(served, *options, environment={"FROSTLINE_API_KEY": KEY}) as live:
        asking = [
            threading.Thread(target=ask, args=(live, path, files))
            for path, files in (
                ("predict", digits[:6]),
                ("predict", digits[-6:]),
                ("explain", digits[:1]),
            )
        ]
        for thread in asking:
            thread.start()
        for turn in range(4):
            before, new = (first, second) if turn % 2 == 0 else (second, first)
            replace(served, by_fingerprint[new])
            # models of before may still explain something
            while (found := asked(live, "reload"))[0] == 503:
                time.sleep(0.05)
            assert found == (200, {"model": new, "before": before, "changed": True})
            # from then on the new one answers
            said = asked(live, "predict", digits[:1])[1]
            assert said["model"] == new
            assert said["results"][0]["label"] in names[new]
        over.set()
        for thread in asking:
            thread.join()
        assert asked(live, "reload")[1] == {"model": first, "before": first, "changed": False}
    assert {status for status, _ in answers} == {200}
    assert {one["model"] for _, one in answers} == {first, second}
    for _, one in answers:
        results = one.get("results", [one])
        assert {result["label"] for result in results} <= names[one["model"]]
        for result in results:
            assert set(result.get("probabilities", ())) <= names[one["model"]]


def test_a_broken_model_leaves_the_earlier_one_serving_and_says_why(
    runs: tuple[Path, dict[str, Path]], started: Starting, digits: list[Path], tmp_path: Path
) -> None:
    served, by_fingerprint = runs
    first = next(iter(by_fingerprint))
    options = ("--threads", "1", "--allow-reload")
    with started(served, *options, environment={"FROSTLINE_API_KEY": KEY}) as live:

        def refused(words: str) -> None:
            status, said = asked(live, "reload")
            assert (status, said["error"]["kind"]) == (409, "not_replaced")
            assert words in said["error"]["what"]
            assert asked(live, "predict", digits[:1])[1]["model"] == first

        onnx = served / "model" / "model.onnx"
        whole = onnx.read_bytes()
        onnx.write_bytes(whole[: len(whole) // 2])
        refused("is damaged")
        onnx.write_bytes(whole)
        card = load_card(served).model_copy(update={"task": "ordinal"})
        (served / "model" / "model.json").write_text(card.to_json(), encoding="utf-8")
        refused("'ordinal'")
        served.rename(tmp_path / "elsewhere")
        refused("does not exist")
        (tmp_path / "elsewhere").rename(served)
        text = urllib.request.Request(live.url + "metrics", headers={"X-API-Key": KEY})
        with urllib.request.urlopen(text, timeout=60) as answer:
            assert 'frostline_reloads_total{outcome="refused"} 3.0' in answer.read().decode()
        no_key = urllib.request.Request(live.url + "reload", data=b"")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(no_key, timeout=60)


def test_the_signal_needs_no_key_and_says_what_came_of_it(
    runs: tuple[Path, dict[str, Path]], started: Starting, digits: list[Path]
) -> None:
    served, by_fingerprint = runs
    first, second = by_fingerprint
    with started(served, "--threads", "1") as live:

        def model() -> str:
            return str(asked(live, "predict", digits[:1])[1]["model"])

        assert asked(live, "reload")[0] == 404
        assert model() == first
        replace(served, by_fingerprint[second])
        # as long as nobody asks for it nothing changes
        assert model() == first
        live.process.send_signal(signal.SIGHUP)
        until(lambda: model() == second)
        assert live.process.stdout is not None and live.process.stderr is not None
        assert live.process.stdout.readline() == f"A new model is served: {second[:12]}.\n"
        (served / "model" / "model.json").write_text("{")
        live.process.send_signal(signal.SIGHUP)
        said = ""
        while "not replaced" not in said:
            said = live.process.stderr.readline()
        assert model() == second


def test_a_service_that_only_starts_is_not_ended() -> None:
    code = """
import os, signal
from frostline.serve.server import outliving_hangup
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with outliving_hangup():
    os.kill(os.getpid(), signal.SIGHUP)
    print("lives", flush=True)
os.kill(os.getpid(), signal.SIGHUP)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.returncode) == ("lives\n", -signal.SIGHUP), found.stderr


def test_a_service_ends_with_its_terminal(run: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        # whoever runs the tests under nohup hands that on
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        command = [sys.executable, "-m", "frostline", "serve", str(run), "--port", "0"]
        os.execv(sys.executable, command)
    said = b""
    while b"Ctrl-C" not in said:
        said += os.read(terminal, 1000)
    found = re.search(rb"http://\S+/", said)
    assert found is not None
    # before it answers a signal would end it anyway
    until(lambda: is_up(found[0].decode()))
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # by itself: there is nowhere left to say that it stopped
    assert code >= 0


def test_a_folder_that_changes_while_it_is_opened_is_opened_again(
    runs: tuple[Path, dict[str, Path]],
) -> None:
    served, by_fingerprint = runs
    _, second = by_fingerprint
    loaded = []

    def load() -> Model:
        model = Model.load(served, threads=1)
        loaded.append(fingerprint_of(model.card))
        if len(loaded) == 1:
            # between the card and the graph
            replace(served, by_fingerprint[second])
        return model

    def serve(model: Model) -> ServedModel:
        return ServedModel(model, Limits(), on_batch=lambda *_: None)

    found = open_whole(load, serve)
    found.close()
    assert found.fingerprint == second
    assert len(loaded) == 2
    with pytest.raises(RunFolderError, match="does not exist"):
        open_whole(lambda: Model.load(served / "nowhere", threads=1), serve, tries=1)


def test_a_model_that_cannot_be_watched_follows_none_that_is(
    runs: tuple[Path, dict[str, Path]], in_own_loop: Callable[..., None]
) -> None:
    served, by_fingerprint = runs
    first, second = by_fingerprint
    service = Service(
        Model.load(served, threads=1),
        Limits(),
        load=lambda: Model.load(served, threads=1),
        watch=0.01,
    )
    replace(served, by_fingerprint[second])
    drift = (served / "model" / DRIFT).rename(served / "elsewhere")
    with pytest.raises(RunFolderError, match="has no"):
        in_own_loop(service.reload())
    watch = service.served.watch
    assert service.served.fingerprint == first and watch is not None
    drift.rename(served / "model" / DRIFT)
    in_own_loop(service.reload())
    assert service.served.fingerprint == second
    # what was seen of one model says nothing about another
    assert service.served.watch is not watch
    service.close()


def test_nobody_without_a_key_may_be_let_in(run: Path) -> None:
    with pytest.raises(SettingsError, match="has none"):
        Guard(allow_reload=True)
    with pytest.raises(RuntimeError, match="without a folder"):
        service = Service(Model.load(run, threads=1), Limits())
        try:
            service._slot.reload().send(None)
        finally:
            service.close()
