"""How unfamiliar an image is: the same in PyTorch, in the exported file and in ``Model``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from frostline.backbones.heads.classifiers import TapsClassifier
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.core.errors import EngineError, RunFolderError
from frostline.core.preprocessing import UInt8Array
from frostline.exporting.model_onnx import export_onnx, verify_onnx
from frostline.exporting.save_model import save_model
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.card import FamiliarImages, ModelCard
from frostline.model_format.model_folder import load_card
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.ood_graph import add_ood_score
from frostline.onnx_graph.preprocessing_graph import OPSET
from frostline.stats.ood import OODScorer, Region, fit_ood_scorer
from tests.model.kept_ood_scorer import load_familiarity

if TYPE_CHECKING:
    from tests.model.conftest import Saved

pytestmark = pytest.mark.slow


def head_inputs(saved: Saved, images: UInt8Array) -> np.ndarray:
    assert isinstance(saved.module, TapsClassifier)
    x = torch.from_numpy(saved.card.preprocessing.normalise(images))
    with torch.inference_mode():
        found: np.ndarray = WithHeadInput(saved.module, saved.module.head)(x)[1].numpy()
    return found


@pytest.fixture(scope="module")
def prepared(saved: Saved, photos: list[Image.Image]) -> UInt8Array:
    """Sixteen pieces of photographs, as the network sees them."""
    pieces = [photos[i % 2].crop((20 * i, 10 * i, 20 * i + 200, 10 * i + 220)) for i in range(16)]
    return np.stack([saved.card.preprocessing.apply(piece) for piece in pieces])


@pytest.fixture(scope="module", params=["by tap", "as one"])
def ood_scorer(saved: Saved, prepared: UInt8Array, request: pytest.FixtureRequest) -> OODScorer:
    features = head_inputs(saved, prepared)
    assert isinstance(saved.module, TapsClassifier)
    taps = list(saved.module.body.slices.values())
    found = fit_ood_scorer(features[:12], blocks=taps if request.param == "by tap" else None)
    distances = found.distances(features[12:])
    found = found.normalised_by(distances)
    return found.with_threshold(float(found.score_of(distances).max()))


@pytest.fixture(scope="module")
def told(
    saved: Saved,
    ood_scorer: OODScorer,
    prepared: UInt8Array,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The saved model again, with what is familiar to it."""
    run = tmp_path_factory.mktemp("told")
    card = saved.card.model_copy(update={"familiar": FamiliarImages(n_fitted=12, n_threshold=4)})
    save_model(run / "model", saved.module, card, ood_scorer=ood_scorer, images=prepared[:2])
    return run


def test_the_model_scores_as_pytorch_does(
    saved: Saved, told: Path, ood_scorer: OODScorer, photos: list[Image.Image]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    images = [*photos, Image.fromarray(noise), Image.new("RGB", (50, 50), "red")]
    seen = np.stack([saved.card.preprocessing.apply(image) for image in images])
    expected = ood_scorer.scores(head_inputs(saved, seen))
    model = Model.load(told, threads=1)
    results = [r for r in model.predict_each(images) if isinstance(r, Prediction)]
    found = [r.unfamiliarity for r in results]
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=2e-3)
    assert [r.unknown for r in results] == [score > 1 for score in expected]
    # and as anybody would run the file
    session = ort.InferenceSession(
        str(told / "model" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    score = session.run(["unfamiliarity"], {"image": np.stack([noise, 255 - noise])})[0]
    assert (score.shape, score.dtype) == ((2,), np.float32)
    assert session.run(None, {"image": noise})[1].shape == (1,)


def test_the_file_scores_features_that_are_nearly_parallel() -> None:
    """As those of a network that hardly tells its images apart."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.5, 1.5, 128)
    features = (size * (1 + 1e-3 * rng.normal(size=(60, 128)))).astype(np.float32)
    ood_scorer = fit_ood_scorer(features[:40])
    ood_scorer = ood_scorer.normalised_by(ood_scorer.distances(features[40:]))
    nodes = GraphBuilder("test")
    add_ood_score(nodes, "features", ood_scorer, "score")
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("features", ["N", 128]), ("score", ["N"]))
    ]
    graph = helper.make_graph(nodes.nodes, "test", *ends, nodes.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"features": features[40:]})[0]
    np.testing.assert_allclose(found, ood_scorer.scores(features[40:]), rtol=1e-3)


def test_predictions_are_the_same_bits_with_it_or_without(
    saved: Saved, told: Path, photos: list[Image.Image]
) -> None:
    with_it, without = Model.load(told, threads=1), Model.load(saved.run, threads=1)
    assert np.array_equal(with_it.predict_proba(photos), without.predict_proba(photos))
    assert [r.unknown for r in without.predict_each(photos) if isinstance(r, Prediction)] == [
        None
    ] * len(photos)


def test_a_folder_of_the_first_format_predicts_as_before(
    saved: Saved, tmp_path: Path, photos: list[Image.Image]
) -> None:
    shutil.copytree(saved.run, tmp_path / "run")
    path = tmp_path / "run" / "model" / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    # as it was written then
    del values["familiar"], values["fingerprints"]["familiar"], values["checksum"]
    path.write_text(json.dumps(values | {"format_version": 1}), encoding="utf-8")
    model = Model.load(tmp_path / "run", threads=1)
    assert model.card.format_version == 1
    assert np.array_equal(
        model.predict_proba(photos), Model.load(saved.run, threads=1).predict_proba(photos)
    )
    result = next(iter(model.predict_each(photos)))
    assert isinstance(result, Prediction)
    assert result.unknown is None
    assert result.unfamiliarity is None
    assert load_familiarity(tmp_path / "run") is None
    values |= {"format_version": 1, "familiar": {"n_fitted": 3, "n_threshold": 3}}
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(RunFolderError, match="familiar"):
        load_card(tmp_path / "run")


def test_its_numbers_come_back(told: Path, ood_scorer: OODScorer, tmp_path: Path) -> None:
    names = sorted(path.name for path in (told / "model").iterdir())
    assert names == ["familiar.safetensors", "model.json", "model.onnx", "weights.safetensors"]
    found = load_familiarity(told)
    assert found is not None
    for name in ("neighbours", "usual", "weights", "reach"):
        assert np.array_equal(getattr(found, name), getattr(ood_scorer, name)), name
    for own, read in zip(ood_scorer.regions, found.regions, strict=True):
        for name in Region.__dataclass_fields__:
            assert np.array_equal(getattr(own, name), getattr(read, name)), name
    card = load_card(told)
    assert card.familiar is not None
    assert card.familiar.rough
    shutil.copytree(told, tmp_path / "run")
    path = tmp_path / "run" / "model" / "familiar.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(RunFolderError, match="damaged"):
        load_familiarity(tmp_path / "run")


def test_what_does_not_belong_together_is_refused(
    saved: Saved, ood_scorer: OODScorer, prepared: UInt8Array, tmp_path: Path
) -> None:
    with pytest.raises(RunFolderError, match="do not belong together"):
        save_model(tmp_path, saved.module, saved.card, ood_scorer=ood_scorer)
    narrow = fit_ood_scorer(np.random.default_rng(0).normal(size=(20, 6)))
    arguments = (saved.module, saved.card.preprocessing, 1.0)
    with pytest.raises(EngineError, match="does not fit the head"):
        export_onnx(*arguments, tmp_path / "m.onnx", ood_scorer=narrow)
    export_onnx(*arguments, tmp_path / "m.onnx", ood_scorer=ood_scorer)
    assert verify_onnx(tmp_path / "m.onnx", *arguments, prepared[:3], ood_scorer=ood_scorer) < 1e-4
    with pytest.raises(EngineError, match="of an unfamiliarity"):
        verify_onnx(
            tmp_path / "m.onnx",
            *arguments,
            prepared[:3],
            ood_scorer=ood_scorer.with_threshold(1.1),
        )


def test_new_cards_have_the_fourth_format(saved: Saved) -> None:
    assert ModelCard.model_fields["format_version"].default == 4
    assert load_card(saved.run).format_version == 4
