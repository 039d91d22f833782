"""Transfer learning that measures, decides and shows its work.

Importing this package is cheap: everything heavy loads when it is first used. The public names
stand in one list, ``__init__.pyi``, where editors and type checkers read them too; what works on
networks alone is in :mod:`frostline.nn`.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

from frostline._version import __version__
from frostline.core.extras import needing_extras
from frostline.core.onnx_runtime import be_silent

# before any library is imported that reads it, and for every child process
be_silent()

#: names that were here in 0.1
_MOVED_TO_NN = (
    *("adapt_input", "add_new_groups", "fingerprint", "new_head", "optimizer_state"),
    *("param_groups", "replace_classifier", "restore_optimizer", "split", "unfreeze"),
)


def _listed() -> dict[str, str]:
    """Return the module of every public name, from the list beside this file."""
    listed = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.name: node.module
        for node in listed.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


_HOMES = _listed()
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _MOVED_TO_NN:
        from frostline.core.aliases import warn_of_old_name

        warn_of_old_name(f"frostline.{name}", f"frostline.nn.{name}")
        return getattr(importlib.import_module("frostline.nn"), name)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extras(f"frostline.{name}"):
        if _HOMES[name] == __name__:
            return importlib.import_module(f"{__name__}.{name}")
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
