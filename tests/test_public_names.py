"""The public names: listed once, loaded when they are used, old ones with a word."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from torch import nn

import frostline
import frostline.nn

#: every public name of 0.1
OF_0_1 = (
    *("Model", "Network", "TransferClassifier", "__version__", "adapt_input", "add_new_groups"),
    *("advise", "evaluate", "export", "fingerprint", "fit", "freeze", "load", "new_head"),
    *("optimizer_state", "param_groups", "replace_classifier", "restore_optimizer", "split"),
    "unfreeze",
)
CHANGES = Path(__file__).parents[1] / "docs" / "changes.md"
_ROW = re.compile(r"^\| `frostline\.(\w+)` \| `frostline\.nn\.(\w+)` \|$", re.MULTILINE)


def moved() -> dict[str, str]:
    """Read the old names and the new ones where people do."""
    return dict(_ROW.findall(CHANGES.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", OF_0_1)
def test_names_of_the_first_release_work(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = getattr(frostline, name)
    if name in moved():
        assert value is getattr(frostline.nn, moved()[name])
        (said,) = caught
        assert said.category is DeprecationWarning
        assert said.filename == __file__
        assert f"frostline.nn.{moved()[name]}" in str(said.message)
    else:
        assert name in frostline.__all__
        assert not caught


def test_public_names_exist() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in frostline.__all__:
            assert getattr(frostline, name) is not None
    assert set(frostline.__all__) <= set(dir(frostline))
    assert not set(moved()) & set(frostline.__all__)
    assert not hasattr(frostline, "no_such_name")


def test_every_error_can_be_caught_by_its_public_name() -> None:
    from frostline.core import errors

    raised = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, frostline.FrostlineError)
    }
    assert raised <= set(frostline.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, frostline; dir(frostline); from frostline import FrostlineError;"
        "print([m for m in ('torch', 'numpy', 'pydantic', 'PIL', 'typer') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_old_keywords_are_taken_with_a_word() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.warns(DeprecationWarning, match="decay= is called layer_decay= now") as caught:
        old = frostline.nn.param_groups(module, lr=1.0, decay=0.5)  # type: ignore[call-arg]
    assert caught[0].filename == __file__
    new = frostline.nn.param_groups(module, lr=1.0, layer_decay=0.5)
    assert [group["lr"] for group in old] == [group["lr"] for group in new] == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("errors.InputError", "InputError"),
        ("estimator.TransferClassifier", "integrations.sklearn.TransferClassifier"),
        ("tracking.log_run", "integrations.tracking.log_run"),
        ("lightning.FrostlineFreeze", "integrations.lightning.FrostlineFreeze"),
    ],
)
def test_modules_of_the_first_release_are_found(old: str, new: str) -> None:
    module, name = f"frostline.{old}".rsplit(".", 1)
    here, _ = f"frostline.{new}".rsplit(".", 1)
    with pytest.warns(DeprecationWarning, match=f"{old} is called frostline.{new} now") as caught:
        value = getattr(importlib.import_module(module), name)
    assert value is getattr(importlib.import_module(here), name)
    assert caught[0].filename == __file__
    assert not hasattr(importlib.import_module(module), "no_such_name")
