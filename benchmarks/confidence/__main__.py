"""Is the confidence of a model worth believing? Calibration, and images unlike all others.

    python -m benchmarks.confidence --stamps S --clip-art C          # see benchmarks/decision
    python -m benchmarks.confidence --model TITLE ...                # one model of the page anew

Calibration: five fits (effort fast) of each set hold out every image once; their calibrated
probabilities are judged together. Unknown images: a whole fit of four fifths of a set is saved,
and its ``model.onnx`` meets the other fifth, the other three sets, and spoiled and empty images;
once more for digits with every layer trained, at 96 pixels.
Writes benchmarks/results/confidence.json and docs/confidence.md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import figures

RESULTS = Path(__file__).parents[1] / "results" / "confidence.json"
#: foreign images, spoiled ones and empty ones that each model meets, at most
_FOREIGN, _SPOILED, _EMPTY = 300, 100, 32
_TRAINED = "digits, every layer trained"
FloatArray = npt.NDArray[np.float64]


def main() -> None:
    """Measure everything, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    parser.add_argument("--clip-art", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--work", type=Path, default=Path(".study"))
    parser.add_argument("--model", action="append", default=[])
    options = parser.parse_args()
    os.environ["FROSTLINE_CACHE"] = str((options.work / "cache").resolve())
    _measure(options)
    figures.write("confidence")


def _measure(options: argparse.Namespace) -> None:
    from benchmarks.confidence.sets import NAMES, prepare
    from benchmarks.decision.sets import Places

    places = Places(Path(), options.stamps, options.clip_art, options.work)
    sets = {name: prepare(name, places) for name in NAMES}
    found: dict[str, Any] = {"calibration": {}, "unknown": {}}
    if options.model:
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
    else:
        found["calibration"] = {name: _calibration(prepared) for name, prepared in sets.items()}
        print(json.dumps(found["calibration"], indent=1), flush=True)
    models: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in NAMES]
    models.append((_TRAINED, "digits", {"strategy": "finetune", "epochs": 2, "input_size": "96"}))
    for title, name, settings in models:
        if options.model and title not in options.model:
            continue
        row = _unknown(name, sets, options.work / "confidence" / title, settings)
        print(title, row, flush=True)
        found["unknown"][title] = row
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _calibration(found: Any) -> dict[str, Any]:
    """Hold out every image once; judge the probabilities before and after calibration."""
    from benchmarks.decision.cells import runtime
    from frostline.fitting.procedure import fit_once
    from frostline.stats.calibration import softmax
    from frostline.stats.reliability import chance_calibration_error
    from frostline.stats.scores import score

    problem = found.task.problem
    labels = problem.labels
    before = np.zeros((len(labels), problem.n_classes))
    after = np.zeros_like(before)
    for learn, judge in found.folds:
        fitted = fit_once(found.task, learn, runtime())
        logits = fitted.logits(found.store, judge)
        before[judge], after[judge] = softmax(logits), softmax(logits, fitted.temperature)
    bare, calibrated = score(before, labels), score(after, labels)
    return {
        "images": len(labels),
        "classes": problem.n_classes,
        "accuracy": round(calibrated.accuracy, 4),
        "ece_before": round(bare.ece, 4),
        "ece": round(calibrated.ece, 4),
        "ece_by_chance": round(chance_calibration_error(after.max(axis=1)), 4),
        "nll_before": round(bare.nll, 4),
        "nll": round(calibrated.nll, 4),
    }


def _unknown(
    name: str, sets: dict[str, Any], folder: Path, settings: dict[str, Any]
) -> dict[str, Any]:
    """Fit and save a model; let it meet its own held-out images and all others."""
    from sklearn.metrics import roc_auc_score

    import frostline
    from benchmarks.confidence.sets import corrupted, empty
    from frostline.model_format.model_folder import load_card
    from frostline.onnx_graph.prepared import on_canvas

    own = sets[name]
    run = folder / "run"
    frostline.fit(own.table(folder, 0), run, effort="fast", overwrite=True, **settings)
    model = frostline.load(run)
    card = load_card(run)
    held = own.folds[0][1]
    inside = _scores(model, own.paths(held))
    prepared = np.stack([model.prepare(p, name=p.name) for p in own.paths(held[:_SPOILED])])
    images: dict[str, Iterable[Any]] = {
        other: found.paths(found.folds[0][1][:_FOREIGN])
        for other, found in sets.items()
        if other != name
    }
    spoiled = {f"own, {kind}": found for kind, found in corrupted(prepared).items()}
    spoiled |= empty(_EMPTY, card.preprocessing.size)
    for kind, pixels in spoiled.items():
        # on a frame, so that the network sees them pixel by pixel
        images[kind] = list(on_canvas(pixels, card.preprocessing))
    others = {}
    for kind, some in images.items():
        outside = _scores(model, some)
        truth = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
        others[kind] = {
            "images": len(outside),
            "auroc": round(float(roc_auc_score(truth, np.r_[inside, outside])), 4),
            "rejected": round(float(np.mean(outside > 1.0)), 4),
            "median": round(float(np.median(outside)), 2),
        }
    assert card.familiar is not None
    return {
        "set": name,
        "n_train": card.n_train,
        "n_threshold": card.familiar.n_threshold,
        "held_out": len(inside),
        "false_rejects": round(float(np.mean(inside > 1.0)), 4),
        "bytes": (run / "model" / "familiar.safetensors").stat().st_size,
        "others": others,
    }


def _scores(model: Any, images: Iterable[Any]) -> FloatArray:
    return np.array([found.unfamiliarity for found in model.predict_each(list(images))])


if __name__ == "__main__":
    main()
