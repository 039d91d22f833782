"""Predictions equal those of PyTorch, for every way to hand over an image."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from frostline.core.errors import InputError, UnreadableImageError
from frostline.model.model import Model
from frostline.model.prediction import Prediction

if TYPE_CHECKING:
    from tests.model.conftest import Saved

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(saved: Saved) -> Model:
    return Model.load(saved.run, threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, photos: list[Image.Image]) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for i, photo in enumerate(photos):
        path = folder / f"{i}.png"
        photo.save(path)
        paths.append(path)
    return paths


def test_probabilities_are_those_of_pytorch(
    saved: Saved, model: Model, photos: list[Image.Image]
) -> None:
    expected = saved.torch_probabilities(photos)
    found = model.predict_proba(photos)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # the order of the classes is the model's, neither sorted nor by frequency
    labels = [saved.card.classes[i] for i in expected.argmax(axis=1)]
    assert model.predict(photos) == labels
    assert len(set(labels)) > 2


def test_every_kind_of_image_gives_the_same(
    model: Model, photos: list[Image.Image], files: list[Path]
) -> None:
    expected = model.predict_proba(photos)
    np.testing.assert_array_equal(model.predict_proba(files), expected)
    np.testing.assert_array_equal(model.predict_proba([str(f) for f in files]), expected)
    np.testing.assert_array_equal(model.predict_proba([f.read_bytes() for f in files]), expected)
    np.testing.assert_array_equal(model.predict_proba([np.asarray(p) for p in photos]), expected)
    np.testing.assert_array_equal(model.predict_proba(iter(photos)), expected)


def test_a_single_image_is_a_list_of_one(
    model: Model, photos: list[Image.Image], files: list[Path]
) -> None:
    expected = model.predict_proba(photos[:1])
    assert expected.shape == (1, 4)
    for image in (photos[0], files[0], str(files[0]), np.asarray(photos[0])):
        np.testing.assert_array_equal(model.predict_proba(image), expected)
        assert len(model.predict(image)) == 1
    batch = np.stack([np.asarray(photo) for photo in photos[:2]])
    np.testing.assert_allclose(
        model.predict_proba(batch), model.predict_proba(photos[:2]), atol=1e-7
    )


def test_grey_arrays_are_grey_pictures(model: Model, photos: list[Image.Image]) -> None:
    grey = photos[0].convert("L")
    expected = model.predict_proba(grey.convert("RGB"))
    np.testing.assert_array_equal(model.predict_proba(np.asarray(grey)), expected)
    np.testing.assert_array_equal(model.predict_proba(grey), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pillow_images_follow_the_rules_for_files(
    model: Model, photos: list[Image.Image], tmp_path: Path, mode: str
) -> None:
    image = photos[0]
    if mode in ("LA", "RGBA"):
        image = image.convert("RGBA")
        image.putalpha(photos[1].convert("L"))
        image = image.convert(mode)
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    path = tmp_path / ("image.tif" if mode in ("CMYK", "F") else "image.png")
    image.save(path)
    np.testing.assert_allclose(model.predict_proba(image), model.predict_proba(path), atol=1e-6)
    with Image.open(path) as lazy:
        np.testing.assert_allclose(model.predict_proba(lazy), model.predict_proba(path), atol=1e-6)


def test_orientation_of_an_opened_picture(
    model: Model, photos: list[Image.Image], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    photos[0].save(path, exif=exif)
    turned = photos[0].transpose(Image.Transpose.ROTATE_270)
    expected = model.predict_proba(turned)
    assert np.abs(expected - model.predict_proba(photos[0])).max() > 1e-3
    with Image.open(path) as lazy:
        np.testing.assert_array_equal(model.predict_proba(lazy), expected)
    np.testing.assert_array_equal(model.predict_proba(path), expected)


def test_no_images(model: Model) -> None:
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 4)
    assert list(model.predict_each([])) == []


@pytest.mark.parametrize("workers", [0, 3])
def test_one_bad_image_spoils_nothing(
    saved: Saved, model: Model, files: list[Path], tmp_path: Path, workers: int
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(files[0].read_bytes()[:3000])
    mixed = [*files, broken, tmp_path / "absent.jpg", *files, files[0]]
    results = list(Model.load(saved.run, threads=1, workers=workers).predict_each(mixed))
    assert len(results) == len(mixed)
    errors = {i: r for i, r in enumerate(results) if isinstance(r, UnreadableImageError)}
    n = len(files)
    assert sorted(errors) == [n, n + 1]
    assert errors[n].path == str(broken)
    assert errors[n].reason == "truncated"
    assert errors[n + 1].reason == "file not found"
    expected = model.predict_proba([*files, *files, files[0]])
    good = [r for r in results if isinstance(r, Prediction)]
    assert [r.name for r in good] == [str(f) for f in [*files, *files, files[0]]]
    np.testing.assert_allclose([r.probabilities for r in good], expected, atol=1e-7)
    with pytest.raises(UnreadableImageError, match=r"broken\.png: truncated"):
        model.predict(mixed)


def test_a_prediction_names_its_best(model: Model, photos: list[Image.Image]) -> None:
    (result,) = model.predict_each(photos[0])
    assert isinstance(result, Prediction)
    assert result.name == "image 0"
    top = result.top(2)
    assert len(top) == 2
    assert top[0] == (result.label, result.confidence)
    assert top[0][1] >= top[1][1]
    assert len(result.top(99)) == 4


def test_too_many_pixels(saved: Saved, photos: list[Image.Image], files: list[Path]) -> None:
    strict = Model.load(saved.run, threads=1, max_pixels=100_000)
    for image in (photos[0], files[0]):
        with pytest.raises(UnreadableImageError, match="limit"):
            strict.predict(image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((3, 8, 8), dtype=np.uint8),
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((0, 8, 3), dtype=np.uint8),
        np.zeros(8, dtype=np.uint8),
        3,
        [None],
    ],
    ids=["float", "channels first", "four channels", "no pixel", "flat", "number", "none"],
)
def test_what_is_no_image_is_said(model: Model, image: object) -> None:
    with pytest.raises(InputError):
        model.predict(image)  # type: ignore[arg-type]


def test_threads_may_share_a_model(saved: Saved, model: Model, photos: list[Image.Image]) -> None:
    fresh = Model.load(saved.run, threads=1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(fresh.predict_proba, photos[:4]))
    np.testing.assert_allclose(np.concatenate(results), model.predict_proba(photos[:4]), atol=1e-6)


_WITHOUT_TORCH = """
import sys
from pathlib import Path
from frostline.model.model import Model
model = Model.load(Path(sys.argv[1]))
before = {name for name in ("onnxruntime", "torch") if name in sys.modules}
labels = model.predict([Path(sys.argv[2])])
heavy = [n for n in ("torch", "timm", "torchvision", "sklearn", "scipy") if n in sys.modules]
sys.stdout.write(f"{sorted(before)} {labels} {heavy}")
"""


def test_prediction_never_imports_pytorch(saved: Saved, model: Model, files: list[Path]) -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH, str(saved.run), str(files[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # ONNX Runtime waits for the first prediction
    assert done.stdout == f"[] {model.predict(files[0])} []"
