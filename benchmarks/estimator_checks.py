"""Run scikit-learn's own checks of estimators on TransferClassifier, and write down the count.

    python benchmarks/estimator_checks.py

The checks hand over tables of numbers, so the classifier is told to take them: every number
becomes a grey tile of a picture. The network is a tiny one with random weights, so that some
hundred fits take a minute; what is checked is the estimator, not the features. Install pandas and
set SCIPY_ARRAY_API=1, or the checks that need them are skipped.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import sklearn
import timm
import torch
from safetensors.torch import save_file
from sklearn.utils.estimator_checks import check_estimator

from frostline import TransferClassifier

RESULTS = Path(__file__).parent / "results" / "estimator_checks.json"
_NETWORK = "test_byobnet"

#: checks that may fail, and why
EXCEPTIONS: dict[str, str] = {}


def tiny_classifier(folder: Path) -> TransferClassifier:
    """Return the classifier that is checked; its network's weights are written to ``folder``."""
    torch.manual_seed(0)
    network = timm.create_model(_NETWORK, pretrained=False)
    # statistics of its own activations, as a trained network has: without them features hardly
    # differ from image to image, and rounding is all that a head could learn from
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(64, 3, 64, 64))
    weights = folder / f"{_NETWORK}.safetensors"
    save_file(network.state_dict(), weights)
    return TransferClassifier(
        _NETWORK,
        weights=weights,
        effort="fast",
        input_size=32,
        image_shape="tiles",
        pixel_range="fit",
    )


def main() -> None:
    """Run every check and write the result."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        results = check_estimator(
            tiny_classifier(Path(folder)),
            expected_failed_checks=EXCEPTIONS,
            on_skip=None,
            on_fail=None,
            callback=lambda **found: print(found["check_name"], found["status"], flush=True),
        )
    statuses = Counter(found["status"] for found in results)
    content = {
        "scikit-learn": sklearn.__version__,
        "run": len(results) - statuses["skipped"],
        "passed": statuses["passed"],
        "excepted": {
            found["check_name"]: found["expected_to_fail_reason"]
            for found in results
            if found["status"] == "xfail"
        },
        "failed": {
            found["check_name"]: str(found["exception"])
            for found in results
            if found["status"] == "failed"
        },
        "skipped": {
            found["check_name"]: str(found["exception"])
            for found in results
            if found["status"] == "skipped"
        },
        "seconds": round(time.perf_counter() - began),
    }
    RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
