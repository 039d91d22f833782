"""Cards of pictures that a network was pretrained on: unit, labels, noise, the ViT of letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from benchmarks.vit.network import LETTERS, load
from frostline.compute.engines.base import run_batches
from frostline.compute.engines.moments_of import norm_inputs, open_moments
from frostline.compute.moments import NormMoments, SourceNorm
from frostline.core.errors import InputError
from frostline.core.runtime import Runtime
from frostline.evidence.source_card import make_card, shift_from_source
from frostline.evidence.source_pictures import SourcePictures
from tools.reference_cards import windows

C = 30
NORMS = [SourceNorm(f"layer{i}", C, 1e-5, None, (i + 0.5) / 6) for i in range(6)]
#: directions in which pictures of the source vary together, and one in which they hardly do
MIXED = np.linalg.qr(np.random.default_rng(5).normal(size=(C, C)))[0]
SPREAD = np.where(np.arange(C) < 4, 2.0, 0.3)


def values(
    n: int, seed: int, *, along: int = 0, step: float = 0.0, gain: float = 1.0
) -> npt.NDArray[np.float32]:
    """Moments of pictures, moved ``step`` of their own spread ``along`` one direction."""
    rng, parts = np.random.default_rng(seed), []
    for _ in NORMS:
        hidden = rng.normal(size=(n, C)) * SPREAD
        hidden[:, along] += step * SPREAD[along]
        mean = hidden @ MIXED.T
        variance = (gain * np.exp(0.2 * rng.normal(size=(n, C)))) ** 2
        parts += [mean, mean**2 + variance]
    return np.concatenate(parts, axis=1).astype(np.float32)


def moments(found: npt.NDArray[np.float32], norms: list[SourceNorm] = NORMS) -> NormMoments:
    return NormMoments(norms, found, np.arange(len(found)), "x", 64)


def test_the_unit_is_one_more_picture_of_the_source() -> None:
    card = make_card(NORMS, values(64, 0))
    same = [shift_from_source(moments(values(64, s)), card).distance for s in range(1, 6)]
    assert abs(np.mean(same)) < 0.03 and max(map(abs, same)) < 0.1
    # by construction: single pictures, not their mean, lie at 1
    units = []
    for seed in range(1, 9):
        mean, square = np.split(values(64, seed)[:, : 2 * C].astype(np.float64), 2, axis=1)
        steps = card.layers[0].scaled(mean, square)
        units.append(card.layers[0].squared(steps).mean())
    assert np.mean(units) == pytest.approx(1.0, abs=0.1)


def test_a_step_where_the_source_hardly_varies_counts_more() -> None:
    card = make_card(NORMS, values(64, 0))
    usual = shift_from_source(moments(values(64, 1, along=0, step=2.0)), card)
    rare = shift_from_source(moments(values(64, 1, along=20, step=13.0)), card)
    # both are as long: 4 and 3.9
    assert rare.distance > 3 * usual.distance
    wider = shift_from_source(moments(values(64, 1, gain=2.0)), card)
    assert wider.label == "different", "a spread is compared as a mean is"


def test_labels_and_what_is_said() -> None:
    card = make_card(NORMS, values(64, 0))
    near = shift_from_source(moments(values(64, 1)), card)
    assert (near.label, near.kind) == ("similar", "none")
    assert (near.measure, near.n_reference, near.warnings) == ("source pictures", 64, [])
    far = shift_from_source(moments(values(64, 1, along=20, step=20.0)), card)
    assert far.label == "different" and far.interval[0] < far.distance < far.interval[1]
    unsure = shift_from_source(moments(values(64, 1, along=20, step=6.0)), replace(card, noise=1.0))
    assert unsure.label == "unknown" and "not known" in unsure.warnings[0]


def test_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 8"):
        make_card(NORMS, values(7, 0))
    with pytest.raises(InputError, match="two images"):
        shift_from_source(moments(values(1, 0)), make_card(NORMS, values(16, 0)))
    with pytest.raises(InputError, match="no folder"):
        _ = SourcePictures(tmp_path / "none").files
    for i in range(7):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match="holds 7 pictures"):
        _ = SourcePictures(tmp_path).files


def test_pictures_are_spread_over_a_folder(tmp_path: Path) -> None:
    for i in range(200):
        folder = tmp_path / f"{i // 50}"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i:03d}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    files = SourcePictures(tmp_path).files
    assert len(files) == 64 == len(set(files))
    for first in (8, 16, 64):
        per_folder = [sum(f.parent.name == str(k) for f in files[:first]) for k in range(4)]
        assert max(per_folder) - min(per_folder) <= 1


Measure = Callable[[npt.NDArray[np.uint8]], NormMoments]


@pytest.mark.slow
def test_a_network_of_letters_tells_letters_from_photos() -> None:
    """Sets that no limit was placed with: more letters, these in grey, and windows of photos."""
    network, runtime = load(), Runtime(threads=1)
    inputs = norm_inputs(network)
    engine = open_moments(network, inputs, runtime)

    def measured(pixels: npt.NDArray[np.uint8]) -> NormMoments:
        results = run_batches(engine, ((None, image) for image in pixels))
        return moments(np.stack([result for _, result in results]), inputs.norms)

    letters = SourcePictures(LETTERS).pixels(network.preprocessing, 64, runtime)
    card = make_card(inputs.norms, measured(letters[:40]).values)
    photos = np.stack([network.preprocessing.apply(image) for image in windows()])
    grey = np.repeat(letters[40:].mean(axis=3, keepdims=True).astype(np.uint8), 3, axis=3)
    found = [shift_from_source(measured(pixels), card) for pixels in (letters[40:], grey, photos)]
    assert [found[0].label, found[2].label] == ["similar", "different"]
    assert found[0].distance < found[1].distance < found[2].distance
