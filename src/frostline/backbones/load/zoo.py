"""What can be loaded here and now: every network with its size, work, licence and whereabouts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from frostline.backbones.load.bundled import BUNDLED
from frostline.core.errors import BackboneError, did_you_mean
from frostline.core.extras import has_extra
from frostline.core.files import JSON_BYTES, UnfitFileError, peek_json, read_regular

_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".npz", ".tar")
#: names that an error lists
_SHOWN = 12


@dataclass(frozen=True)
class Measured:
    """Size and work of an architecture.

    ``parameters``: with the source classifier. ``macs``: multiply-accumulates for one image of the
    usual size. ``channels`` and ``size``: of the image: colour channels, and the side of the square
    in pixels.
    """

    family: str
    parameters: int
    macs: int
    channels: int
    size: int


@dataclass(frozen=True)
class Listed:
    """One network that :meth:`frostline.Network.load` knows by name.

    Attributes
    ----------
    name : str
        As it is given to ``--backbone``.
    origin : {"bundled", "timm", "torchvision"}
    licence : str
        Of the weights; "unknown" where the library does not say.
    source_accuracy : float or None
        ImageNet top-1 in percent as published with the weights; None where it is not.
    where : {"package", "cache", "extra", "download", "none"}
        Whether the weights are on this machine, come with an extra that is not installed, can be
        fetched, or do not exist.
    extra : str or None
        The extra that brings the weights; None where none does.
    """

    name: str
    origin: str
    measured: Measured
    licence: str
    source_accuracy: float | None
    where: str
    extra: str | None = None

    @property
    def local(self) -> bool:
        """Whether the weights are on this machine."""
        return self.where in ("package", "cache")


def measured(name: str) -> Measured:
    """Return size and work of a network by its name, tag or not, without building it.

    Raises BackboneError if the name is unknown.
    """
    if name in BUNDLED:
        name = BUNDLED[name].architecture
    if name.startswith("torchvision:"):
        return _measured_by_torchvision(name.partition(":")[2])
    entry = _table().get(name.partition(".")[0])
    if entry is None:
        raise BackboneError(
            f"Size and work of {name!r} are not known.", hint=did_you_mean(name, _table())
        )
    return entry


def listed(pattern: str = "", *, local: bool = False) -> list[Listed]:
    """List networks: bundled ones first, then torchvision's and timm's where these are installed.

    ``pattern``: a shell pattern for names, or a piece of them. ``local``: only networks whose
    weights are on this machine.
    """
    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    found: list[Listed] = []
    for source in (_bundled, _torchvision, _timm) if has_extra("train") else (_bundled,):
        for name, complete in source():
            if fnmatchcase(name.lower(), wanted.lower()):
                entry = complete()
                if entry.local or not local:
                    found.append(entry)
    return found


_Row = tuple[str, Callable[[], Listed]]


def _bundled() -> Iterator[_Row]:
    for network in BUNDLED.values():

        def complete(network: Any = network) -> Listed:
            try:
                network.weights_file()
                where = "package"
            except BackboneError:
                where = "download" if network.extra is None else "extra"
            return Listed(
                network.name,
                "bundled",
                measured(network.name),
                network.licence,
                network.source_accuracy,
                where,
                network.extra,
            )

        yield network.name, complete


def _torchvision() -> Iterator[_Row]:
    from frostline.backbones.load import torchvision_names as tv

    for name in tv.names():

        def complete(name: str = name) -> Listed:
            entry = tv.weights_entry(name)
            metrics = entry.meta.get("_metrics", {}).get("ImageNet-1K", {})
            return Listed(
                f"{tv.PREFIX}{name}",
                "torchvision",
                _measured_by_torchvision(name),
                tv.LICENCE,
                metrics.get("acc@1"),
                "cache" if _in_torch_hub(str(entry.url)) else "download",
            )

        yield f"{tv.PREFIX}{name}", complete


def _timm() -> Iterator[_Row]:
    import timm

    here = _in_hub_cache()
    tagged = {name.partition(".")[0] for name in timm.list_pretrained()}
    plain = [n for n in timm.list_models() if n not in tagged and n not in BUNDLED]
    for name in [*timm.list_pretrained(), *plain]:

        def complete(name: str = name) -> Listed:
            config: Any = timm.get_pretrained_cfg(name)
            known = _table().get(name.partition(".")[0])
            return Listed(
                name,
                "timm",
                known or Measured("unknown", 0, 0, 3, 0),
                str(getattr(config, "license", None) or "unknown"),
                None,
                _timm_whereabouts(config, here),
            )

        yield name, complete


def _timm_whereabouts(config: Any, in_cache: frozenset[str]) -> str:
    repository = getattr(config, "hf_hub_id", None)
    address = str(getattr(config, "url", None) or "")
    if repository and str(repository) in in_cache:
        return "cache"
    if address and _in_torch_hub(address):
        return "cache"
    return "download" if repository or address else "none"


def _in_hub_cache() -> frozenset[str]:
    """Name the repositories whose weights are in the hub's cache, whole."""
    from huggingface_hub import constants

    found = set()
    for file in Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/*"):
        # a description alone is what a download that failed leaves
        if file.suffix in _WEIGHTS and file.is_file():
            found.add(file.parts[-4].removeprefix("models--").replace("--", "/", 1))
    return frozenset(found)


def _is_timm(repository: str) -> bool:
    """Whether what lies in the hub's cache says that it is a network of timm."""
    from huggingface_hub import constants

    home = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    for config in home.glob("snapshots/*/config.json"):
        try:
            content = peek_json(read_regular(config, at_most=JSON_BYTES))
        except UnfitFileError:
            continue
        if isinstance(content.get("architecture"), str):
            return True
    return False


def _in_torch_hub(address: str) -> bool:
    import torch

    return (Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]).is_file()


def _measured_by_torchvision(name: str) -> Measured:
    from frostline.backbones.load import torchvision_names as tv

    architecture, _, tag = name.partition(".")
    if architecture not in tv.names():
        raise BackboneError(
            f"torchvision has no classification network {architecture!r}.",
            hint=did_you_mean(architecture, tv.names()),
        )
    entry = tv.weights_entry(architecture, tag)
    return Measured(
        family=f"torchvision {architecture.partition('_')[0]}",
        parameters=int(entry.meta["num_params"]),
        macs=round(float(entry.meta["_ops"]) * 1e9),
        channels=3,
        size=tv.preprocessing_for(entry).size,
    )


@cache
def _table() -> dict[str, Measured]:
    # measured once for every architecture by tools/zoo.py: building 1,400 networks is slow
    text = (
        resources.files("frostline.backbones.load").joinpath("zoo.csv").read_text(encoding="utf-8")
    )
    return {
        row["name"]: Measured(
            row["family"],
            int(row["parameters"]),
            int(row["macs"]),
            int(row["channels"]),
            int(row["size"]),
        )
        for row in csv.DictReader(text.splitlines())
    }


def names_here() -> list[str]:
    """Name the networks whose weights are on this machine: bundled ones first, none to download."""
    names = [entry.name for entry in listed(local=True)]
    if not has_extra("train"):
        return names
    import timm

    known = {
        str(getattr(timm.get_pretrained_cfg(name), "hf_hub_id", None) or "")
        for name in timm.list_pretrained()
    }
    others = sorted(_in_hub_cache() - known)
    return [*names, *(f"hf-hub:{repository}" for repository in others if _is_timm(repository))]


def not_here(name: str, reason: str, hint: str = "") -> BackboneError:
    """Say that the weights of ``name`` are missing, why, and what works instead."""
    here = names_here()
    shown = ", ".join(here[:_SHOWN]) or "none"
    more = f" and {len(here) - _SHOWN} more ('frostline models --local')" if here[_SHOWN:] else ""
    offline = f"On this machine: {shown}{more}. A file of your own can be given as weights."
    return BackboneError(
        f"The weights of {name!r} are not on this machine and could not be downloaded ({reason}).",
        hint=f"{hint} {offline}".strip(),
    )


def with_parameters(count: int) -> list[str]:
    """Name timm's architectures that have exactly ``count`` parameters."""
    return [name for name, entry in _table().items() if entry.parameters == count]
