"""Images that count more: in every fit, in what it is judged by, and nowhere else."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import frostline
from frostline.fitting.run_result import RunResult
from frostline.stats.calibration import fit_temperature
from frostline.training.losses import mean_nll, training_loss


@pytest.fixture(scope="module")
def wrongly_labelled(
    digits_into: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Digits with a test part; two of five training labels name the next class."""
    folder = tmp_path_factory.mktemp("wrong")
    digits_into(folder / "train", per_class=20)
    digits_into(folder / "test", per_class=20, skip=20)
    return folder


def _table(folder: Path, name: str, weight: Callable[[bool], float | None]) -> Path:
    """Write a table; ``weight`` says how much a right or a wrong label counts, None: no row."""
    path = folder / name
    names = sorted({p.parent.name for p in folder.rglob("*.png")})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "weight"])
        for image in sorted(folder.rglob("*.png")):
            part, true = image.parts[-3:-1]
            right = part == "test" or int(image.stem) % 5 > 1
            label = true if right else names[(names.index(true) + 1) % len(names)]
            counts = weight(right)
            if counts is not None:
                writer.writerow([image.relative_to(folder), label, part, counts])
    return path


def _weights_file(run: RunResult) -> bytes:
    return (run.folder / "model" / "weights.safetensors").read_bytes()


def test_labels_that_hardly_count_hardly_teach(
    wrongly_labelled: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    def fit(low: float) -> RunResult:
        table = _table(wrongly_labelled, f"{low}.csv", lambda right: 2.0 if right else low)
        return frostline.fit(table, tmp_path / f"{low}", effort="fast", **tiny_network)

    alike, unlike = fit(2.0), fit(0.02)
    assert unlike.scores.accuracy > alike.scores.accuracy + 0.1
    assert "metric_score" not in alike.metrics["test"]
    test = unlike.metrics["test"]
    assert test["metric_weighted"] is True
    # in the test part all count alike, so both are one
    assert test["metric_score"] == pytest.approx(test["accuracy"])
    evidence = unlike.plan.evidence
    assert evidence is not None
    # left-out training images with wrong labels count as little
    assert evidence.all_taps.reached > evidence.all_taps.accuracy + 0.1


def test_weight_0_is_no_row(
    wrongly_labelled: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    def fit(name: str, low: float | None) -> RunResult:
        table = _table(wrongly_labelled, f"{name}.csv", lambda right: 1.0 if right else low)
        return frostline.fit(table, tmp_path / name, effort="fast", **tiny_network)

    none, absent = fit("none", 0.0), fit("absent", None)
    assert _weights_file(none) == _weights_file(absent)


def test_loss_by_weight_is_that_of_repeated_images() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(4, 3))).float().requires_grad_()
    labels, counts = np.array([0, 1, 2, 1]), np.array([3, 1, 2, 2])
    cpu = torch.device("cpu")
    for classes in (None, np.array([1.0, 2.0, 0.5])):
        loss = training_loss("cross_entropy", classes, label_smoothing=0.1, device=cpu)
        repeated = loss(
            logits.repeat_interleave(torch.from_numpy(counts), dim=0),
            torch.from_numpy(np.repeat(labels, counts)),
        )
        both = np.stack([labels, counts / counts.mean()], axis=1).astype(np.float32)
        weighted = loss(logits, torch.from_numpy(both))
        if classes is None:
            assert float(weighted.detach()) == pytest.approx(float(repeated.detach()), rel=1e-5)
        slopes = [torch.autograd.grad(one, logits)[0] for one in (weighted, repeated)]
        first, second = (slope.flatten() for slope in slopes)
        cosine = torch.nn.functional.cosine_similarity(first, second, dim=0)
        assert float(cosine) == pytest.approx(1.0, abs=1e-5)
    values = logits.detach().double().numpy()
    again = np.repeat(values, counts, axis=0), np.repeat(labels, counts)
    assert mean_nll(values, labels, by_image=counts.astype(float)) == pytest.approx(
        mean_nll(*again)
    )
    rows = rng.normal(size=(200, 3)) + np.eye(3)[np.arange(200) % 3]
    truth, often = np.arange(200) % 3, rng.integers(1, 5, size=200)
    found = fit_temperature(rows, truth, weights=often.astype(float))
    whole = fit_temperature(np.repeat(rows, often, axis=0), np.repeat(truth, often))
    assert found == pytest.approx(whole, rel=0.02)
    assert abs(found - fit_temperature(rows, truth)) > 1e-6


@pytest.mark.slow
def test_training_layers_by_weight(
    wrongly_labelled: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    how: dict[str, Any] = {
        **tiny_network,
        "strategy": "finetune",
        "epochs": 4,
        "augment": "none",
        "batch_size": 16,
        "threads": 1,
        "workers": 0,
    }

    def fit(low: float) -> RunResult:
        table = _table(wrongly_labelled, f"{low}.csv", lambda right: 1.0 if right else low)
        return frostline.fit(table, tmp_path / f"{low}", **how)

    found = [fit(low) for low in (1.0, 0.01)]
    assert found[1].scores.accuracy > found[0].scores.accuracy + 0.05
