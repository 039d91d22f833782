"""TransferClassifier in the hands of scikit-learn, on real digits."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import has_fit_parameter

from frostline import TransferClassifier, load
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.settings import Settings, setting_names
from frostline.model.model import Model
from frostline.model.packed import PackedModel

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
RELEASED = Path(__file__).parents[1] / "model" / "released" / "format-1"


def digits(n: int = 60) -> tuple[Array, Array]:
    """Real digits 0, 1, 2, grey, (n, 8, 8), uint8."""
    data = load_digits(n_class=3)
    return (data.images[:n] * 15.9).astype(np.uint8), data.target[:n]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TransferClassifier:
    """A classifier whose network is tiny and random, which is enough for digits."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model("test_byobnet", pretrained=False).state_dict(), path)
    return TransferClassifier("test_byobnet", weights=path, effort="fast", input_size=64)


@pytest.fixture(scope="module")
def fitted(tiny: TransferClassifier) -> TransferClassifier:
    X, y = digits()
    classifier: TransferClassifier = clone(tiny).fit(X, y)
    return classifier


def test_it_learns(fitted: TransferClassifier) -> None:
    X, y = digits(160)
    assert fitted.score(X[60:], y[60:]) > 0.9
    probabilities = fitted.predict_proba(X[60:])
    assert probabilities.shape == (100, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(
        fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X[60:])
    )
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.plan_.chosen
    assert fitted.metrics_["n_train"] == 60
    estimate = fitted.metrics_["estimate"]
    assert estimate["method"] == "leave-one-out"
    low, high = estimate["accuracy_interval"]
    assert low < fitted.score(X[60:], y[60:]) <= 1
    assert low <= estimate["accuracy"] <= high
    assert fitted.metrics_["frozen_verified"]


def test_every_form_of_an_image_is_the_same(fitted: TransferClassifier, tmp_path: Path) -> None:
    X, _ = digits(6)
    expected = fitted.predict_proba(X)
    paths = []
    for i, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    forms: list[Any] = [
        np.stack([X] * 3, axis=-1),
        [Image.fromarray(image) for image in X],
        paths,
        [str(path) for path in paths],
        np.array([str(path) for path in paths]),
        np.array(paths, dtype=object),
        [X[0], paths[1], Image.fromarray(X[2]), str(paths[3]), X[4][..., None], X[5]],
    ]
    for form in forms:
        np.testing.assert_allclose(fitted.predict_proba(form), expected, atol=1e-6)


def test_images_of_mixed_sizes(tiny: TransferClassifier) -> None:
    X, y = digits(30)
    images = [Image.fromarray(x).resize((8 + i % 5, 8 + i % 3)) for i, x in enumerate(X)]
    assert clone(tiny).fit(images, y).score(images, y) > 0.9


def test_labels_of_any_kind(tiny: TransferClassifier) -> None:
    X, y = digits(30)
    # text sorts otherwise than naturally: "10" comes before "9" here
    for names in (["9", "10", "zwei"], [2.5, -1.0, 10.0], ["a b", "B", "größe"]):
        labels = np.array(names)[y]
        if labels.dtype.kind == "f":
            labels = labels * 2
        classifier = clone(tiny).fit(X, labels)
        assert classifier.classes_.tolist() == sorted(set(labels.tolist()))
        assert classifier.score(X, labels) > 0.9
        rows = np.arange(30)
        columns = np.searchsorted(classifier.classes_, labels)
        assert (classifier.predict_proba(X)[rows, columns] > 0.3).mean() > 0.9


def test_floats_need_a_range(tiny: TransferClassifier) -> None:
    X, y = digits(30)
    expected = clone(tiny).fit(X, y).predict_proba(X)
    with pytest.raises(InputError, match=r"\(255 \* images\)\.round\(\)"):
        clone(tiny).fit(X / 255, y)
    scaled = clone(tiny).set_params(pixel_range=(0, 1)).fit(X / 255, y)
    np.testing.assert_allclose(scaled.predict_proba(X / 255), expected, atol=1e-6)
    with pytest.raises(InputError, match="outside pixel_range"):
        scaled.predict(X.astype(float))
    learned = clone(tiny).set_params(pixel_range="fit").fit(X / 255 - 0.5, y)
    assert learned.pixel_range_ == (-0.5, X.max() / 255 - 0.5)
    assert learned.predict(X.astype(float)).shape == (30,)
    with pytest.raises(InputError, match="NaN"):
        learned.predict(np.full((2, 8, 8), np.nan))
    with pytest.raises(InputError, match="needs arrays"):
        clone(learned).fit(["a.png"] * 30, y)


def test_tables_need_a_shape(tiny: TransferClassifier) -> None:
    X, y = digits(30)
    table = X.reshape(30, 64)
    with pytest.raises(InputError, match="table of numbers"):
        clone(tiny).fit(table, y)
    expected = clone(tiny).fit(X, y).predict_proba(X)
    shaped = clone(tiny).set_params(image_shape=(8, 8)).fit(table, y)
    assert shaped.n_features_in_ == 64
    np.testing.assert_allclose(shaped.predict_proba(table), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"64 columns.*63 values"):
        clone(shaped).set_params(image_shape=(7, 9)).fit(table, y)
    with pytest.raises(ValueError, match="63 features"):
        shaped.predict(table[:, :63])
    with pytest.raises(SettingsError, match="image_shape cannot be"):
        clone(shaped).set_params(image_shape="row").fit(table, y)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"effort": "fats"}, "effort"),
        ({"strategy": "head", "cut": "stages.1"}, "needs strategy='cut'"),
        ({"strategy": "cut", "cut": "nowhere"}, "nowhere"),
        ({"input_size": 7}, "input_size"),
        ({"pixel_range": (1, 0)}, "pixel_range"),
        ({"pixel_range": "data"}, "pixel_range"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_parameters_are_checked_at_fit(
    tiny: TransferClassifier, changes: dict[str, Any], expected: str
) -> None:
    X, y = digits(12)
    classifier = clone(tiny).set_params(**changes)
    with pytest.raises(ValueError, match=expected):
        classifier.fit(X, y)


def test_data_are_checked(tiny: TransferClassifier, tmp_path: Path) -> None:
    X, y = digits(12)
    for labels, expected in (
        (np.zeros(12), "one class"),
        (np.linspace(0, 1, 12), "continuous"),
        (y[:5], "inconsistent"),
        (np.where(y > 0, np.nan, 0), "NaN"),
        (None, "requires y"),
    ):
        with pytest.raises(ValueError, match=expected):
            clone(tiny).fit(X, labels)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"2 of 12 images cannot be read.*file not found"):
        clone(tiny).fit([*X[:10], tmp_path / "a.png", tmp_path / "b.png"], y)
    with pytest.raises(NotFittedError):
        clone(tiny).predict(X)
    fitted = clone(tiny).fit(X, y)
    with pytest.raises(UnreadableImageError, match="not an image"):
        fitted.predict([tmp_path / "b.png"])
    nothing: Any
    for nothing in ([], X[:0]):
        with pytest.raises(InputError, match="no image"):
            fitted.predict(nothing)


def test_classes_that_look_alike_are_noted(tiny: TransferClassifier) -> None:
    X, y = digits(24)
    names = np.array(["Sound", "sound", "cracked"])[y]
    counts = [int((names == name).sum()) for name in ("Sound", "sound")]
    (note, *_) = clone(tiny).fit(X, names).metrics_["notes"]
    assert "'Sound' ({}) and 'sound' ({})".format(*counts) in note


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sample_weights", "It is called sample_weight."),
        ("class_weight", "TransferClassifier(class_weight=...)"),
        ("validation_data", "cross_val_score"),
        ("eval_set", "judge it by"),
        ("epochs", "TransferClassifier(epochs=...)"),
        ("group", "Did you mean 'groups'"),
    ],
)
def test_what_a_fit_does_not_take(tiny: TransferClassifier, name: str, expected: str) -> None:
    X, y = digits(12)
    with pytest.raises(SettingsError, match=f"fit takes no '{name}'") as caught:
        clone(tiny).fit(X, y, **{name: np.ones(12)})
    assert expected in caught.value.hint


def test_parameters_are_the_settings_of_the_model_and_the_machine() -> None:
    given, declared = TransferClassifier().get_params(), Settings()
    of_the_data = {"seed", "test_size", "groups", "train", "val", "test"}
    of_the_data |= {"task", "target", "label_separator"}
    of_the_run_folder = {"keep_features"}
    own = {"image_shape", "pixel_range", "random_state", "task"}
    assert set(given) - own == set(setting_names()) - of_the_data - of_the_run_folder
    for name in set(given) - own:
        assert given[name] == getattr(declared, name), name
    with pytest.raises(TypeError, match=r"no 'eppochs'\. Did you mean 'epochs'"):
        TransferClassifier(eppochs=3)  # type: ignore[call-arg]


def test_old_parameters_are_taken_with_a_word(tiny: TransferClassifier) -> None:
    with pytest.warns(DeprecationWarning, match="class_weights= is called class_weight= now"):
        old = TransferClassifier(class_weights="balanced")  # type: ignore[call-arg]
    assert old.get_params() == TransferClassifier(class_weight="balanced").get_params()
    with pytest.warns(DeprecationWarning, match="near_duplicates= is called"):
        assert clone(old).set_params(near_duplicates=False).group_near_duplicates is False
    # as a pickle of 0.1 has it
    state = {**vars(tiny), "class_weights": "balanced"}
    del state["class_weight"], state["activation_dtype"]
    unpickled = TransferClassifier.__new__(TransferClassifier)
    unpickled.__setstate__(state)
    assert unpickled.get_params() == clone(tiny).set_params(class_weight="balanced").get_params()


def test_images_count_as_much_as_they_are_weighed(tiny: TransferClassifier) -> None:
    assert has_fit_parameter(tiny, "sample_weight")
    X, y = digits(60)
    wrong = np.where(np.arange(60) % 5 < 2, (y + 1) % 3, y)
    new, truth = (part[60:] for part in digits(160))
    weights = np.where(wrong == y, 1.0, 0.0)
    weighed = clone(tiny).fit(X, wrong, sample_weight=weights)
    clean = clone(tiny).fit(X[wrong == y], y[wrong == y])
    np.testing.assert_array_equal(weighed.predict_proba(new), clean.predict_proba(new))
    assert weighed.metrics_["n_train"] == 36
    weights[wrong != y] = 0.05
    hardly = clone(tiny).fit(X, wrong, weights).score(new, truth)
    assert hardly > clone(tiny).fit(X, wrong, np.full(60, 2.0)).score(new, truth) + 0.03
    # what scikit-learn hands on arrives
    voting = VotingClassifier([("a", clone(tiny))]).fit(X, wrong, sample_weight=weights)
    assert voting.score(new, truth) == pytest.approx(hardly)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1.0] * 11 + [-1.0], "image 11: a weight cannot be -1"),
        ([1.0] * 11 + [np.nan], "image 11: a weight cannot be"),
        ([0.0] * 12, "every weight is zero"),
        ([1.0] * 11, "inconsistent numbers of samples"),
        (np.ones((12, 2)), "1d array"),
    ],
)
def test_weights_that_are_none_are_told(
    tiny: TransferClassifier, weights: Any, expected: str
) -> None:
    X, y = digits(12)
    with pytest.raises(ValueError, match=expected):
        clone(tiny).fit(X, y, sample_weight=weights)


def test_a_class_without_an_image_that_counts_is_none(tiny: TransferClassifier) -> None:
    X, y = digits(24)
    found = clone(tiny).fit(X, y, sample_weight=(y != 2).astype(float))
    assert found.classes_.tolist() == [0, 1]
    with pytest.raises(InputError, match="All images belong to one class"):
        clone(tiny).fit(X, y, sample_weight=(y == 1).astype(float))


def test_a_grid_over_strategies_shares_the_frozen_work(tiny: TransferClassifier) -> None:
    X, y = digits(160)
    X, y = X[100:], y[100:]
    grid = GridSearchCV(
        make_pipeline(FunctionTransformer(np.array), clone(tiny)),
        [
            {"transferclassifier__strategy": ["head"]},
            {
                "transferclassifier__strategy": ["cut"],
                "transferclassifier__cut": ["stages.1"],
                "transferclassifier__epochs": [1],
            },
        ],
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert grid.best_score_ > 0.85
    assert len(grid.cv_results_["params"]) == 2
    # every image was seen in the folds, so the last fit ran the network on none
    assert grid.best_estimator_[-1].metrics_["images_computed"] == 0
    trained = clone(tiny).set_params(strategy="cut", cut="stages.1", epochs=1).fit(X, y)
    assert trained.plan_.chosen.startswith("cut after stages.1")
    assert trained.plan_.cut == "stages.1"


def test_cross_validation_with_groups(tiny: TransferClassifier) -> None:
    X, y = digits(60)
    scores = cross_val_score(clone(tiny), list(X), y, cv=2)
    # random weights, three classes, 30 images to learn from
    assert scores.mean() > 0.7
    grouped = clone(tiny).fit(X, y, groups=np.arange(60) // 2)
    assert grouped.metrics_["n_train"] == 60


def test_same_state_same_result(tiny: TransferClassifier, fitted: TransferClassifier) -> None:
    X, y = digits()
    np.testing.assert_array_equal(clone(tiny).fit(X, y).predict_proba(X), fitted.predict_proba(X))
    drawn = clone(tiny).set_params(random_state=np.random.RandomState(3)).fit(X, y)
    assert drawn.score(X, y) > 0.9


def test_files_and_other_processes(fitted: TransferClassifier, tmp_path: Path) -> None:
    X, _ = digits(10)
    expected = fitted.predict_proba(X)
    joblib.dump(fitted, tmp_path / "classifier.joblib")
    np.save(tmp_path / "x.npy", X)
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "classifier.joblib").predict_proba(X), expected
    )
    code = (
        "import os, sys, joblib, numpy as np;"
        f"os.chdir({str(tmp_path)!r});"
        "np.save('p.npy', joblib.load('classifier.joblib').predict_proba(np.load('x.npy')));"
        "print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # prediction needs no PyTorch
    assert said.stdout.strip() == "False"
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected, atol=1e-6)
    # the state is plain: a model folder's bytes
    folder = fitted.model_.save(tmp_path / "model")
    assert {path.name for path in folder.iterdir()} == {
        "model.json", "model.onnx", "weights.safetensors", "familiar.safetensors",
    }  # fmt: skip
    model = load(folder)
    np.testing.assert_allclose(model.predict_proba(list(X)), expected, atol=1e-6)
    assert model.predict(list(X)) == [str(c) for c in fitted.predict(X)]


def test_its_models_tell_what_is_unlike_all_training_images(
    fitted: TransferClassifier, tmp_path: Path
) -> None:
    model = load(fitted.model_.save(tmp_path / "model"))
    X, _ = digits(160)
    strange = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    known = _unknown(model, X[60:])
    assert None not in known
    assert sum(map(bool, known)) < 0.3 * len(known)
    assert all(_unknown(model, strange))
    again = copy.deepcopy(fitted).model_
    assert (again.save(tmp_path / "again") / "familiar.safetensors").exists()


def _unknown(model: Model, images: Array) -> list[bool | None]:
    found = list(model.predict_each(list(images)))
    return [one.unknown for one in found if not isinstance(one, UnreadableImageError)]


def test_models_of_before_they_knew_what_is_unfamiliar_still_load(
    fitted: TransferClassifier, tmp_path: Path
) -> None:
    fitted.model_.save(tmp_path)
    older = PackedModel.read(RELEASED)
    # as the state of an older pickle
    model = PackedModel.__new__(PackedModel)
    model.__dict__.update(older.__getstate__())
    load(model.save(tmp_path))
    assert not (tmp_path / "familiar.safetensors").exists(), "of the model before"


def test_costs_and_metrics_change_the_answer_alone(tiny: TransferClassifier) -> None:
    X, y = digits()
    # by value, not by name, 10 comes last
    y = np.array([2, 10, 1])[y]
    costs = {str(true): {str(other): 1.0 for other in (1, 2, 10)} for true in (1, 2, 10)}
    for name in costs:
        costs[name][name] = 0.0
    costs["10"] = {"1": 1000.0, "2": 1000.0, "10": 0.0}
    plain = clone(tiny).fit(X, y)
    dear = clone(tiny).set_params(costs=costs).fit(X, y)
    assert (dear.predict(X) == 10).sum() > (plain.predict(X) == 10).sum()
    table = np.array([[costs[str(true)][str(said)] for said in (1, 2, 10)] for true in (1, 2, 10)])
    cheapest = (dear.predict_proba(X) @ table).argmin(axis=1)
    assert dear.predict(X).tolist() == np.array([1, 2, 10])[cheapest].tolist()
    assert dear.model_.open(threads=1, workers=0, max_pixels=10**6).card.metric == "cost"
    assert clone(dear).get_params()["costs"] == costs


def test_it_transforms_images_into_what_its_head_reads(fitted: TransferClassifier) -> None:
    X, _ = digits(8)
    found = fitted.transform(X)
    names = fitted.get_feature_names_out()
    assert found.dtype == np.float32
    assert found.shape == (8, len(names))
    assert names[0] == "transferclassifier0"
    opened = fitted.model_.open(threads=1, workers=0, max_pixels=10**6, embeddings=True)
    np.testing.assert_array_equal(found, opened.transform(list(X)))
    framed = copy.deepcopy(fitted).set_output(transform="pandas")
    table = framed.transform(X)
    assert list(table.columns) == list(names)
    np.testing.assert_array_equal(table.to_numpy(), found)
    with pytest.raises(InputError, match="no image"):
        fitted.transform([])
