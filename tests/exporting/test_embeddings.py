"""What the head reads: the same numbers that give the logits, and predictions of the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import torch

import frostline
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.core.errors import InputError, UnreadableImageError
from frostline.core.files import sha256_of
from frostline.model.prediction import Prediction
from frostline.model_format.model_folder import FORMATS

if TYPE_CHECKING:
    from frostline.model.model import Model
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]
RELEASED = Path(__file__).parents[1] / "model" / "released"
KINDS = ["head", "knowing", "last layer", "finetuned", "cut", "labels", "numbers", "full"]


def both(
    model: Model, images: list[Path]
) -> tuple[list[Prediction], list[Prediction], npt.NDArray[np.float32]]:
    """Predictions without and with embeddings, and these."""
    plain = [one for one in model.predict_each(images) if isinstance(one, Prediction)]
    found = [
        one for one in model.predict_each(images, embeddings=True) if isinstance(one, Prediction)
    ]
    assert len(plain) == len(found) == len(images)
    vectors = [one.embedding for one in found if one.embedding is not None]
    return plain, found, np.stack(vectors)


def same_bits(plain: list[Prediction], found: list[Prediction]) -> None:
    for one, other in zip(plain, found, strict=True):
        assert one.embedding is None
        assert one.probabilities.tobytes() == other.probabilities.tobytes()
        assert one.unfamiliarity == other.unfamiliarity
        told = [(x.label, x.set_95, x.abstain, x.labels, x.value, x.interval) for x in (one, other)]
        assert told[0] == told[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_gives_the_logits_of_them(make_run: MakeRun, kind: str) -> None:
    run = make_run(kind)
    images = list(run.images)
    before = sha256_of(run.folder / "model" / "model.onnx")
    plain, found, vectors = both(frostline.load(run.folder, threads=1), images)
    same_bits(plain, found)
    assert sha256_of(run.folder / "model" / "model.onnx") == before
    assert vectors.dtype == np.float32
    weight, bias = run.module.leader.head_weights()
    assert vectors.shape == (len(images), weight.shape[1])
    assert len({row.tobytes() for row in vectors}) == len(images), "vectors that tell nothing"
    logits = (vectors @ weight.T + bias) / run.card.temperature
    if kind == "numbers":
        expected = logits
    elif kind == "labels":
        expected = 1 / (1 + np.exp(-logits))
    else:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
    given = np.stack([one.probabilities for one in found])
    np.testing.assert_allclose(given, expected, atol=1e-4 * max(1.0, np.abs(expected).max()))


def test_a_blend_that_marks_no_features_says_so(make_run: MakeRun) -> None:
    run = make_run("blend")
    model = frostline.load(run.folder, threads=1)
    with pytest.raises(InputError, match="averages several networks") as error:
        model.transform(run.images[0])
    assert error.value.hint
    assert model.predict(run.images[0])


def test_a_blend_gives_what_its_frozen_member_reads(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from frostline.exporting.save_model import save_model
    from frostline.model_format.card import FamiliarImages
    from tests.exporting.conftest import _familiarity

    run = make_run("blend")
    x = run.tensors()
    card = run.card.model_copy(update={"familiar": FamiliarImages(n_fitted=50, n_threshold=10)})
    save_model(tmp_path, run.module, card, ood_scorer=_familiarity(run.module, x))
    images = list(run.images)
    plain, found, vectors = both(frostline.load(tmp_path, threads=1), images)
    same_bits(plain, found)
    with torch.inference_mode():
        read = WithHeadInput(run.module, run.module.frozen_leader.head)(x)[1].numpy()
    np.testing.assert_allclose(vectors, read, atol=1e-3 * float(np.abs(read).max()))


@pytest.mark.parametrize("version", FORMATS)
def test_released_models_of_every_format_give_them(version: int) -> None:
    images = sorted((RELEASED / "images").iterdir())
    model = frostline.load(RELEASED / f"format-{version}", threads=1)
    plain, found, vectors = both(model, images)
    same_bits(plain, found)
    np.testing.assert_array_equal(model.transform(images), vectors)
    assert vectors.shape == (len(images), 12)
    assert model.transform([]).shape == (0, 12)


@pytest.mark.parametrize("kind", ["head", "finetuned", "knowing"])
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_exported_files_give_them(
    make_run: MakeRun, tmp_path: Path, kind: str, quantize: str | None
) -> None:
    run = make_run(kind)
    images = list(run.images)
    frostline.export(run.folder, tmp_path / "m.onnx", quantize=quantize)
    plain, found, vectors = both(frostline.load(tmp_path / "m.onnx", threads=1), images)
    same_bits(plain, found)
    native = frostline.load(run.folder, threads=1).transform(images)
    if quantize is None:
        np.testing.assert_allclose(vectors, native, rtol=1e-3, atol=1e-3)
    else:
        cosine = (vectors * native).sum(1)
        cosine /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(native, axis=1)
        assert cosine.min() > 0.9


def test_a_copy_of_a_model_gives_them_too(make_run: MakeRun) -> None:
    import pickle

    model = frostline.load(make_run("head").folder, threads=1)
    image = make_run("head").images[0]
    there = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(there.transform(image), model.transform(image))


def test_images_that_cannot_be_read_have_none(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("head")
    (tmp_path / "bad.png").write_bytes(b"no image")
    model = frostline.load(run.folder, threads=1)
    found = list(model.predict_each([tmp_path / "bad.png", run.images[0]], embeddings=True))
    assert not isinstance(found[0], Prediction)
    assert isinstance(found[1], Prediction)
    assert found[1].embedding is not None
    with pytest.raises(UnreadableImageError):
        model.transform([tmp_path / "bad.png"])
