"""A run that dies again and again, wherever it hurts, ends with the bits of an undisturbed one."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import frostline
from frostline.core.progress import NullProgress, Task
from frostline.run import run_folder
from tests.end_to_end.dying import Point, dying, renaming_to
from tests.end_to_end.twins import outcome

pytestmark = pytest.mark.slow


class Listener(NullProgress):
    """Remembers what was worked on."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        self.labels.append(label)
        return super().task(label, total)


#: from the first file of a run to the last
POINTS: list[tuple[str, Point]] = [
    ("settings", renaming_to("settings.json")),
    ("the second epoch", renaming_to("checkpoints/state.json", times=2)),
    ("training of a fold", renaming_to("folds/1/state.json", times=2)),
    ("model card", renaming_to("model.json")),
    ("metrics", renaming_to("metrics.json")),
]


def test_a_run_that_is_killed_at_every_step_ends_with_the_same_bits(
    tiny: dict[str, Any], undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    for name, point in POINTS:
        with dying(point):
            frostline.fit(undisturbed.images, run, **tiny)
        final = [p.name for p in run.rglob("*") if p.is_file() and not p.name.startswith(".")]
        assert "metrics.json" not in final, name
        assert ("model.json" in final) == (name == "metrics"), name
        if name == "training of a fold":
            state = json.loads((run / "checkpoints" / "state.json").read_text())
            assert state["finished"]
            assert (run / "checkpoints" / "folds" / "0" / "state.json").exists()
    # the last death was so late that nothing is trained again
    listener = Listener()
    result = frostline.fit(undisturbed.images, run, **tiny, progress=listener)
    assert "cross-validation" in listener.labels
    assert not [la for la in listener.labels if la.startswith(("Training", "frozen layers"))]
    assert outcome(run) == undisturbed.outcome
    assert result.metrics["images_computed"] == 0
    assert not list(run.rglob(".*"))
    assert {path.name for path in run.iterdir()} <= set(run_folder.OURS)
    assert not (run / "checkpoints").exists()
