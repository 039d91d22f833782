"""Settings: one declaration, for the command line, the estimator and editors alike."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from frostline.core.aliases import SETTINGS
from frostline.core.errors import SettingsError
from frostline.core.settings import About, Settings, SettingsDict, setting_names

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"

#: what stands in the settings.json of a run of 0.1, beside its source and plan
KEYS_OF_0_1 = (
    *("strategy", "effort", "budget", "seed", "backbone", "input_size", "weights", "cut"),
    *("train_all", "test_fraction", "group_by", "train", "val", "test", "workers", "threads"),
    *("device", "precision", "activations", "max_pixels", "near_duplicates", "epochs"),
    *("batch_size", "learning_rate", "label_smoothing", "class_weights", "augment"),
)


def arms(hint: Any) -> set[Any]:
    """Split a union, and a choice into what it chooses from."""
    if get_origin(hint) in (Union, types.UnionType, Literal):
        return {part for one in get_args(hint) for part in arms(one)}
    return {hint}


def test_editors_are_told_what_there_is() -> None:
    declared, told = get_type_hints(Settings), get_type_hints(SettingsDict)
    assert set(told) == set(declared) == set(setting_names())
    for name, hint in declared.items():
        assert arms(hint) <= arms(told[name]), name


def test_files_keep_their_keys_and_values() -> None:
    # keys may be added
    assert tuple(key for key in Settings().to_json() if key in KEYS_OF_0_1) == KEYS_OF_0_1
    assert Settings().to_json()["activations"] == "half"
    assert Settings(activation_dtype="uint8", class_weight="balanced").to_json() == {
        **Settings().to_json(),
        "activations": "8bit",
        "class_weights": "balanced",
    }


@pytest.mark.parametrize(
    ("old", "value", "new", "current"),
    [
        ("test_fraction", 0.3, "test_size", 0.3),
        ("group_by", "patient", "groups", "patient"),
        ("activations", "8bit", "activation_dtype", "uint8"),
        ("near_duplicates", False, "group_near_duplicates", False),
        ("class_weights", "balanced", "class_weight", "balanced"),
    ],
)
def test_old_names_are_taken_with_a_word(old: str, value: Any, new: str, current: Any) -> None:
    assert SETTINGS[old] == new
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settings = Settings(**{old: value})
    assert settings == Settings(**{new: current})
    (said,) = caught
    assert said.category is DeprecationWarning
    assert f"{old}= is called {new}= now" in str(said.message)
    assert said.filename == __file__
    with pytest.raises(SettingsError, match="are one thing"):
        Settings(**{old: value, new: current})


def test_lists_say_what_text_with_commas_says() -> None:
    listed = Settings(backbone=["a", "b"], input_size=(64, 96))
    assert listed == Settings(backbone="a,b", input_size="64,96")
    assert listed.backbones == ("a", "b")
    assert listed.input_sizes == (64, 96)
    assert Settings(input_size=64).input_sizes == (64,)
    # as scikit-learn has it
    assert Settings(class_weight=None).class_weight == "none"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"seed": -1}, "Setting 'seed' cannot be -1: input should be greater than or equal to 0."),
        ({"seed": 2**31}, "less than 2147483648"),
        ({"epochs": 0}, "or equal to 1; or input should be 'auto'."),
        ({"learning_rate": 0}, "greater than 0"),
        ({"test_size": 0.6}, "'test_size' cannot be 0.6"),
        (
            {"class_weight": "blanced"},
            "one of 'auto', 'none', 'balanced'. Did you mean 'balanced'?",
        ),
        ({"input_size": [64, 16]}, "pixels from 32 to 1024"),
        ({"backbone": ["a", ""]}, "a name is missing"),
        ({"backbone": []}, "a name is missing"),
        ({"budget": "5 days"}, "must look like '90s'"),
        ({"budget": 90}, "valid string"),
        ({"val": "../elsewhere"}, "must name a sub-folder"),
        ({"test_sise": 0.2}, "Did you mean 'test_size'"),
        ({"cut": "a"}, "cut='a' needs strategy='cut'"),
        ({"train_all": True}, "train_all needs strategy='cut'"),
        ({"backbone": "a,b", "weights": "w"}, "Weights belong to one backbone"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(values: Any, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    assert expected in str(caught.value)


def test_settings_are_plain_values() -> None:
    settings = Settings(seed=3, weights="a/b")
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301
    assert dataclasses.replace(settings, effort="fast").seed == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 4  # type: ignore[misc]
    with pytest.raises(SettingsError):
        dataclasses.replace(settings, seed=-1)


def test_the_page_of_settings_says_what_the_declaration_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        (about,) = (one for one in hint.__metadata__ if isinstance(one, About))
        text = about.help.replace("'frostline models'", "`frostline models`")
        heading, row = f"## {about.panel}", f"| `{name}` | `{getattr(Settings, name)}` | {text} |"
        assert page.count(f"{row}\n") == 1, row
        assert page.index(heading) < page.index(row)
        assert "## " not in page[page.index(heading) + len(heading) : page.index(row)]


def test_declaring_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys, frostline.core.settings, frostline.cli.main;"
        "print([m for m in ('pydantic', 'numpy', 'torch') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
