"""scikit-learn's own checks; the classifier that is checked stands in the benchmarks."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

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


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [_checks.tiny_classifier(Path(_FOLDER.name))],
    expected_failed_checks=lambda estimator: _checks.EXCEPTIONS,
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_images_are_declared() -> None:
    from frostline import TransferClassifier

    tags = TransferClassifier().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.target_tags.required
