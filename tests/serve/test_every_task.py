"""Grades, several labels and numbers: every face says the same of an image, and the service why."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.core.task import Task
from frostline.model.model import Model
from frostline.run.feedback_log import FEEDBACK, read_feedback
from frostline.serve.app import create_app
from frostline.serve.feedback import Feedback
from frostline.serve.limits import Limits
from frostline.serve.service import Service

pytestmark = pytest.mark.slow

#: what is said of the digits 0, 1 and 4
LABELS = {"digit 0": "round", "digit 1": "straight", "digit 4": "straight;corner"}
#: the fields of `predict --json` and of the service that both have
SAME = ("label", "confidence", "unknown", "set_95", "abstain")


@dataclass(frozen=True)
class Run:
    """A fitted model, and what the four faces say of some images."""

    folder: Path
    python: list[Any]
    terminal: list[dict[str, Any]]
    service: list[dict[str, Any]]
    graph: list[dict[str, Any]]
    images: list[Path]


@pytest.fixture(scope="module")
def told(
    digits_into: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Task], Run]:
    """Return a function that fits a model of a task, once, and asks every face of it."""
    folder = tmp_path_factory.mktemp("tasks")
    digits_into(folder / "images", per_class=24)
    images = sorted((folder / "images").rglob("*.png"))
    made: dict[Task, Run] = {}

    def of(task: Task) -> Run:
        if task not in made:
            made[task] = _asked(folder, images, task)
        return made[task]

    return of


def _asked(folder: Path, images: list[Path], task: Task) -> Run:
    table = folder / f"{task}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        # with a test part nothing is fitted ten times over
        writer.writerow(["path", "split", *_columns(task)])
        for i, path in enumerate(images):
            writer.writerow([path, "train" if i % 6 else "test", *_truth(task, path)])
    settings: dict[Task, dict[str, Any]] = {
        "multilabel": {"at_most_wrong": 0.1},
        "regression": {"target": ("ink", "digit"), "task": "regression"},
        "ordinal": {"at_most_wrong": 0.1, "task": "ordinal"},
        "single": {"at_most_wrong": 0.1},
    }
    run = folder / task
    frostline.fit(table, run, effort="fast", input_size="96", **settings[task])
    shown = images[::9]
    model = Model.load(run, threads=1)
    arguments = ["predict", str(run), *map(str, shown), "--json"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    with TestClient(create_app(Service(model, Limits()), None)) as client:
        files = [("files", (path.name, path.read_bytes())) for path in shown]
        service = client.post("/predict", files=files).json()["results"]
    session = onnxruntime.InferenceSession(run / "model" / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    graph = []
    for path in shown:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        graph.append(dict(zip(names, session.run(None, {"image": pixels}), strict=True)))
    python = list(model.predict_each(shown))
    return Run(run, python, json.loads(answer.stdout), service, graph, shown)


def _columns(task: Task) -> list[str]:
    return {"multilabel": ["labels"], "regression": ["ink", "digit"]}.get(task, ["label"])


def _truth(task: Task, path: Path) -> list[str]:
    name = path.parent.name
    if task == "multilabel":
        return [LABELS[name]]
    number = name.removeprefix("digit ")
    if task == "regression":
        return [f"{np.asarray(Image.open(path)).mean():.2f}", number]
    return [number]


@pytest.mark.parametrize("task", ["single", "ordinal"])
def test_classes_and_grades_are_told_alike_by_every_face(
    told: Callable[[Task], Run], task: Task
) -> None:
    run = told(task)
    for one, written, sent, graph in zip(
        run.python, run.terminal, run.service, run.graph, strict=True
    ):
        names = one.classes
        assert [written[name] for name in SAME] == [sent[name] for name in SAME]
        assert (written["label"], written["confidence"]) == (one.label, one.confidence)
        assert one.set_95 == tuple(written["set_95"])
        assert one.abstain == written["abstain"] == bool(graph["abstain"][0])
        assert sent["probabilities"] == written["probabilities"]
        np.testing.assert_allclose(graph["probabilities"][0], one.probabilities, atol=2e-3)
        assert {names[i] for i in np.flatnonzero(graph["set_95"][0])} == set(one.set_95)


def test_labels_are_told_alike_by_every_face(told: Callable[[Task], Run]) -> None:
    run = told("multilabel")
    states = {(True, False): "absent", (False, True): "present", (True, True): "either"}
    thresholds = json.loads((run.folder / "model" / "model.json").read_text())["rule"]["thresholds"]
    for one, written, sent, graph in zip(
        run.python, run.terminal, run.service, run.graph, strict=True
    ):
        assert [written[name] for name in SAME] == [sent[name] for name in SAME]
        assert list(one.labels) == written["labels"] == sent["labels"]
        assert one.set_95 == written["set_95"]
        assert list(one.abstain) == written["abstain"]
        found = graph["probabilities"][0]
        np.testing.assert_allclose(found, one.probabilities, atol=2e-3)
        given = [name for name, p, t in zip(one.classes, found, thresholds, strict=True) if p >= t]
        assert given == written["labels"]
        sets = [states[bool(absent), bool(present)] for absent, present in graph["set_95"][0]]
        assert dict(zip(one.classes, sets, strict=True)) == one.set_95
        unsure = [one.classes[i] for i in np.flatnonzero(graph["abstain"][0])]
        assert unsure == written["abstain"]


def test_numbers_are_told_alike_by_every_face(told: Callable[[Task], Run]) -> None:
    run = told("regression")
    for one, written, sent, graph in zip(
        run.python, run.terminal, run.service, run.graph, strict=True
    ):
        assert written["value"] == sent["value"] == dict(zip(one.classes, one.value, strict=True))
        assert written["interval"] == sent["interval"]
        ends = dict(zip(one.classes, map(list, one.interval), strict=True))
        assert written["interval"] == ends
        # images that are not prepared yet are resized in the graph, a grey level off here and there
        np.testing.assert_allclose(graph["values"][0], one.value, rtol=1e-2, atol=0.01)
        reach = np.diff(graph["interval"][0])[:, 0]
        np.testing.assert_allclose(reach, np.diff(list(one.interval))[:, 0], rtol=1e-5)
        np.testing.assert_allclose(graph["interval"][0].mean(1), graph["values"][0], rtol=1e-4)


@pytest.mark.parametrize("task", ["multilabel", "regression", "ordinal"])
def test_the_service_shows_why_for_every_task(told: Callable[[Task], Run], task: Task) -> None:
    run = told(task)
    model = Model.load(run.folder, threads=1)
    last = model.classes[-1]
    with TestClient(create_app(Service(model, Limits()), None)) as client:
        files = [("files", (run.images[-1].name, run.images[-1].read_bytes()))]
        own = client.post("/explain", files=files).json()
        asked = client.post("/explain", files=files, data={"label": last}).json()
        wrong = client.post("/explain", files=files, data={"label": "x"}).json()["error"]
    assert own["label"] in model.classes
    assert asked["label"] == last
    if task == "regression":
        assert own["probability"] is None
        assert asked["value"] == run.service[-1]["value"][last]
        # digits are drawn in the middle: what is blurred there changes how much ink there is
        heat = np.abs(np.array(own["heat"]))
        assert heat[4:8, 4:8].mean() > 1.3 * heat[[0, -1]].mean()
    else:
        assert own["value"] is None
        assert asked["probability"] == run.service[-1]["probabilities"][last]
    if task == "multilabel":
        likeliest = max(run.service[-1]["labels"], key=run.service[-1]["probabilities"].get)
        assert own["label"] == likeliest
    word = {"multilabel": "label", "regression": "column of numbers", "ordinal": "grade"}[task]
    assert wrong["what"].startswith(f"the model has no {word} 'x'")


@pytest.mark.parametrize(
    ("task", "right", "slip", "words"),
    [
        ("multilabel", "?corner;round", "rund", "Did you mean 'round'"),
        ("regression", "1.5;?", "1.5", "has 1 numbers"),
        ("ordinal", "1", "one", "no grade 'one'"),
    ],
)
def test_people_say_what_is_right_for_every_task(
    told: Callable[[Task], Run], tmp_path: Path, task: Task, right: str, slip: str, words: str
) -> None:
    run = told(task)
    # a four, which is neither round nor a one
    image = run.images[-1]
    feedback = Feedback(tmp_path, Limits())
    service = Service(Model.load(run.folder, threads=1), Limits(), feedback=feedback)
    with TestClient(create_app(service, None)) as client:
        files = [("files", (image.name, image.read_bytes()))]
        kept = client.post("/feedback", files=files, data={"label": right}).json()
        agreed = client.post("/feedback", files=files, data={"label": kept["predicted"]}).json()
        refused = client.post("/feedback", files=files, data={"label": slip})
        state = client.get("/state.json").json()
    assert (kept["predicted"], kept["label"]) == (run.service[-1]["label"], right)
    assert (kept["wrong"], agreed["wrong"]) == (True, False)
    assert refused.status_code == 422 and words in refused.json()["error"]["what"]
    # the latest word counts
    assert (state["whole"]["judged"], state["whole"]["wrong"]) == (1, 0)
    assert len(read_feedback(tmp_path / FEEDBACK)) == 2


def test_the_terminal_has_columns_for_what_is_predicted(told: Callable[[Task], Run]) -> None:
    said = {}
    for task in ("multilabel", "regression"):
        run = told(task)
        answer = CliRunner().invoke(app, ["predict", str(run.folder), str(run.images[-1])])
        said[task] = answer.output
    assert "confidence" not in said["multilabel"]
    assert "labels" in said["multilabel"]
    assert "confidence" not in said["regression"]
    assert "label" not in said["regression"].splitlines()[0]
    assert "ink" in said["regression"].splitlines()[0]
    assert " to " in said["regression"]


def test_shares_of_classes_are_refused_where_there_are_none(told: Callable[[Task], Run]) -> None:
    run = told("multilabel")
    image = str(run.images[0])
    answer = CliRunner().invoke(app, ["predict", str(run.folder), image, "--shares", "round=0.5"])
    assert answer.exit_code == 2
    assert "one class an image" in answer.output
