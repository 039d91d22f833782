"""Classes, sets and abstentions follow from probabilities alike wherever a model is asked."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from pydantic import ValidationError

from frostline.core.errors import SettingsError
from frostline.model.answering import Answering, read_shares
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import load_card
from frostline.onnx_graph.prepared import on_canvas

RELEASED = Path(__file__).parent / "released"
FOLDER, IMAGES = RELEASED / "format-6", sorted((RELEASED / "images").iterdir())
NO_STEPS = {"together": {"steps": [], "n_groups": 3}, "own": [], "n_outputs": 3}
CLASSES, BEFORE = ("sound", "cracked", "größer"), np.array([0.5, 0.25, 0.25])


def predictions(model: Model) -> list[Prediction]:
    return [found for found in model.predict_each(IMAGES) if isinstance(found, Prediction)]


def test_every_face_of_a_model_tells_the_same_sets_and_abstentions() -> None:
    said = predictions(Model.load(FOLDER, threads=1))
    assert len({found.set_95 for found in said}) > 1
    assert all(found.label in (found.set_95 or ()) for found in said)
    session = onnxruntime.InferenceSession(FOLDER / "model.onnx")
    assert [one.name for one in session.get_outputs()] == [
        *("probabilities", "unfamiliarity", "set_95", "abstain")
    ]
    prepared = Model.load(FOLDER, threads=1)
    canvas = prepared.card.preprocessing
    for path, found in zip(IMAGES, said, strict=True):
        image = prepared.prepare(path, name="")
        told, belongs, abstain = session.run(
            ["probabilities", "set_95", "abstain"], {"image": on_canvas(image[None], canvas)}
        )
        assert told[0].tolist() == found.probabilities.tolist()
        assert {CLASSES[i] for i in np.flatnonzero(belongs[0])} == set(found.set_95 or ())
        assert bool(abstain[0]) is found.abstain


def test_an_older_model_tells_neither_and_says_why_it_cannot() -> None:
    folder = RELEASED / "format-5"
    for found in predictions(Model.load(folder, threads=1)):
        assert found.set_95 is None
        assert found.abstain is None
    with pytest.raises(SettingsError, match="does not know from which confidence"):
        Model.load(folder, at_most_wrong=0.1)
    with pytest.raises(SettingsError, match="does not say for which shares"):
        Model.load(folder, shares="sound=1,cracked=0")


def test_a_bound_of_ones_own_replaces_that_of_the_card() -> None:
    own = Model.load(FOLDER, threads=1, at_most_wrong=0.6)
    assert own.card.at_most_wrong == 0.2
    assert [found.abstain for found in predictions(own)] != [True] * len(IMAGES)
    with pytest.raises(SettingsError, match=r"At most 0\.01% wrong takes 9,999 images.* has 200"):
        Model.load(FOLDER, at_most_wrong=0.0001)
    with pytest.raises(SettingsError, match=r"even the surest answers"):
        Model.load(FOLDER, at_most_wrong=0.006)


@pytest.mark.parametrize("bound", [0.0, 1.0, -0.1, float("nan")])
def test_a_bound_out_of_range_is_refused(bound: float) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        Model.load(FOLDER, at_most_wrong=bound)


def test_new_shares_weigh_probabilities_and_leave_the_promise_of_each_class() -> None:
    plain = predictions(Model.load(FOLDER, threads=1))
    shares = {"sound": 0.98, "cracked": 0.01, "größer": 0.01}
    weighed = predictions(Model.load(FOLDER, threads=1, shares=shares))
    for before, after in zip(plain, weighed, strict=True):
        ratio = before.probabilities * np.array([0.98, 0.01, 0.01]) / BEFORE
        np.testing.assert_allclose(after.probabilities, ratio / ratio.sum(), rtol=1e-12)
        assert set(before.set_95 or ()) <= {*(after.set_95 or ()), before.label}
    assert {found.label for found in weighed} == {"sound"}


def test_estimated_shares_are_those_of_all_images_of_a_call() -> None:
    model = Model.load(FOLDER, threads=1, shares="auto")
    found = np.stack([one.probabilities for one in predictions(model)])
    raw = np.stack([one.probabilities for one in predictions(Model.load(FOLDER, threads=1))])
    answering = model.answering.with_estimated(raw)
    assert answering.shares is not None
    np.testing.assert_array_equal(answering.of(raw).probabilities, found)
    # the likeliest shares are a fixed point: they are the mean of what follows from them
    np.testing.assert_allclose(found.mean(axis=0), answering.shares, atol=1e-5)


def test_copies_keep_what_was_asked_for() -> None:
    model = Model.load(FOLDER, threads=1, at_most_wrong=0.5, shares="sound=0.9")
    for other in (copy.deepcopy(model), copy.copy(model)):
        assert other.answering.at_most_wrong == 0.5
        np.testing.assert_array_equal(other.answering.shares, model.answering.shares)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sound=0.02,cracked=0.9,größer=0.08", [0.02, 0.9, 0.08]),
        ({"sound": 0.5}, [0.5, 0.25, 0.25]),
        ('{"cracked": 1.0}', [0.0, 1.0, 0.0]),
        ("sound=0.333,cracked=0.333,größer=0.333", [1 / 3, 1 / 3, 1 / 3]),
        (" sound = 0.5 , cracked=0.5", [0.5, 0.5, 0.0]),
    ],
)
def test_shares_are_read(given: str | Mapping[str, float], expected: list[float]) -> None:
    np.testing.assert_allclose(read_shares(given, CLASSES, BEFORE), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("soud=0.5", r"no class 'soud'.*Did you mean 'sound'"),
        ("sound", "is not CLASS=SHARE"),
        ("sound=0.5,sound=0.5", "given twice"),
        ("sound=two", "between 0 and 1, not 'two'"),
        ("sound=1.5", "between 0 and 1"),
        ("sound=nan", "between 0 and 1"),
        ("sound=0.9,cracked=0.9", "add up to 1.8"),
        ("sound=0.2,cracked=0.2,größer=0.2", "add up to 0.6"),
        ("{bad", "no JSON object"),
        ("[1]", "is not CLASS=SHARE"),
        ({}, "add up to 0"),
    ],
)
def test_shares_that_are_none_are_refused(given: str | Mapping[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_shares(given, CLASSES, BEFORE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shares": [0.5, 0.5]}, "2 shares for 3 classes"),
        ({"shares": [0.5, 0.5, 7]}, "between 0 and 1"),
        ({"sets": {"thresholds": [0.5], "own": [True]}}, "sets are for 1 classes|sets"),
        ({"at_most_wrong": 2}, "less than 1"),
        (
            {"abstention": {"together": {"steps": [], "n_groups": 3}, "own": [], "n_outputs": 3}},
            "abstention",
        ),
    ],
)
def test_a_card_that_does_not_fit_itself_is_refused(change: dict[str, object], said: str) -> None:
    values = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))
    if "sets" in change:
        change = {"sets": {**values["sets"], **change["sets"]}}  # type: ignore[dict-item]
    with pytest.raises(ValidationError, match=said):
        ModelCard.model_validate({**values, **change})


def test_a_class_that_is_never_sure_enough_abstains() -> None:
    answering = Answering(load_card(FOLDER), at_most_wrong=0.3, shares="sound=0.4,cracked=0.3")
    told = np.array([[0.69, 0.2, 0.11], [0.9, 0.05, 0.05]])
    found = answering.of(told)
    assert found.abstain is not None
    # with other shares an answer must be sure by itself
    confidence = found.probabilities[np.arange(2), found.decided]
    assert found.abstain.tolist() == (confidence < 0.7).tolist()


def test_unreadable_images_have_no_part_in_estimated_shares(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (40, 40), (9, 90, 200)).save(tmp_path / "whole.png")
    model = Model.load(FOLDER, threads=1, shares="auto")
    kinds = [type(one).__name__ for one in model.predict_each(sorted(tmp_path.iterdir()))]
    assert kinds == ["UnreadableImageError", "Prediction"]
