"""Pictures whose ends decide are seen whole; others are left as the weights want them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import frostline
from frostline.compute import image_loader
from frostline.core.runtime import Runtime
from frostline.core.settings import ResizeMode, Settings
from frostline.core.stopwatch import Stopwatch
from frostline.data.decoding import image_refs
from frostline.fitting.prepare import Prepared, prepare

pytestmark = pytest.mark.slow
EACH = 8


def planted(folder: Path, *, ends: bool, size: tuple[int, int], seed: int = 0) -> Path:
    """Three classes by a shape, at one end or in the middle, on a ground of noise."""
    random = np.random.default_rng(seed)
    width, height = size
    side = height // 3
    for name in ("circle", "square", "triangle"):
        (folder / name).mkdir(parents=True)
        for i in range(EACH):
            noise = random.integers(60, 200, (height // 4, width // 4, 3), dtype=np.uint8)
            image = Image.fromarray(noise).resize(size)
            x = (width - side) // 2
            if ends:
                x = int(random.choice([4, width - side - 4]))
            y = int(random.integers(height // 4, height - side - height // 4 + 1))
            draw = ImageDraw.Draw(image)
            box = (x, y, x + side, y + side)
            if name == "circle":
                draw.ellipse(box, fill=(240, 240, 30))
            elif name == "square":
                draw.rectangle(box, fill=(240, 240, 30))
            else:
                corners = [(x, y + side), (x + side, y + side), (x + side // 2, y)]
                draw.polygon(corners, fill=(240, 240, 30))
            image.save(folder / name / f"{i}.png")
    return folder


def prepared(folder: Path, resize: ResizeMode | str = "auto") -> Prepared:
    settings = Settings(effort="fast", resize=resize)  # type: ignore[arg-type]
    return prepare(folder, settings, Runtime(), Stopwatch())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded."""
    names: list[str] = []
    decode = image_refs.decode_unchanged

    def counted(*given: object, **options: object) -> Image.Image:
        names.append(str(options["name"]))
        return decode(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(image_loader, "decode_unchanged", counted)
    return names


def test_what_decides_at_the_ends_is_seen(tmp_path: Path, decoded: list[str]) -> None:
    folder = planted(tmp_path / "ends", ends=True, size=(320, 160))
    advice = frostline.advise(folder, effort="fast", strategy="head")
    plan = json.loads(advice.plan.to_json())
    assert plan["resize"] in ("squash", "pad")
    assert advice.prepared.inputs.frozen.network.preprocessing.resize == plan["resize"]
    own, *others = plan["resizes"]
    assert (own["mode"], own["chosen"], own["n_images"]) == ("crop", False, 3 * EACH)
    assert own["unseen"] == pytest.approx(1 - 0.875**2 / 2, abs=0.01)
    assert max(one["accuracy"] for one in others) > own["accuracy"] + 0.3
    # all ways, and the pass after them, from one decoding of each
    assert len(decoded) >= len(set(decoded)) == 3 * EACH
    assert sorted(set(decoded)) == sorted(decoded[: 3 * EACH])
    assert "clearly better than the weights" in "".join(plan["explanation"])
    # and a plan that was made is carried out by the same pictures
    given = prepare(folder, Settings(), Runtime(), Stopwatch(), plan=advice.plan)
    assert given.inputs.frozen.network.preprocessing.resize == plan["resize"]


def test_what_lies_in_the_middle_stays_with_the_weights(tmp_path: Path) -> None:
    found = prepared(planted(tmp_path / "middle", ends=False, size=(320, 160)))
    assert found.inputs.frozen.network.preprocessing.resize == "crop"
    assert [one.mode for one in found.inputs.resizes if one.chosen] == ["crop"]
    assert len(found.inputs.resizes) == 3
    # the pass found all in the store, where the comparison had just put it
    report = found.inputs.frozen.report
    assert report.computed == report.times.images == 3 * EACH and report.engine != "stored"


def test_square_pictures_cost_nothing_more(tmp_path: Path, decoded: list[str]) -> None:
    folder = planted(tmp_path / "square", ends=True, size=(200, 200))
    found = prepared(folder)
    assert len(decoded) == found.inputs.frozen.report.computed == 3 * EACH
    (only,) = found.inputs.resizes
    assert (only.mode, only.accuracy, only.n_images) == ("crop", None, 0)
    # auto is the crop there: the same rows of the store
    again = prepared(folder, "crop")
    assert again.inputs.frozen.report.computed == 0
    assert again.inputs.frozen.features.key == found.inputs.frozen.features.key


def test_a_test_part_has_no_say(tmp_path: Path) -> None:
    # the training part is plain in the middle, the test part at the ends alone
    planted(tmp_path / "set" / "train", ends=False, size=(320, 160))
    planted(tmp_path / "set" / "test", ends=True, size=(320, 160), seed=1)
    found = prepared(tmp_path / "set")
    assert found.inputs.frozen.network.preprocessing.resize == "crop"
    assert {one.n_images for one in found.inputs.resizes} == {3 * EACH}
