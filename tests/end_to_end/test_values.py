"""A fit of several labels, and of numbers, from the images to predictions of the model folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from starlette.testclient import TestClient
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.fitting.run_result import RunResult
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service

NAN = float("nan")
#: images
N = 120
#: what an evaluation says of labels, and of numbers
SAID = {
    "even,loop,large": ("Mean", "F1 of all labels together", "label with it known", "loop"),
    "across": ("R2", "Mean absolute error", "column images R2", "across 30"),
}


def labels_of(digit: int, row: int) -> tuple[float, ...]:
    """Even, with a loop, large; of one image in five nobody knows whether it is large."""
    large = NAN if row % 5 == 0 else float(digit >= 7)
    return (float(digit % 2 == 0), float(digit in (0, 6, 8, 9)), large)


def numbers_of(row: int) -> float:
    """Where its ink lies across, in hundreds of pixels."""
    pixels = load_digits().images[row]
    return 100.0 * float((pixels.sum(axis=0) @ np.arange(8.0)) / pixels.sum())


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, with a column for each label, empty where nobody knows, and one of numbers."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    with (folder / "digits.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "even", "loop", "large", "across"])
        for row in range(N):
            grey = Image.fromarray((data.images[row] * 15.9).astype(np.uint8))
            grey.resize((64, 64)).save(folder / f"{row}.png")
            labels = labels_of(int(data.target[row]), row)
            told = ["" if np.isnan(one) else int(one) for one in labels]
            part = "test" if row % 4 == 3 else "train"
            writer.writerow([f"{row}.png", part, *told, numbers_of(row)])
    return folder / "digits.csv"


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunResult]:
    runs: dict[str, RunResult] = {}

    def fit(target: str) -> RunResult:
        if target not in runs:
            folder = tmp_path_factory.mktemp("runs")
            runs[target] = frostline.fit(
                table, folder / "run", target=target, effort="fast", input_size="64", threads=1
            )
        return runs[target]

    return fit


def kept(run: RunResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "metrics.json").read_text())
    return found


def lines(run: RunResult) -> list[dict[str, str]]:
    with (run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_labels_are_fitted_judged_and_predicted(
    fitted: Callable[[str], RunResult], table: Path
) -> None:
    run = fitted("even,loop,large")
    test = kept(run)["test"]
    assert test["mean_average_precision"] > 0.8
    low, high = test["mean_average_precision_interval"]
    assert low < test["mean_average_precision"] < high
    assert {row["class"] for row in test["per_class"]} == {"even", "loop", "large"}
    judged = range(3, N, 4)
    assert test["n_known"] == 3 * len(judged) - sum(row % 5 == 0 for row in judged)
    assert test["metric"] == "log_loss"
    assert test["metric_score"] > 0.2
    model = run.model
    images = [table.parent / f"{row}.png" for row in range(20)]
    p = model.predict_proba(images)
    assert p.shape == (20, 3)
    assert np.all((p > 0) & (p < 1))
    # several labels an image do not sum to 1
    assert np.ptp(p.sum(axis=1)) > 0.3
    assert len(model.card.rule.thresholds) == 3
    decided = model.card.decide(p)
    said = [
        ";".join(name for name, own in zip(model.classes, row, strict=True) if own)
        for row in decided
    ]
    assert model.predict(images) == said
    for one, text in zip(model.predict_each(images), said, strict=True):
        assert isinstance(one, Prediction)
        assert one.labels == tuple(text.split(";") if text else ())
        assert one.value is None
        assert isinstance(one.set_95, dict)
        assert set(one.set_95) == set(model.classes)
        # what is decided is never ruled out
        assert all(one.set_95[name] in ("present", "either") for name in one.labels)
        assert one.abstain is None
    sets = {row["label"]: row for row in kept(run)["label_sets"]}
    assert sets["even"]["scoring"] == "cross"
    assert sets["even"]["n_images"] == N - len(judged)
    assert sum(sets["even"]["sizes"]) == len(judged)
    assert sets["large"]["n_images"] < sets["even"]["n_images"]
    bold = ["predict", str(run.folder), *map(str, images), "--at-most-wrong", "0.05"]
    told = json.loads(CliRunner().invoke(app, [*bold, "--json"]).stdout)
    assert told[0]["set_95"] == next(iter(model.predict_each(images[:1]))).set_95  # type: ignore[union-attr]
    assert all(set(row["abstain"]) <= set(model.classes) for row in told)
    never = CliRunner().invoke(app, [*bold[:3], "--at-most-wrong", "0.0001"])
    assert never.exit_code == 2
    assert "cannot be kept for any label" in " ".join(never.output.split())
    table_rows = list(csv.DictReader(CliRunner().invoke(app, [*bold, "--csv"]).stdout.splitlines()))
    assert [json.loads(row["abstain"]) for row in table_rows] == [row["abstain"] for row in told]
    written = {line["path"]: line for line in lines(run)}
    assert any("?large" in line["label"] for line in written.values())
    assert (run.folder / "report.html").stat().st_size > 10_000


def test_numbers_are_fitted_judged_and_predicted(
    fitted: Callable[[str], RunResult], table: Path
) -> None:
    run = fitted("across")
    test = kept(run)["test"]
    assert test["r2"] > 0.3
    assert test["r2_interval"][0] < test["r2"] < test["r2_interval"][1]
    assert test["metric"] == "r2"
    assert test["metric_score"] == pytest.approx(test["r2"], abs=0.02)
    assert [row["column"] for row in test["per_column"]] == ["across"]
    images = [table.parent / f"{row}.png" for row in range(40)]
    found = run.model.predict_proba(images)[:, 0]
    truth = np.array([numbers_of(int(image.stem)) for image in images])
    assert np.corrcoef(found, truth)[0, 1] > 0.8
    assert np.abs(found - truth).mean() < 2 * test["mae"]
    assert float(lines(run)[0]["prediction"]) > 100.0
    done = CliRunner().invoke(app, ["predict", str(run.folder), str(images[0]), "--json"])
    (told,) = json.loads(done.stdout)
    assert told["value"] == pytest.approx(found[0])
    assert told["confidence"] is None
    (own,) = kept(run)["intervals"]
    assert (own["column"], own["n_images"], own["scoring"]) == ("across", 90, "cross")
    low, high = told["interval"]
    assert high - told["value"] == pytest.approx(own["radius"])
    assert told["value"] - low == pytest.approx(own["radius"])
    # of 30 judged images
    assert 0.7 < own["coverage"] <= 1.0
    assert "probabilities" not in told
    files = [("files", (images[0].name, images[0].read_bytes(), "image/png"))]
    with TestClient(create_app(Service(run.model, Limits()), None)) as client:
        (served,) = client.post("/predict", files=files).json()["results"]
    assert served["value"]["across"] == pytest.approx(found[0], rel=1e-5)
    assert served["interval"]["across"] == pytest.approx([low, high], rel=1e-5)
    assert (served["confidence"], served["probabilities"], served["labels"]) == (None, {}, None)
    assert "variance explained" in (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["even,loop,large", "across"])
def test_they_are_judged_elsewhere_and_exported(
    target: str, fitted: Callable[[str], RunResult], table: Path, tmp_path: Path
) -> None:
    run = fitted(target)
    # images in other bytes are others
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:30]
    for row in rows:
        name = f"other-{row['path']}"
        Image.open(table.parent / row["path"]).save(tmp_path / name, compress_level=0)
        row["path"] = name
    with (tmp_path / "others.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = frostline.evaluate(run.folder, tmp_path / "others.csv").to_json()
    assert found["n"] == 30
    if target == "across":
        (own,) = found["intervals"]
        assert own["coverage"] > 0.6
        # most of these images taught, so that they are nearer than left-out ones
        assert own["radius"] == kept(run)["intervals"][0]["radius"]
    else:
        assert [row["label"] for row in found["label_sets"]] == target.split(",")
        assert all(row["coverage"] > 0.8 for row in found["label_sets"])
    assert found["r2" if target == "across" else "mean_average_precision"] > 0.8
    exported = frostline.export(run.folder, tmp_path / "model.onnx")
    images = [tmp_path / row["path"] for row in rows]
    again = Model.load(exported.path)
    assert again.card.task == run.model.card.task
    np.testing.assert_allclose(
        again.predict_proba(images), run.model.predict_proba(images), rtol=1e-5, atol=1e-5
    )
    done = CliRunner().invoke(app, ["evaluate", str(run.folder), str(tmp_path / "others.csv")])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    for words in SAID[target]:
        assert words in said, said
    assert "nan" not in said.lower()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "strategy"), [("even,loop,large", "cut"), ("across", "full"), ("across", "finetune")]
)
def test_layers_train_for_labels_and_numbers(
    target: str,
    strategy: str,
    table: Path,
    tiny: dict[str, Any],
    tmp_path: Path,
) -> None:
    asked = {**tiny, "strategy": strategy, "target": target, "epochs": 4}
    if strategy != "cut":
        asked.pop("cut")
    run = frostline.fit(table, tmp_path / "run", **asked)
    losses = [epoch.train_loss for epoch in run.record.metrics.history if epoch.train_loss]
    assert losses[-1] < losses[0]
    # in standard deviations: who names the mean has a loss of a half
    assert losses[-1] < 0.69
    assert run.record.metrics.frozen_verified
    p = run.model.predict_proba([table.parent / f"{row}.png" for row in range(40)])
    assert p.shape[1] == len(target.split(","))
    if target == "across":
        truth = np.array([numbers_of(row) for row in range(40)])
        assert abs(p.mean() - truth.mean()) < 3 * truth.std()
