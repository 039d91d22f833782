"""scikit-learn's own checks of both estimators."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.utils.estimator_checks import estimator_checks_generator

from frostline import TransferClassifier, TransferRegressor

pytestmark = pytest.mark.slow

_NETWORK = "test_byobnet"


def _tiny(folder: Path) -> list[TransferClassifier | TransferRegressor]:
    """Return the estimators that are checked; their network's weights lie in ``folder``."""
    torch.manual_seed(0)
    network = timm.create_model(_NETWORK, pretrained=False)
    # statistics of its own activations, as a trained network has: without them features hardly
    # differ from image to image, and rounding is all that a head could learn from
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(64, 3, 64, 64))
    weights = folder / f"{_NETWORK}.safetensors"
    save_file(network.state_dict(), weights)
    options: dict[str, Any] = {
        "weights": weights,
        "effort": "fast",
        "input_size": 32,
        "image_shape": "tiles",
        "pixel_range": "fit",
    }
    return [TransferClassifier(_NETWORK, **options), TransferRegressor(_NETWORK, **options)]


#: lives as long as the tests: clones read the network's weights in every fit
_FOLDER = tempfile.TemporaryDirectory(prefix="frostline-checks-")


#: what scikit-learn asks of every estimator with a parameter of that name
_EXCEPTED = {
    "check_class_weight_classifiers": "class_weight is 'balanced' or 'none', no dict of weights",
    "check_sample_weight_equivalence_on_dense_data": (
        "an image that is there twice is a copy, and left out together with the first"
    ),
}

_CHECKS = [
    check
    for one in _tiny(Path(_FOLDER.name))
    for check in estimator_checks_generator(one, expected_failed_checks=_EXCEPTED, mark="skip")
]


def _name(number: int, check: Any) -> str:
    """Return what every process calls it: the estimator's own text holds a temporary path."""
    return f"{number}-{getattr(check, 'func', check).__name__}"


# what parametrize_with_checks does, but for the names
@pytest.mark.parametrize(
    ("estimator", "check"),
    _CHECKS,
    ids=[_name(i, check) for i, (_, check) in enumerate(_CHECKS)],
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [TransferClassifier, TransferRegressor])
def test_images_are_declared(kind: type[TransferClassifier | TransferRegressor]) -> None:
    tags = kind().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.target_tags.required
