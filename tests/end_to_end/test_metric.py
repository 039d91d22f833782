"""What a fit is made for decides what it answers, wherever it is asked."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as theirs
from sklearn.datasets import load_digits

import frostline
from frostline.exporting.description import answering
from frostline.fitting.run_result import RunResult
from frostline.model.prediction import Prediction

#: a clear digit, one that is often taken for it, and a rare one that is taken for both
_COUNTS = {"3": (60, 40), "8": (40, 40), "9": (12, 40)}
_COSTS = {"3": {"8": 1, "9": 1}, "8": {"3": 1, "9": 1}, "9": {"3": 8, "8": 8}}


@pytest.fixture(scope="module")
def noisy_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noisy")
    data, rng = load_digits(), np.random.default_rng(0)
    for name, counts in _COUNTS.items():
        rows = np.flatnonzero(data.target == int(name))
        parts = {"train": rows[: counts[0]], "test": rows[-counts[1] :]}
        for part, chosen in parts.items():
            (folder / part / name).mkdir(parents=True)
            for row in chosen:
                pixels = data.images[row] * 15.9 + rng.normal(scale=90.0, size=(8, 8))
                grey = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                grey.resize((64, 64)).save(folder / part / name / f"{row}.png")
    return folder


@pytest.fixture(scope="module")
def runs(
    noisy_digits: Path, tiny_network: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, RunResult]:
    folder = tmp_path_factory.mktemp("runs")

    def run(name: str, **settings: Any) -> RunResult:
        return frostline.fit(noisy_digits, folder / name, effort="fast", **tiny_network, **settings)

    return {
        "accuracy": run("plain"),
        "balanced_accuracy": run("balanced", metric="balanced_accuracy"),
        "cost": run("cost", costs=_COSTS),
    }


def _answers(run: RunResult) -> tuple[list[str], list[str]]:
    with (run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["label"] for row in rows], [row["prediction"] for row in rows]


def test_each_run_is_best_at_what_it_was_made_for(runs: dict[str, RunResult]) -> None:
    balanced = {k: theirs.balanced_accuracy_score(*_answers(run)) for k, run in runs.items()}
    assert balanced["balanced_accuracy"] > balanced["accuracy"] + 0.02

    def cost(run: RunResult) -> float:
        table: dict[str, dict[str, int]] = _COSTS
        pairs = zip(*_answers(run), strict=True)
        return float(np.mean([table[true].get(said, 0) for true, said in pairs]))

    assert cost(runs["cost"]) < cost(runs["accuracy"]) - 0.2
    assert runs["cost"].metrics["test"]["expected_cost"] == pytest.approx(cost(runs["cost"]))


def test_plan_metrics_report_and_card_name_it(runs: dict[str, RunResult]) -> None:
    for name, run in runs.items():
        assert run.plan.metric == name == run.model.card.metric
        test = json.loads((run.folder / "metrics.json").read_text())["test"]
        report = (run.folder / "report.html").read_text(encoding="utf-8")
        card = json.loads((run.folder / "model" / "model.json").read_text())
        if name == "accuracy":
            # nothing is different for those who ask for nothing
            assert "metric" not in test
            assert not {"metric", "rule"} & card.keys()
            assert card["format_version"] == 6
            continue
        assert test["metric"] == name
        assert test["metric_error"] > 0
        words = {"balanced_accuracy": "balanced accuracy", "cost": "cost saved"}[name]
        assert f"Every choice is made for {words}" in report
        assert any(words in sentence for sentence in run.plan.explanation)
    test = runs["balanced_accuracy"].metrics["test"]
    assert test["metric_score"] == pytest.approx(test["balanced_accuracy"])
    # the reliability in the report is that of what was answered
    assert sum(b["n"] * b["accuracy"] for b in test["reliability"]) / test["n"] == pytest.approx(
        test["accuracy"]
    )


@pytest.mark.slow
def test_model_and_every_export_answer_alike(
    runs: dict[str, RunResult], noisy_digits: Path, tmp_path: Path
) -> None:
    paths = sorted((noisy_digits / "test").rglob("*.png"))
    for name, run in runs.items():
        expected = dict(zip(*_named(run), strict=True))
        model = run.model
        said = [one for one in model.predict_each(paths) if isinstance(one, Prediction)]
        assert [one.label for one in said] == model.predict(paths)
        for path, one in zip(paths, said, strict=True):
            assert one.label == expected[f"test/{path.parent.name}/{path.name}"]
            place = one.classes.index(one.label)
            assert one.confidence == one.probabilities[place]
        unlikely = sum(one.label != one.top(1)[0][0] for one in said)
        assert (unlikely == 0) is (name == "accuracy")
        if name == "accuracy":
            continue
        file = tmp_path / f"{name}.onnx"
        frostline.export(run.folder, file, to="onnx")
        assert frostline.load(file).predict(paths) == model.predict(paths)
        # what a person without Frostline is told to do
        code = answering(model.card)
        if code:
            values: dict[str, Any] = {"probabilities": model.predict_proba(paths)}
            exec(code, values)
            assert [model.classes[i] for i in values["answer"]] == model.predict(paths)
        scores = frostline.evaluate(run.folder, noisy_digits / "test").scores
        assert scores.accuracy == pytest.approx(run.metrics["test"]["accuracy"])


def _named(run: RunResult) -> tuple[list[str], list[str]]:
    with (run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["path"] for row in rows], [row["prediction"] for row in rows]


def test_heads_are_chosen_by_the_metric(runs: dict[str, RunResult]) -> None:
    plan = runs["balanced_accuracy"].plan
    assert plan.evidence is not None
    for one in plan.evidence.probes:
        assert one.score is not None
        # by the rule, not by the likeliest class
        assert one.score >= one.balanced_accuracy - 1e-9
    chosen = next(c for c in plan.candidates if c.name == plan.chosen)
    assert chosen.score == plan.evidence.probe(str(plan.probe)).score
    assert plan.evidence.headroom == pytest.approx(
        1 - max(p.reached for p in (*plan.evidence.probes, plan.evidence.all_taps)), abs=0.1
    )


def test_unknown_class_in_costs_is_told_before_anything_runs(
    noisy_digits: Path, tmp_path: Path
) -> None:
    table = {**_COSTS, "33": {"3": 1}}
    with pytest.raises(frostline.FrostlineError, match="'33' is no class"):
        frostline.fit(noisy_digits, tmp_path / "run", costs=table)
    assert not (tmp_path / "run").exists()
