"""What people call a network: names of hubs, addresses and other libraries, read as one name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import timm

from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.transformers_names import timm_name_of
from frostline.core.errors import BackboneError, did_you_mean

LOCAL = "local-dir:"
HUB = "hf-hub:"
_TORCHVISION = "torchvision:"

_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[^?#]+)", re.I)
_TORCHVISION_WRITTEN = re.compile(r"^torchvision(?:\.models)?[/.](?P<name>\w+(?:\.\w+)?)$", re.I)
#: weights of torchvision as its own code writes them: ResNet50_Weights.IMAGENET1K_V2
_ENUM = re.compile(r"^(?P<name>\w+)_Weights\.(?P<tag>\w+)$")


@dataclass(frozen=True)
class Called:
    """A network by the name that its library has for it.

    ``name``: a bundled network, one of timm, ``torchvision:NAME`` or ``hf-hub:OWNER/NAME``.
    ``folder``: a folder of timm that holds the network, for ``local-dir:PATH``.
    """

    name: str
    folder: Path | None = None


def called(given: str) -> Called:
    """Read a name; nothing is asked from anywhere.

    Raises BackboneError if nobody knows the name; with a guess.
    """
    name = given.strip()
    lower = name.lower()
    if lower.startswith(LOCAL):
        return Called(name, Path(name[len(LOCAL) :]).expanduser())
    if lower.startswith("hf_hub:"):
        name = HUB + name[len("hf_hub:") :]
    if lower.startswith(_TORCHVISION):
        return Called(_TORCHVISION + name[len(_TORCHVISION) :])
    written = _TORCHVISION_WRITTEN.match(name)
    if written is not None:
        return Called(_TORCHVISION + written["name"])
    repository = _repository(name)
    if repository is not None:
        known = _of_timm(repository)
        if known is not None:
            return Called(known)
        if name.startswith(HUB) or _ADDRESS.match(name):
            return Called(HUB + repository)
        if repository.lower().startswith("timm/"):
            raise _unknown(given, repository.partition("/")[2])
        raise BackboneError(
            f"There is no backbone {given!r}.",
            hint=did_you_mean(repository.rpartition("/")[2], _known())
            or f"Use {HUB}{repository} for a network in timm's format on the Hugging Face hub.",
        )
    if name in BUNDLED or (timm.is_model(name) and _has_tag(name)):
        return Called(name)
    raise _unknown(given, name)


def _repository(name: str) -> str | None:
    """Return OWNER/NAME, perhaps with @REVISION, where a name is that of a hub."""
    if name.startswith(HUB):
        return name[len(HUB) :]
    address = _ADDRESS.match(name)
    if address is not None:
        owner, _, rest = address["id"].strip("/").partition("/")
        repository, _, more = rest.partition("/")
        tree = re.match(r"(?:tree|blob|resolve)/([^/]+)", more)
        revision = f"@{tree[1]}" if tree is not None and tree[1] != "main" else ""
        return f"{owner}/{repository}{revision}" if repository else None
    return name if re.fullmatch(r"[\w.-]+/[\w.@-]+", name) else None


def _of_timm(repository: str) -> str | None:
    """Return timm's own name for what lies in a repository of the hub."""
    owner, _, name = repository.partition("/")
    if "@" in repository:
        return None
    if owner.lower() == "timm" and timm.is_model(name) and _has_tag(name):
        return name
    same = timm_name_of(repository)
    return same if same in _pretrained() else _hub_ids().get(repository.lower())


@cache
def _hub_ids() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        place = str(getattr(config, "hf_hub_id", None) or "").lower()
        # where several share a repository, its name alone does not say which
        if place and not getattr(config, "hf_hub_filename", None):
            found.setdefault(place, name)
    return found


def _has_tag(name: str) -> bool:
    """Whether timm has the weights that a name asks for by its tag, if it does."""
    return "." not in name or name in _pretrained()


@cache
def _pretrained() -> frozenset[str]:
    return frozenset(timm.list_pretrained())


def _known() -> list[str]:
    return [*BUNDLED, *timm.list_models(), *timm.list_pretrained()]


def _unknown(given: str, name: str) -> BackboneError:
    """Say that nobody knows ``given``; ``name`` is its part that a library would know."""
    from frostline.backbones.load import torchvision_names as tv

    if "/" in name or "\\" in name:
        return BackboneError(
            f"There is no backbone {given!r}, and no such folder.",
            hint="Give the folder of a run or of timm, or a name that 'frostline models' lists.",
        )
    hint = ""
    enum = _ENUM.match(name)
    architecture, _, tag = name.partition(".")
    if enum is not None:
        plain = {n.replace("_", "").lower(): n for n in tv.names()}
        found = plain.get(enum["name"].replace("_", "").lower())
        hint = f"Use {_TORCHVISION}{found}.{enum['tag']}." if found else ""
    elif tag and timm.is_model(architecture) and not tv.has_tag(architecture, tag):
        tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
        hint = f"The weights of {architecture} are: {', '.join(tags) or 'none'}."
    elif architecture.lower() in tv.names():
        full = f"{architecture.lower()}{'.' if tag else ''}{tag}"
        hint = f"torchvision has it: use {_TORCHVISION}{full}."
    elif name.lower() in _known():
        hint = did_you_mean(name.lower(), [name.lower()])
    return BackboneError(
        f"There is no backbone {given!r}.",
        hint=hint
        or did_you_mean(name, [*_known(), *tv.names()])
        or f"Use {', '.join(BUNDLED)}, torchvision:NAME, or any name of 'frostline models'.",
    )
