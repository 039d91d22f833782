"""Transfer learning that measures, decides and shows its work.

Importing this package is cheap: everything heavy loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frostline.artifact.evaluate import evaluate
    from frostline.artifact.model import Model
    from frostline.backbone.freezing import freeze, unfreeze
    from frostline.backbone.groups import param_groups
    from frostline.backbone.network import Network
    from frostline.pipeline import advise, fit

    load = Model.load

__version__ = "0.1.0"

_HOMES = {
    "Model": "frostline.artifact.model",
    "Network": "frostline.backbone.network",
    "advise": "frostline.pipeline",
    "evaluate": "frostline.artifact.evaluate",
    "fit": "frostline.pipeline",
    "freeze": "frostline.backbone.freezing",
    "load": "frostline.artifact.model",
    "param_groups": "frostline.backbone.groups",
    "unfreeze": "frostline.backbone.freezing",
}

__all__ = [
    "Model",
    "Network",
    "__version__",
    "advise",
    "evaluate",
    "fit",
    "freeze",
    "load",
    "param_groups",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home.Model.load if name == "load" else getattr(home, name)
