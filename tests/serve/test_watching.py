"""A service that watches: state, metrics and page say when pictures are something else."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from starlette.testclient import TestClient

from frostline.core.errors import RunFolderError
from frostline.fitting.run_result import RunResult
from frostline.model.model import Model
from frostline.model_format.drift_file import DRIFT
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service
from frostline.serve.watching import StreamWatch


@pytest.fixture
def client(fast_run: RunResult) -> Iterator[TestClient]:
    service = Service(Model.load(fast_run.folder, threads=1), Limits(), watch=0.05)
    with TestClient(create_app(service)) as client:
        yield client


def png(row: int, *, inverted: bool = False) -> bytes:
    grey = Image.fromarray((load_digits().images[row] * 15.9).astype(np.uint8)).resize((64, 64))
    buffer = io.BytesIO()
    (ImageOps.invert(grey) if inverted else grey).save(buffer, "PNG")
    return buffer.getvalue()


def ask(client: TestClient, *contents: bytes) -> None:
    for content in contents:
        found = client.post("/predict", files={"files": ("a.png", content, "image/png")})
        assert found.status_code == 200, found.text


def metric(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))


def test_a_changed_camera_raises_the_alarm(client: TestClient) -> None:
    # handwritten 0, 1 and 4 taught; the same picture twice is one
    ask(client, png(0), png(0), png(1))
    assert metric(client, "frostline_watch_images_total") == 2
    assert metric(client, "frostline_watch_alarm") == 0
    ask(client, *(png(row, inverted=True) for row in range(60)))
    state = client.get("/state.json").json()["watch"]
    assert state["pictures"] == 62
    assert state["alarm_at"] is not None
    assert state["onset"] == "early"
    assert state["strongest"] >= state["needed"]
    assert metric(client, "frostline_watch_alarm") == 1
    assert metric(client, 'frostline_watch_onset{end="early"}') == 1
    assert metric(client, "frostline_watch_unknown_images_total") == state["unknown"]
    depths = [one["name"] for one in state["depths"]]
    for name in depths:
        assert metric(client, f'frostline_watch_drift{{depth="{name}"}}') > 0


def test_answers_are_those_of_a_service_that_does_not_watch(
    client: TestClient, fast_run: RunResult
) -> None:
    service = Service(Model.load(fast_run.folder, threads=1), Limits())
    with TestClient(create_app(service)) as plain:
        assert plain.get("/state.json").json()["watch"] is None
        assert "frostline_watch" not in plain.get("/metrics").text
        for row in range(3):
            files = {"files": ("a.png", png(row), "image/png")}
            one, two = (c.post("/predict", files=files).json() for c in (client, plain))
            first, second = (found["results"][0]["probabilities"] for found in (one, two))
            assert first == pytest.approx(second, abs=1e-5)


def test_an_older_model_cannot_be_watched(fast_run: RunResult, tmp_path: Path) -> None:
    shutil.copytree(fast_run.folder / "model", tmp_path / "model")
    (tmp_path / "model" / DRIFT).unlink()
    with pytest.raises(RunFolderError, match="has no drift"):
        StreamWatch(Model.load(tmp_path / "model", threads=1), false_alarms=0.01)
