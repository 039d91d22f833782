"""AutoGluon's ``MultiModalPredictor`` with its own recipe and these weights."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pandas as pd
import torch
from autogluon.multimodal import MultiModalPredictor

from benchmarks.speed.rows import SIZE, Job, job, report

_HALF = [0.5, 0.5, 0.5]


def main() -> None:
    """Train for as long as it likes by default, and judge."""
    given = job()
    train, test, _ = given.split()
    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(
            label="label", problem_type="multiclass", path=f"{folder}/model", verbosity=0
        )
        predictor.fit(
            pd.DataFrame(train, columns=["image", "label"]),
            seed=given.seed,
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": str(_checkpoint(given, Path(folder))),
                "env.accelerator": "cpu",
                "env.num_workers": given.threads,
            },
        )
        frame = pd.DataFrame(test, columns=["image", "label"])
        scores = predictor.evaluate(frame, metrics=["accuracy"])
    report(accuracy=float(scores["accuracy"]))


def _checkpoint(given: Job, folder: Path) -> Path:
    """Write the weights as it reads them from a folder: without a classifier."""
    own = folder / "weights"
    own.mkdir()
    body = {k: v for k, v in given.state().items() if not k.startswith("classifier.")}
    torch.save(body, own / "pytorch_model.bin")
    config = {
        "architecture": "tf_efficientnet_lite0",
        "num_features": 1280,
        "pretrained_cfg": {
            "input_size": [3, SIZE, SIZE],
            "mean": _HALF,
            "std": _HALF,
            "interpolation": "bicubic",
            "crop_pct": 0.875,
        },
    }
    (own / "config.json").write_text(json.dumps(config))
    return own


if __name__ == "__main__":
    main()
