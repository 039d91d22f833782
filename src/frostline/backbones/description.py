"""What is known of a network beside its weights: enough to run, cut and describe it frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from frostline.backbones.families import UNKNOWN, Family
from frostline.core.cuts import Cut, Part
from frostline.core.errors import BackboneError
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.core.preprocessing import Preprocessing

#: raised when older files can no longer be read
FORMAT = 1
_FOLDER = Path(__file__).parent / "descriptions"
#: a graph without weights has about a hundred kilobytes
GRAPH_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """A network without its weights.

    Attributes
    ----------
    cuts, inner_cuts : tuple of Cut
        Ends of stages and blocks, by depth; and every place where one tensor passes.
    last : str
        The deepest that a new head can sit on.
    last_map : str
        The deepest feature map; empty where that is ``last``.
    pooling : tuple of str
        What tokens are read as.
    family : Family
    taps : tuple of str
    shapes : dict of str to tuple of int
        Every tensor of the state dict, in its order; weights files are matched by it.
    features : tuple of str
        The tensors of the layers up to ``last``.
    scopes : tuple of tuple of str
        The modules that each step of the network lies in.
    stages, norms : tuple of str
        Names of the stages, and of the norm layers with weights.
    filters : str or None
        The weight of the convolution that reads the image.
    classifier : str or None
        Path of the linear layer that gives the logits of ImageNet's 1,000 classes.
    classifier_from : int
        First of the pooled columns at ``last`` that it reads.
    weights_id : str
        Fingerprint of ``features``, as they should be.
    """

    name: str
    licence: str
    preprocessing: Preprocessing
    weights_id: str
    cuts: tuple[Cut, ...]
    inner_cuts: tuple[Cut, ...]
    last: str
    taps: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    features: tuple[str, ...]
    scopes: tuple[tuple[str, ...], ...]
    stages: tuple[str, ...]
    norms: tuple[str, ...]
    filters: str | None = None
    classifier: str | None = None
    classifier_from: int = 0
    last_map: str = ""
    pooling: tuple[Part, ...] = ()
    family: Family = UNKNOWN
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def to_json(self) -> str:
        """Return it as JSON."""
        found: dict[str, Any] = {**asdict(self), "preprocessing": None}
        found["preprocessing"] = self.preprocessing.model_dump(mode="json")
        return json.dumps(found, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> NetworkDescription:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        BackboneError
            If it is damaged or of another format.
        """
        try:
            found: NetworkDescription = TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            raise BackboneError(f"A network's description is damaged: {error}.") from None
        if found.format != FORMAT:
            raise BackboneError(f"A network's description has format {found.format}, not {FORMAT}.")
        return found


def shipped(name: str) -> tuple[NetworkDescription, bytes]:
    """Return description and graph of a bundled network.

    Raises
    ------
    BackboneError
        If they are missing or damaged.
    """
    try:
        text = read_regular(_FOLDER / f"{name}.json", at_most=JSON_BYTES)
        graph = read_regular(_FOLDER / f"{name}.onnx", at_most=GRAPH_BYTES)
    except UnfitFileError as error:
        raise BackboneError(
            f"The description of {name!r} cannot be read: {error}.",
            hint="Reinstall frostline: pip install --force-reinstall frostline",
        ) from None
    return NetworkDescription.from_json(text), graph


def imagenet_classes() -> tuple[str, ...]:
    """Return the short names of ImageNet's 1,000 classes, in their order."""
    return tuple((_FOLDER / "imagenet_1k.txt").read_text(encoding="utf-8").splitlines())
