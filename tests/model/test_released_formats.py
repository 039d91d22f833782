"""Model folders of every format that was ever written predict what they predicted then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from frostline.backbones.load.dispatch import load_source
from frostline.core.errors import BackboneError, RunFolderError
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.card import WITH_OPERATING
from frostline.model_format.model_folder import FORMATS, load_card

RELEASED = Path(__file__).parent / "released"
NEWEST = WITH_OPERATING


@pytest.mark.parametrize("version", FORMATS)
def test_a_released_model_predicts_the_same(version: int) -> None:
    folder = RELEASED / f"format-{version}"
    expected = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    model = Model.load(folder, threads=1)
    assert model.card.format_version == version
    assert model.classes == ("sound", "cracked", "größer")
    results = model.predict_each([RELEASED / "images" / name for name in expected])
    for result, then in zip(results, expected.values(), strict=True):
        assert isinstance(result, Prediction)
        assert result.label == then.get("label", result.label)
        assert result.abstain == then.get("abstain")
        assert list(result.set_95 or ()) == (then.get("set_95") or [])
        # other processors may round the last digits of float32 otherwise
        np.testing.assert_allclose(result.probabilities, then["probabilities"], atol=1e-5)
        if then["unfamiliarity"] is None:
            assert result.unfamiliarity is None
        else:
            assert result.unfamiliarity == pytest.approx(then["unfamiliarity"], rel=1e-3)
    spread = np.ptp([then["probabilities"] for then in expected.values()], axis=0)
    assert spread.max() > 0.1, "predictions that are all alike would test nothing"


def test_every_format_has_a_released_model() -> None:
    assert sorted(path.name for path in RELEASED.glob("format-*")) == [
        f"format-{version}" for version in FORMATS
    ]
    assert FORMATS[-1] == NEWEST


@pytest.mark.parametrize(("version", "advice"), [(0, "fit' again"), (NEWEST + 1, "Update")])
def test_other_formats_are_named(version: int, advice: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(RELEASED / f"format-{NEWEST}", folder)
    path = folder / "model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {"format_version": version, "frostline": "7.7"}))
    with pytest.raises(RunFolderError, match=rf"Frostline 7\.7 in format {version};.*{advice}"):
        load_card(folder)
    with pytest.raises(BackboneError, match=rf"Frostline 7\.7 in format {version};"):
        load_source(folder)
