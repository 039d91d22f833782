"""Scores are honest: what is judged has taught nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import frostline

pytestmark = pytest.mark.slow


def table_of(path: Path, images: Sequence[Path], labels: Sequence[str], test: int = 0) -> Path:
    """Write a table; every ``test``-th image belongs to the test part, none for 0."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"] if test else ["path", "label"])
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            part = "test" if test and number % test == 0 else "train"
            writer.writerow([image, label, part] if test else [image, label])
    return path


@pytest.mark.parametrize(
    "settings", [{"effort": "fast"}, {"strategy": "cut", "cut": "blocks.2", "epochs": 1}]
)
def test_what_test_images_are_called_changes_their_score_alone(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any], settings: dict[str, Any]
) -> None:
    images = sorted(digit_folder.rglob("*.png"))
    labels = [image.parent.name for image in images]
    other = dict(zip(sorted(set(labels)), np.roll(sorted(set(labels)), 1), strict=True))
    wrong = [other[label] if i % 4 == 0 else label for i, label in enumerate(labels)]
    found = []
    for name, called in (("right", labels), ("wrong", wrong)):
        table = table_of(tmp_path / f"{name}.csv", images, called, test=4)
        found.append(frostline.fit(table, tmp_path / name, **tiny_network, **settings))
    right, wronged = found
    assert right.scores.accuracy > wronged.scores.accuracy
    for file in ("weights.safetensors", "familiar.safetensors"):
        one, two = ((result.folder / "model" / file).read_bytes() for result in found)
        assert one == two, file
    cards = [json.loads((result.folder / "model" / "model.json").read_text()) for result in found]
    assert cards[0]["temperature"] == cards[1]["temperature"]
    assert right.plan.action == wronged.plan.action


def test_labels_by_lot_score_as_lots_do(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    images = sorted(digit_folder.rglob("*.png"))
    drawn = np.random.default_rng(0).permutation([image.parent.name for image in images])
    result = frostline.fit(
        table_of(tmp_path / "lots.csv", images, drawn.tolist()),
        tmp_path / "run",
        effort="fast",
        **tiny_network,
    )
    assert result.metrics["test"]["method"] == "cross-validation"
    # a third would be right by chance
    assert result.scores.accuracy < 0.6


def test_a_head_that_remembers_everything_is_judged_on_what_it_has_not_seen(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    images = sorted(digit_folder.rglob("*.png"))
    drawn = np.random.default_rng(0).permutation([image.parent.name for image in images]).tolist()
    table = table_of(tmp_path / "lots.csv", images, drawn)
    plan = json.loads(frostline.advise(table, effort="fast", **tiny_network).plan.to_json())
    # so little regularisation that every training image is known by heart
    plan["action"] |= {"kind": "taps_head", "head": "ridge", "strength": 1e-6}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    result = frostline.fit(table, tmp_path / "run", plan=file, **tiny_network)
    by_heart = [
        label == given
        for label, given in zip(result.model.predict([str(p) for p in images]), drawn, strict=True)
    ]
    assert np.mean(by_heart) > 0.9
    assert result.metrics["test"]["method"] == "cross-validation"
    assert result.scores.accuracy < 0.6
