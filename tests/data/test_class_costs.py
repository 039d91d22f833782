"""Costs of mistakes, from files and tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frostline.core.errors import SettingsError
from frostline.core.settings import Settings
from frostline.data.class_costs import costs_as_json, read_class_costs

_CLASSES = ("apple", "fly agaric", "chanterelle")


def _file(folder: Path, text: str) -> str:
    path = folder / "costs.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_names_not_places_say_which_cost_is_whose(tmp_path: Path) -> None:
    text = "\ufefftrue, chanterelle ,apple,fly agaric\nfly agaric,100,50,0\n\napple,1,0,1\n"
    given = _file(tmp_path, text + "chanterelle,0,1,2.5\n")
    expected = ((0.0, 1.0, 1.0), (50.0, 0.0, 100.0), (1.0, 2.5, 0.0))
    assert read_class_costs(given, _CLASSES) == expected
    # a run keeps what stood in the file, and reads that as well
    assert read_class_costs(costs_as_json(given), _CLASSES) == expected
    table: dict[str, dict[str, float]] = {
        "apple": {"fly agaric": 1, "chanterelle": 1},
        "fly agaric": {"apple": 50, "chanterelle": 100},
        "chanterelle": {"apple": 1, "fly agaric": 2.5},
    }
    settings = Settings(costs=table)
    assert settings.costs is not None
    assert read_class_costs(settings.costs, _CLASSES) == expected
    assert Settings(costs=Path(given)).costs == given


_HEAD = "true,apple,fly agaric,chanterelle\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no table of classes by classes"),
        (_HEAD.replace("apple", "aple"), "holds no table"),
        (_HEAD + "apple,0,1,1\nfly agarik,1,0,1\nchanterelle,1,1,0", "Did you mean 'fly agaric'?"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,0,1", "chanterelle is missing"),
        ("true,apple,fly agaric\napple,0,1", "fly agaric, chanterelle is missing"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,0\nchanterelle,1,1,0", "has 2 costs for 3 answers"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,0,x\nchanterelle,1,1,0", "cannot cost 'x'"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,0,-2\nchanterelle,1,1,0", "cannot cost '-2'"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,0,nan\nchanterelle,1,1,0", "cannot cost 'nan'"),
        (_HEAD + "apple,0,1,1\nfly agaric,1,3,1\nchanterelle,1,1,0", "it must cost 0"),
        (_HEAD + "apple,0,0,0\nfly agaric,0,0,0\nchanterelle,0,0,0", "no mistake costs anything"),
        (_HEAD + "apple,0,1,1\napple,0,1,1\nchanterelle,1,1,0", "'apple' has two rows"),
        ("true,apple,apple\nfly agaric,0,1", "'apple' has two columns"),
    ],
)
def test_wrong_tables_are_refused_by_name(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_class_costs(_file(tmp_path, text), _CLASSES)
    assert expected in str(caught.value)
    assert "costs.csv" in str(caught.value)


@pytest.mark.parametrize("given", ["nowhere.csv", "{", "{1: 2}", json.dumps({"apple": 3})])
def test_what_is_no_table_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"costs|Costs"):
        read_class_costs(given, _CLASSES)


def test_costs_and_a_metric_are_at_odds() -> None:
    with pytest.raises(SettingsError, match="not both"):
        Settings(costs="costs.csv", metric="macro_f1")
    with pytest.raises(SettingsError, match="balanced_accuracy"):
        Settings(metric="kappa")  # type: ignore[arg-type]
