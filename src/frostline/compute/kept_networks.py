"""Networks that PyTorch opened once, kept so that frozen features need PyTorch no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from frostline.backbones.described import DescribedNetwork, Origin
from frostline.backbones.description import NetworkDescription
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.cache.fact import NETWORKS, digest_of, version_of
from frostline.compute.cache.memoize import Memo, recall, remember
from frostline.core.batches import images_of_a_call
from frostline.core.errors import BackboneError, EngineError
from frostline.core.files import WEIGHTS_BYTES, UnfitFileError, digest_regular, read_regular
from frostline.core.rng import generator

if TYPE_CHECKING:
    from frostline.backbones.network import Network

#: bytes of weights that are kept, at most
MOST_BYTES = 2**30
#: what may find other weights under the same name in another version; not installed, it finds none
_FINDERS = ("torch", "torchvision", "timm")
_INDEX, _LOCAL = ".json", "local-dir:"
_REVISION_BYTES = 1000
#: images of noise that the graph is compared with PyTorch on: no batch that it was drawn from
_CHECKED = 3


@dataclass(frozen=True)
class Revision:
    """Which state of a hub's repository was read: the file of the hub's cache that says it."""

    file: str
    content: str


@dataclass(frozen=True)
class KeptNetwork:
    """A network without PyTorch.

    ``description``: as JSON. ``graph``: ONNX without weights. ``tensors``: of the layers up to
    ``last``, and of the old classifier where it is known. ``finders``: versions of the libraries
    that found the weights.
    """

    description: str
    graph: bytes
    tensors: Mapping[str, npt.NDArray[Any]]
    finders: Mapping[str, str]
    revision: Revision | None


KEPT = Memo(
    name="network",
    version=4,
    libraries=NETWORKS,
    result=KeptNetwork,
    folder="engines",
    max_bytes=MOST_BYTES + 2**27,
)


def is_kept(origin: Origin) -> bool:
    """Return whether something is kept that :func:`recall_network` may give; reads none of it."""
    key = _key(origin)
    return key is not None and KEPT.path(key).is_file()


def recall_network(origin: Origin) -> DescribedNetwork | None:
    """Return a network that was kept, if its weights would still be found to be the same."""
    key = _key(origin)
    kept = None if key is None else recall(KEPT, key)
    if kept is None or not _is_current(kept):
        return None
    if origin.weights is not None:
        # what trains may be loaded much later, from another folder
        origin = replace(origin, weights=origin.weights.absolute())
    try:
        description = NetworkDescription.from_json(kept.description)
        network = DescribedNetwork(description, kept.graph, kept.tensors, origin)
    except (BackboneError, LookupError):
        # of another version
        return None
    return network if network.weights_id == description.weights_id else None


def keep_network(network: Network, origin: Origin, *, threads: int) -> FrozenNetwork:
    """Keep a network, and return it as it will be found; itself where ONNX cannot say it.

    The graph is compared with PyTorch before anybody relies on it.
    """
    from frostline.backbones.describe import plain_bytes
    from frostline.backbones.trainable import already_loaded

    key, finders = _key(origin), {name: version_of(name) for name in _FINDERS}
    held = plain_bytes(network.module)
    if key is None or held is None or held > MOST_BYTES:
        return network
    try:
        kept = _described(network, finders)
        description = NetworkDescription.from_json(kept.description)
        known = DescribedNetwork(description, kept.graph, kept.tensors, origin)
        if known.weights_id != network.weights_id or not _agrees(known, network, threads):
            return network
    except EngineError:
        # an operation that ONNX lacks, or its runtime
        return network
    remember(KEPT, key, kept)
    already_loaded(known, network)
    return known


def _key(origin: Origin) -> str | None:
    """Return what a network is kept under; None for folders and files that name other files."""
    digest = ""
    if origin.weights is not None:
        if origin.weights.name.endswith(_INDEX):
            return None
        try:
            digest = digest_regular(origin.weights, at_most=WEIGHTS_BYTES).hexdigest
        except UnfitFileError:
            return None
    if origin.name.startswith(_LOCAL) or Path(origin.name).is_dir():
        return None
    # without the versions of libraries: it is found where they are not installed, see _is_current
    return digest_of([KEPT.name, KEPT.version, origin.name, digest, origin.size])


def _is_current(kept: KeptNetwork) -> bool:
    for name, version in kept.finders.items():
        if version_of(name) not in (version, "none"):
            return False
    if kept.revision is None:
        return True
    try:
        content = read_regular(Path(kept.revision.file), at_most=_REVISION_BYTES)
    except UnfitFileError:
        # the hub's cache is gone, and says nothing else
        return True
    return content.decode(errors="replace") == kept.revision.content


def _described(network: Network, finders: Mapping[str, str]) -> KeptNetwork:
    from frostline.backbones.describe import describe, graph_of

    description = describe(network)
    tensors = dict(network.tensors())
    state = network.module.state_dict()
    if description.classifier is not None:
        for name in (f"{description.classifier}.{what}" for what in ("weight", "bias")):
            if name in state:
                tensors[name] = state[name].detach().cpu().numpy()
    return KeptNetwork(
        description.to_json(),
        graph_of(network, moments=True),
        tensors,
        finders,
        _revision_of(network),
    )


def _revision_of(network: Network) -> Revision | None:
    """Return which state of timm's repository lies in the hub's cache."""
    from huggingface_hub import constants

    config: Any = getattr(network.module, "pretrained_cfg", None) or {}
    repository = str(config.get("hf_hub_id") or "")
    if not repository:
        return None
    folder = f"models--{repository.replace('/', '--')}"
    file = Path(constants.HF_HUB_CACHE) / folder / "refs" / "main"
    try:
        content = read_regular(file, at_most=_REVISION_BYTES)
    except UnfitFileError:
        return None
    return Revision(str(file), content.decode(errors="replace"))


def _agrees(known: DescribedNetwork, network: Network, threads: int) -> bool:
    """Whether the graph gives PyTorch's numbers."""
    from frostline.compute.engines.base import run_parts
    from frostline.compute.engines.choose import agreement
    from frostline.compute.engines.frozen_part import taps_part
    from frostline.compute.engines.onnx_engine import OnnxEngine
    from frostline.compute.engines.torch_engine import TorchEngine

    size = network.preprocessing.size
    random = generator("graph check", 0, size)
    noise = random.integers(0, 256, (_CHECKED, size, size, 3), dtype=np.uint8)
    torch_engine = TorchEngine(taps_part(network, network.taps), threads=threads)
    expected = run_parts(torch_engine, noise)
    part = taps_part(known, known.taps)
    if part.graph is None:
        return False
    batch = images_of_a_call(_CHECKED, size)
    graph = part.graph.reference()
    plain = OnnxEngine(graph, threads=threads, optimized=False, batch=batch)
    found = agreement(run_parts(plain, noise), expected, part.blocks)
    return found.close()
