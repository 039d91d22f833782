"""What people say of answers: checked, kept on the disk line by line, counted, and bounded."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from frostline.core.errors import InputError
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.run.feedback_log import (
    FEEDBACK,
    FeedbackEntry,
    FeedbackFullError,
    FeedbackLog,
    Picture,
    read_feedback,
)
from frostline.serve.access_control import Guard
from frostline.serve.answer_counts import AnswerCounts
from frostline.serve.app import create_app
from frostline.serve.corrections import read_correction
from frostline.serve.feedback import Feedback
from frostline.serve.limits import Limits
from frostline.serve.problem_details import RequestError
from frostline.serve.service import Service

if TYPE_CHECKING:
    from tests.serve.conftest import MakeParts

Telling = Callable[..., AbstractContextManager[TestClient]]
RELEASED = Path(__file__).parents[1] / "model" / "released"


@pytest.fixture
def telling(model: Model, tmp_path: Path) -> Telling:
    """Return a context manager: a client of a service that takes feedback into a folder."""

    @contextmanager
    def serve(
        *, keeps_images: bool = False, key: str | None = None, **limits: Any
    ) -> Iterator[Any]:
        bounds = Limits(**limits)
        feedback = Feedback(tmp_path / "kept", bounds, keeps_images=keeps_images)
        app = create_app(Service(model, bounds, feedback=feedback), Guard(api_key=key))
        with TestClient(app) as client:
            yield client

    return serve


def entry(digest: str = "d", label: str = "a") -> FeedbackEntry:
    return FeedbackEntry("2026-01-01T00:00:00+00:00", "m", digest, "b", label, label != "b", 0.5)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FEEDBACK).read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_a_correction_is_kept_with_what_the_model_said_and_without_the_image(
    telling: Telling, model: Model, digits: list[Path], parts: MakeParts, tmp_path: Path
) -> None:
    image = digits[-1]
    with telling() as client:
        said = client.post("/predict", files=parts(image)).json()
        data = {"label": "digit 1", "model": said["model"]}
        answer = client.post("/feedback", files=parts(image), data=data)
        assert answer.status_code == 200
        again = client.post("/feedback", files=parts(image), data={"label": ""})
    assert said["model"] == model.card.checksum
    kept = lines(tmp_path / "kept")
    assert kept == [answer.json(), again.json()]
    first = kept[0]
    assert first["digest"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert (first["predicted"], first["label"], first["wrong"]) == ("digit 4", "digit 1", True)
    assert first["confidence"] == said["results"][0]["confidence"]
    assert first["model"] == model.card.checksum
    assert (kept[1]["label"], kept[1]["wrong"]) == ("", True)
    # neither the picture nor its name
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [FEEDBACK]
    assert image.name not in (tmp_path / "kept" / FEEDBACK).read_text("utf-8")


@pytest.mark.slow
def test_images_are_kept_only_when_told(
    telling: Telling, digits: list[Path], parts: MakeParts, tmp_path: Path
) -> None:
    with telling(keeps_images=True) as client:
        for _ in range(2):
            files, data = parts(digits[0]), {"label": "digit 1"}
            assert client.post("/feedback", files=files, data=data).status_code == 200
        assert "frostline_upload_bytes 0.0" in client.get("/metrics").text
    digest = hashlib.sha256(digits[0].read_bytes()).hexdigest()
    assert [one["image"] for one in lines(tmp_path / "kept")] == [f"images/{digest}.png"] * 2
    kept = list((tmp_path / "kept" / "images").iterdir())
    assert [path.read_bytes() for path in kept] == [digits[0].read_bytes()]


@pytest.mark.slow
def test_what_the_model_cannot_say_is_refused_and_nothing_is_kept(
    telling: Telling, digits: list[Path], parts: MakeParts, tmp_path: Path
) -> None:
    image = parts(digits[0])
    with telling(key="k") as client:
        assert client.post("/feedback", files=image, data={"label": "digit 1"}).status_code == 401
        for files, data, status, kind in (
            (image, {"label": "digit 11"}, 422, "unknown_label"),
            (image, {}, 422, "no_label"),
            (image, {"label": "digit 1", "labell": "x"}, 422, "wrong_field"),
            (image, {"label": "digit 1", "model": "0" * 64}, 409, "another_model"),
            (image * 2, {"label": "digit 1"}, 422, "too_many_files"),
            (parts(("x.png", b"no image")), {"label": "digit 1"}, 422, "not_an_image"),
            (image, {"label": "d" * 2000}, 413, "text_too_long"),
        ):
            answer = client.post("/feedback", files=files, data=data, headers={"X-API-Key": "k"})
            assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)
            if kind == "unknown_label":
                assert "Did you mean 'digit 1'" in answer.json()["error"]["what"]
        assert client.post("/feedback", json={}, headers={"X-API-Key": "k"}).status_code == 415
    assert (tmp_path / "kept" / FEEDBACK).read_bytes() == b""


@pytest.mark.slow
def test_it_is_off_unless_asked_for(
    client: TestClient, digits: list[Path], parts: MakeParts
) -> None:
    answer = client.post("/feedback", files=parts(digits[0]), data={"label": "digit 1"})
    assert answer.status_code == 404
    assert client.post("/reload").status_code == 404
    paths = client.get("/openapi.json").json()["paths"]
    assert not {"/feedback", "/reload"} & paths.keys()
    assert 'class="wrong"' not in client.get("/").text
    assert client.get("/state.json").json()["feedback"] is None


@pytest.mark.slow
def test_new_feedback_is_refused_where_the_bound_is_reached(
    telling: Telling, digits: list[Path], parts: MakeParts, tmp_path: Path
) -> None:
    with telling(max_feedback=2) as client:
        data = {"label": "digit 1"}
        sent = [client.post("/feedback", files=parts(one), data=data) for one in digits[:3]]
        assert [one.status_code for one in sent] == [200, 200, 507]
        assert sent[-1].json()["error"]["kind"] == "feedback_full"
        assert client.get("/state.json").json()["feedback"] == {
            "entries": 2,
            "max_entries": 2,
            "keeps_images": False,
        }
        # what is moved away makes room
        (tmp_path / "kept" / FEEDBACK).rename(tmp_path / "taken.jsonl")
        assert client.post("/feedback", files=parts(digits[3]), data=data).status_code == 200
    assert len(read_feedback(tmp_path / "taken.jsonl")) == 2


@pytest.mark.slow
def test_shares_called_wrong_are_counted_by_answer_once_a_picture(
    telling: Telling, digits: list[Path], parts: MakeParts
) -> None:
    zeros, fours = digits[:4], digits[-4:]
    with telling() as client:
        client.post("/predict", files=parts(*zeros, *fours))
        for _ in range(2):
            client.post("/feedback", files=parts(fours[0]), data={"label": "digit 0"})
        client.post("/feedback", files=parts(zeros[0]), data={"label": "digit 0"})
        state = client.get("/state.json").json()
        text = client.get("/metrics").text
    whole, four = state["whole"], state["by_answer"]["digit 4"]
    assert (whole["answers"], whole["judged"], whole["wrong"], whole["share"]) == (8, 2, 1, 0.125)
    assert whole["interval"][0] < 0.125 < whole["interval"][1]
    assert (four["answers"], four["wrong"], four["share"]) == (4, 1, 0.25)
    assert next(iter(state["by_answer"])) == "digit 4"
    assert 'frostline_answers_total{answer="digit 4"} 4.0' in text
    assert 'frostline_feedback_total{answer="digit 4",called="wrong"} 1.0' in text
    assert 'frostline_feedback_total{answer="digit 0",called="right"} 1.0' in text
    assert 'frostline_called_wrong_share{answer="digit 4"} 0.25' in text


def test_a_thousand_classes_share_a_hundred_names() -> None:
    card = Model.load(RELEASED / "format-5", threads=1).card
    names = tuple(f"class {i}" for i in range(1000))
    counts = AnswerCounts(card.model_copy(update={"classes": names}))
    for name in names:
        said = Prediction("x", name, 0.5, np.zeros(1000), names)
        counts.answered(said)
        counts.judged(name, said, wrong=True, outputs=())
    found = counts.by_answer()
    assert len(found) == 101
    assert found["(other)"].answers == found["(other)"].wrong == 900


def test_a_line_that_was_cut_off_is_ended_and_passed_over(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path, max_entries=10, max_bytes=10_000)
    log.append(entry("first"))
    with log.path.open("ab") as stream:
        stream.write(entry("cut off").to_line()[:30])
    log.append(entry("second", label="with \N{SNOWMAN} and\nnew line"))
    assert [one.digest for one in read_feedback(log.path)] == ["first", "second"]
    assert read_feedback(log.path)[1].label == "with \N{SNOWMAN} and\nnew line"


def test_bytes_are_bounded_with_pictures_and_a_full_disk_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = FeedbackLog(tmp_path, max_entries=10, max_bytes=5_000)
    assert log.append(entry("one"), Picture(bytes(3_000), ".png")).image == "images/one.png"
    with pytest.raises(FeedbackFullError, match="3,"):
        log.append(entry("two"), Picture(bytes(3_000), ".png"))
    # the picture is there already
    log.append(entry("one"), Picture(bytes(3_000), ".png"))
    real, before = os.write, log.path.read_bytes()
    monkeypatch.setattr(os, "write", lambda handle, line: real(handle, line[:10]))
    with pytest.raises(InputError, match="the disk is full"):
        log.append(entry("three"))
    assert log.path.read_bytes() == before
    assert not (tmp_path / "images" / "two.png").exists()


_WRITER = """
import sys
from pathlib import Path
from frostline.run.feedback_log import FeedbackEntry, FeedbackLog
log = FeedbackLog(Path(sys.argv[1]), max_entries=100_000, max_bytes=10**9)
for i in range(int(sys.argv[3])):
    word = f"{sys.argv[2]}-{i}"
    log.append(FeedbackEntry("t", "m", word, "b", "a" * 300, True, 0.5))
    print(word, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_acknowledged_survives_any_end(tmp_path: Path) -> None:
    acknowledged = []
    for turn in range(3):
        process = writer(tmp_path, str(turn), 100_000)
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(0.01 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # a last word may be cut off in the pipe
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.stdout.close()
    kept = [one.digest for one in read_feedback(tmp_path / FEEDBACK)]
    assert len(acknowledged) > 3
    assert set(acknowledged) <= set(kept)
    assert len(kept) <= len(acknowledged) + 3


def test_several_processes_and_threads_write_whole_lines(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path, max_entries=100_000, max_bytes=10**9)
    others = [writer(tmp_path, name, 40) for name in "ab"]

    def write(name: str) -> None:
        for i in range(40):
            log.append(entry(f"{name}-{i}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "cd"]
    for thread in threads:
        thread.start()
    for other in others:
        other.communicate(timeout=60)
    for thread in threads:
        thread.join()
    content = (tmp_path / FEEDBACK).read_bytes()
    assert content.count(b"\n") == len(read_feedback(tmp_path / FEEDBACK)) == len(log) == 160


@pytest.mark.parametrize(
    ("text", "label", "wrong", "outputs"),
    [
        ("b", "b", True, {"a"}),
        ("a; b", "a;b", True, set()),
        ("a", "a", False, set()),
        ("", "", True, {"a"}),
        ("a;?b", "a;?b", False, set()),
    ],
)
def test_labels_are_compared_one_by_one(
    text: str, label: str, wrong: bool, outputs: set[str]
) -> None:
    names = ("a", "b", "c")
    card = Model.load(RELEASED / "format-5", threads=1).card
    card = card.model_copy(update={"task": "multilabel", "classes": names})
    said = Prediction("x", "a", 0.9, np.array([0.9, 0.1, 0.1]), names, labels=("a",))
    found = read_correction(text, card, said)
    assert (found.label, found.wrong, set(found.outputs)) == (label, wrong, outputs)
    with pytest.raises(RequestError, match="no label 'x'"):
        read_correction("a;x", card, said)


def test_numbers_are_checked_column_by_column() -> None:
    card = Model.load(RELEASED / "format-5", threads=1).card
    card = card.model_copy(update={"task": "regression", "classes": ("ink", "digit")})
    said = Prediction("x", "1.5;2", float("nan"), np.array([1.5, 2.0]), ("ink", "digit"))
    assert read_correction("1.5;2", card, said).wrong is False
    found = read_correction("?; 3", card, said)
    assert (found.label, found.wrong) == ("?;3", True)
    for text, words in (("1", "has 1 numbers"), ("1;x", "is no number"), ("inf;1", "no number")):
        with pytest.raises(RequestError, match=words):
            read_correction(text, card, said)
    with pytest.raises(RequestError, match="tells nothing"):
        read_correction("?;?", card, said)
