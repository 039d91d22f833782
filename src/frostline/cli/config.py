"""Settings from a file: JSON, TOML or YAML; the ``settings.json`` of a run is one."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text

from frostline.cli.console import err
from frostline.core.aliases import under_current_names
from frostline.core.errors import SettingsError, did_you_mean
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.core.settings import setting_names
from frostline.run.run_folder import RUN_FORMAT_KEY

#: what a run keeps beside its settings
_SOURCE, _PLAN = "source", "plan"


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings that a file names, under their names of today.

    Raises SettingsError if it cannot be read, is no table of settings, or names one that does not
    exist.
    """
    try:
        text = read_regular(path, at_most=JSON_BYTES).decode("utf-8")
        read = _reader(path)(text)
    except (UnfitFileError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None
    if not isinstance(read, dict):
        raise SettingsError(f"{path} must hold names and values of settings.")
    values = under_current_names({str(name): value for name, value in read.items()}, quiet=True)
    for name in (_SOURCE, RUN_FORMAT_KEY):
        values.pop(name, None)
    if values.pop(_PLAN, None) is not None:
        err.print(
            Text(f"The run of {path} carried out a plan; give it with --plan to do so again.")
        )
    for name in values:
        if name not in (known := setting_names()):
            hint = did_you_mean(name, known) or f"Settings: {', '.join(known)}."
            raise SettingsError(f"{path}: there is no setting {name!r}.", hint=hint)
    return values


def _reader(path: Path) -> Callable[[str], Any]:
    ending = path.suffix.lower()
    if ending == ".toml":
        return tomllib.loads
    if ending not in (".yaml", ".yml"):
        return json.loads
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise SettingsError(
            f"Reading {path} needs PyYAML.", hint="pip install pyyaml, or write JSON or TOML."
        ) from None

    def read(text: str) -> Any:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None

    return read
