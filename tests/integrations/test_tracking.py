"""The numbers of a run arrive in TensorBoard and MLflow."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from frostline.core.actions import TapsHead
from frostline.core.errors import MissingExtraError, RunFolderError, SettingsError
from frostline.core.plan import Plan
from frostline.integrations.tracking import check_tracker, log_run
from frostline.integrations.tracking.log import numbers_of

pytestmark = pytest.mark.slow

SCORES = {"accuracy": 0.75, "balanced_accuracy": 0.7, "macro_f1": 0.7, "nll": 0.5, "ece": 0.1}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As much of a run folder as is read, with two epochs."""
    history = [
        {
            "epoch": 0,
            "train_loss": None,
            "val_nll": 0.9,
            "val_accuracy": 0.5,
            "learning_rate": None,
        },
        {"epoch": 1, "train_loss": 0.7, "val_nll": 0.4, "val_accuracy": 0.8, "learning_rate": 1e-3},
    ]
    test = {
        "method": "held-out",
        "n": 8,
        "accuracy": 0.75,
        "accuracy_interval": [0.4, 0.9],
        "balanced_accuracy": 0.7,
        "balanced_accuracy_interval": [0.3, 0.9],
        "macro_f1": 0.7,
        "nll": 0.5,
        "brier": 0.3,
        "ece": 0.1,
    }
    metrics = {"n_train": 9, "n_test": 8, "frozen_verified": True}
    plan = Plan(
        case=3, strategy="auto", chosen="finetune", backbone="x", cut=None, removed=[], frozen=[],
        trained=["a"], new=["head"], seed=0, action=TapsHead(taps=["a"]),
    )  # fmt: skip
    files: dict[str, Any] = {
        "metrics.json": {"history": history, "test": test, **metrics},
        "plan.json": json.loads(plan.to_json()),
        "settings.json": {"seed": 0, "effort": "fast", "plan": {"kind": "full"}, "budget": None},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_what_is_told(run: Path) -> None:
    numbers = numbers_of(run)
    assert numbers.epochs[0] == (0, {"val_nll": 0.9, "val_accuracy": 0.5})
    assert numbers.epochs[1][1]["learning_rate"] == 1e-3
    assert numbers.test == SCORES
    assert numbers.settings["chosen"] == "finetune"
    assert "plan" not in numbers.settings


def test_a_task_tells_its_own_scores(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    own = {"mean_average_precision": 0.8, "micro_f1": 0.7, "macro_f1": 0.6, "exact_match": 0.5}
    numbers = {"r2": 0.4, "mae": 12.5}
    for scores in (own, numbers):
        metrics["test"] = {"method": "held-out", "n": 8, **scores}
        (run / "metrics.json").write_text(json.dumps(metrics))
        assert numbers_of(run).test == scores


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'mlflow'"):
        check_tracker("mlflw")
    with pytest.raises(RunFolderError, match="no finished run"):
        numbers_of(tmp_path)
    for name in ("metrics.json", "plan.json", "settings.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(RunFolderError, match="damaged or of another version"):
        numbers_of(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'frostline\[tensorboard\]'"):
        check_tracker("tensorboard")


def test_tensorboard(run: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        # a second time takes the place of the first
        assert str(run / "tensorboard") in log_run(run, "tensorboard")
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("training/val_nll")] == [0, 1]
    assert [round(e.value, 6) for e in events.Scalars("training/train_loss")] == [0.7]
    assert [round(e.value, 6) for e in events.Scalars("test/accuracy")] == [0.75]


def test_mlflow(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in: what is called, in MLflow's own names."""
    said: list[tuple[Any, ...]] = []
    fake: Any = ModuleType("mlflow")

    @contextmanager
    def start_run(run_name: str) -> Any:
        said.append(("run", run_name))
        yield SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    fake.start_run = start_run
    fake.log_params = lambda values: said.append(("params", values))
    fake.log_metrics = lambda values, step=None: said.append(("metrics", values, step))
    fake.log_artifact = lambda path: said.append(("file", Path(path).name))
    fake.get_tracking_uri = lambda: "file:/tracked"
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.delitem(sys.modules, "frostline.integrations.tracking.to_mlflow", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert log_run(run, "mlflow") == "MLflow run r1 at file:/tracked"
    assert said[0] == ("run", run.name)
    assert said[1][1]["effort"] == "fast"
    assert ("metrics", {"val_nll": 0.9, "val_accuracy": 0.5}, 0) in said
    assert ("metrics", {f"test_{name}": value for name, value in SCORES.items()}, None) in said
    assert ("file", "metrics.json") in said
