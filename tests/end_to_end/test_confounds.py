"""A fit to images of which each class has a camera of its own says so, everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import frostline
from frostline.compute.file_facts import file_facts
from frostline.core.runtime import Runtime
from frostline.data.sources.open_source import open_source


@pytest.fixture(scope="module")
def two_cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 3 and 8, 24 each: every 3 by one camera, every 8 by another."""
    folder = tmp_path_factory.mktemp("cameras")
    data = load_digits()
    for digit, camera in ((3, "Alpha"), (8, "Beta")):
        (folder / str(digit)).mkdir()
        exif = Image.Exif()
        exif[0x010F] = camera
        for number in np.flatnonzero(data.target == digit)[:24].tolist():
            pixels = (data.images[number] * 15.9).astype(np.uint8)
            picture = Image.fromarray(pixels).convert("RGB").resize((64, 64))
            picture.save(folder / str(digit) / f"{number}.jpg", quality=90, exif=exif)
    return folder


def test_a_camera_for_each_class_is_said_in_every_place(
    two_cameras: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    result = frostline.fit(two_cameras, tmp_path / "run", effort="fast", **tiny_network)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    found = {one["group"]: one for one in metrics["confounds"]["groups"]}
    camera = found["camera"]
    assert camera["verdict"] == "inseparable"
    assert camera["score"] == 1.0
    given = {(one["label"], one["value"]) for one in camera["honest"]["given_away"]}
    assert given == {("3", "Alpha"), ("8", "Beta")}
    said = [caveat for caveat in metrics["caveats"] if "camera" in caveat]
    assert len(said) == 1
    assert "Collect images of '3' and '8' with another camera" in said[0]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What should not matter" in page
    assert "cannot be told apart" in page
    assert result.record.metrics.confounds is not None
    # what the headers said is kept: the images need not be there any more
    catalog = open_source(two_cameras)
    for image in two_cameras.rglob("*.jpg"):
        image.unlink()
    kept = file_facts(catalog, [0, 30], Runtime())
    assert [one.camera for one in kept if one is not None] == ["Alpha", "Beta"]
