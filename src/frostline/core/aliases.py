"""Names that have changed: what people may still write, and what files go on saying."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from frostline.core.errors import SettingsError

P = ParamSpec("P")
R = TypeVar("R")

#: settings under their names of 0.1, which files of runs keep, and their names of today
SETTINGS = {
    "test_fraction": "test_size",
    "group_by": "groups",
    "activations": "activation_dtype",
    "near_duplicates": "group_near_duplicates",
    "class_weights": "class_weight",
}
#: keywords of :func:`frostline.nn.param_groups`
PARAM_GROUPS = {"decay": "layer_decay"}
#: what scales the penalty of a ridge, and its key in files
_KEYS = {"alpha": "strength"}
#: values that were called otherwise, by the name of today of what they belong to
_VALUES = {"activation_dtype": {"half": "float16", "8bit": "uint8"}}
#: the release that knows the old names no more
GOES_WITH = "0.3"

_HERE = str(Path(__file__).parents[1])


def under_current_names(
    values: Mapping[str, Any], names: Mapping[str, str] = SETTINGS, *, quiet: bool = False
) -> dict[str, Any]:
    """Return values under the names of today; old ones are taken with a DeprecationWarning.

    Raises SettingsError if something is given under both of its names.

    ``names``: old names and those of today. ``quiet``: without a warning: what a file says, nobody
    has to write anew.
    """
    current: dict[str, Any] = {}
    for name, value in values.items():
        new = names.get(name, name)
        if new in current:
            raise SettingsError(f"{name!r} and {new!r} are one thing; give {new!r} alone.")
        if new != name:
            value = _VALUES.get(new, {}).get(value, value) if isinstance(value, str) else value
            if not quiet:
                warn_of_old_name(f"{name}=", f"{new}=")
        current[new] = value
    return current


def as_kept_in_files(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the keys, and with the values, that files of runs have had from 0.1."""
    old_names = {new: old for old, new in SETTINGS.items()}
    kept = {}
    for name, value in values.items():
        old_values = {new: old for old, new in _VALUES.get(name, {}).items()}
        kept[old_names.get(name, name)] = old_values.get(value, value)
    return kept


def key_in_files(name: str) -> str:
    """Return the key that files have for a value of a ridge."""
    return _KEYS.get(name, name)


def takes_old_names(names: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take keywords under their old names too."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            current: Any = under_current_names(kwargs, names)
            return function(*args, **current)

        return called

    return decorate


def moved_module(old: str, new: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that has another name now."""

    def look_up(name: str) -> Any:
        value = getattr(importlib.import_module(new), name)
        # the import system and those who look at modules ask for names of its own
        if not name.startswith("__"):
            warn_of_old_name(f"{old}.{name}", f"{new}.{name}")
        return value

    return look_up


def warn_of_old_name(old: str, new: str) -> None:
    """Say to whoever calls into the package that a name has changed."""
    warnings.warn(
        f"{old} is called {new} now; the old name goes with release {GOES_WITH}.",
        DeprecationWarning,
        stacklevel=_levels_to_the_caller(),
    )


def _levels_to_the_caller() -> int:
    """Count the frames from :func:`warn_of_old_name` to the first outside of the package."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, levels = frame.f_back, levels + 1
    return levels
