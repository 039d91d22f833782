"""scikit-learn's own checks; the classifier that is checked stands in the benchmarks."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

_SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "estimator_checks.py"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("estimator_checks", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_checks = _script()
#: lives as long as the tests: clones read the network's weights in every fit
_FOLDER = tempfile.TemporaryDirectory(prefix="frostline-checks-")


_CHECKS = list(
    estimator_checks_generator(
        _checks.tiny_classifier(Path(_FOLDER.name)),
        expected_failed_checks=_checks.EXCEPTIONS,
        mark="xfail",
    )
)


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


def test_images_are_declared() -> None:
    from frostline import TransferClassifier

    tags = TransferClassifier().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.target_tags.required
