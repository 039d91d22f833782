"""Transfer learning that measures, decides and shows its work.

Importing this package is cheap: everything heavy loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from frostline.onnx_runtime import be_silent

if TYPE_CHECKING:
    from frostline.artifact.evaluate import evaluate
    from frostline.artifact.model import Model
    from frostline.backbone.freezing import freeze, unfreeze
    from frostline.backbone.groups import (
        add_new_groups,
        optimizer_state,
        param_groups,
        restore_optimizer,
    )
    from frostline.backbone.network import Network, split
    from frostline.backbone.new_heads import new_head
    from frostline.backbone.surgery import adapt_input, replace_classifier
    from frostline.backbone.weights import fingerprint
    from frostline.estimator import TransferClassifier
    from frostline.exporting.export import export
    from frostline.pipeline import advise, fit

    load = Model.load

__version__ = "0.1.0"

# before any library is imported that reads it, and for every child process
be_silent()

_HOMES = {
    "Model": "frostline.artifact.model",
    "Network": "frostline.backbone.network",
    "TransferClassifier": "frostline.estimator",
    "adapt_input": "frostline.backbone.surgery",
    "add_new_groups": "frostline.backbone.groups",
    "advise": "frostline.pipeline",
    "evaluate": "frostline.artifact.evaluate",
    "export": "frostline.exporting.export",
    "fingerprint": "frostline.backbone.weights",
    "fit": "frostline.pipeline",
    "freeze": "frostline.backbone.freezing",
    "load": "frostline.artifact.model",
    "new_head": "frostline.backbone.new_heads",
    "optimizer_state": "frostline.backbone.groups",
    "param_groups": "frostline.backbone.groups",
    "replace_classifier": "frostline.backbone.surgery",
    "restore_optimizer": "frostline.backbone.groups",
    "split": "frostline.backbone.network",
    "unfreeze": "frostline.backbone.freezing",
}

__all__ = [
    "Model",
    "Network",
    "TransferClassifier",
    "__version__",
    "adapt_input",
    "add_new_groups",
    "advise",
    "evaluate",
    "export",
    "fingerprint",
    "fit",
    "freeze",
    "load",
    "new_head",
    "optimizer_state",
    "param_groups",
    "replace_classifier",
    "restore_optimizer",
    "split",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home.Model.load if name == "load" else getattr(home, name)
