"""What a network needs from a hub: which files, under which licence, brought here beforehand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError

from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.hub import MAIN, HubError, HubFile, host, look_up, offline
from frostline.backbones.load.hub_download import MB, bytes_here, fetch, in_cache
from frostline.backbones.load.network_names import HUB, called
from frostline.backbones.load.zoo import not_here
from frostline.core.cancel import CancelToken
from frostline.core.errors import BackboneError
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.core.progress import NullProgress, TypedProgress

CONFIG = "config.json"
_CARD = "README.md"
_SAFE, _PICKLE = "model.safetensors", "pytorch_model.bin"
UNKNOWN = "unknown"
#: the head of a card, between two lines of dashes, and an entry of it that is one line
_HEAD = re.compile(r"\ufeff?---\r?\n(.*?)\r?\n---", re.DOTALL)
_ENTRY = re.compile(r"^(license(?:_name)?):[ \t]*[\"']?([^\"'\s\[\]]+)", re.MULTILINE)


@dataclass(frozen=True)
class _Repository:
    """A network's place on a hub.

    ``files``: its weights by the names that they may have, the preferred first. ``config``: whether
    what the network looks like is kept there too. ``licence``: as timm says; empty if it does not.
    """

    name: str
    revision: str
    files: tuple[str, ...]
    config: bool
    licence: str


@contextmanager
def at_hand(
    name: str,
    *,
    pretrained: bool = True,
    progress: TypedProgress | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[None]:
    """Bring to this machine what a network needs; timm then looks into the hub's cache alone.

    Licence and size are said before a download begins. Folders, names of other places and bundled
    networks are passed over. Raises BackboneError if something is neither here nor to be had.

    ``progress``: None for the bar of the hub's own client.
    """
    place = None if Path(name).is_dir() else _place(name, pretrained=pretrained)
    if place is None:
        yield
        return
    # another one around it has done so already
    if not (constants.HF_HUB_OFFLINE and _is_here(place)):
        _bring(name, place, progress, cancel or CancelToken())
    with offline():
        yield


def licence_in_cache(repository: str) -> str:
    """Return the licence that the card of a repository names, if the card is in the cache."""
    owner_and_name, _, revision = repository.partition("@")
    card = in_cache(owner_and_name, _CARD, revision or MAIN)
    return _licence_of(card) if card is not None else UNKNOWN


def _place(name: str, *, pretrained: bool) -> _Repository | None:
    found = called(name)
    if found.folder is not None or found.name in BUNDLED or found.name.startswith("torchvision:"):
        return None
    if found.name.startswith(HUB):
        repository, _, revision = found.name[len(HUB) :].partition("@")
        weights = _alternatives(_PICKLE) if pretrained else ()
        return _Repository(repository, revision or MAIN, weights, config=True, licence="")
    config: Any = timm.get_pretrained_cfg(found.name)
    known = str(getattr(config, "hf_hub_id", None) or "")
    if not known or not pretrained:
        return None
    repository, _, revision = known.partition("@")
    files = _alternatives(str(getattr(config, "hf_hub_filename", None) or _PICKLE))
    licence = str(getattr(config, "license", None) or "")
    return _Repository(repository, revision or MAIN, files, config=False, licence=licence)


def _alternatives(file: str) -> tuple[str, ...]:
    """Return the names that timm tries for a file of weights: first those that are data alone."""
    if file == _PICKLE:
        return (_SAFE, _PICKLE)
    if file == "open_clip_pytorch_model.bin":
        return ("open_clip_model.safetensors", file)
    if file.endswith(".bin"):
        return (f"{file.removesuffix('.bin')}.safetensors", file)
    return (file,)


def _is_here(place: _Repository) -> bool:
    def cached(file: str) -> bool:
        return in_cache(place.name, file, place.revision) is not None

    weights = not place.files or any(map(cached, place.files))
    return weights and (cached(CONFIG) or not place.config)


def _bring(
    name: str, place: _Repository, progress: TypedProgress | None, cancel: CancelToken
) -> None:
    """Ask the hub for what is needed; where it does not answer, what is here must do."""
    try:
        files = place.files
        if place.config:
            config = _only(place, CONFIG)
            named = _weights_named(fetch(config, progress=NullProgress(), cancel=cancel))
            files = _alternatives(named) if files and named else files
        if files:
            _bring_weights(place, files, progress, cancel)
    except (HubError, HFValidationError) as error:
        if not _is_here(place):
            hint = error.hint if isinstance(error, HubError) else ""
            raise not_here(name, str(error).rstrip("."), hint=hint) from error


def _bring_weights(
    place: _Repository,
    files: tuple[str, ...],
    progress: TypedProgress | None,
    cancel: CancelToken,
) -> None:
    found = None
    for file in files:
        found = look_up(place.name, file, place.revision)
        if found is not None:
            break
    if found is None:
        raise HubError(f"{place.name} on {host()} has no file {' or '.join(files)}")
    if in_cache(place.name, found.name, found.commit) is None:
        licence = place.licence or _licence(place, cancel)
        if progress is not None:
            progress.note(_announced(found, licence))
    fetch(found, progress=progress, cancel=cancel)


def _announced(file: HubFile, licence: str) -> str:
    size = "of unknown size" if file.size is None else f"{file.size / MB:,.1f} MB"
    begun = bytes_here(file)
    rest = f", of which {begun / MB:,.1f} MB are here" if begun else ""
    return (
        f"{file.repository} is downloaded from {host()}: {file.name}, {size}{rest}; licence of the "
        f"weights: {licence}. It is kept in {constants.HF_HUB_CACHE}."
    )


def _only(place: _Repository, file: str) -> HubFile:
    found = look_up(place.name, file, place.revision)
    if found is None:
        raise HubError(f"{place.name} on {host()} has no {file}, so it is no network of timm")
    return found


def _weights_named(config: Path) -> str:
    """Return the file of weights that a network's description names; empty for the usual one."""
    try:
        content = json.loads(read_regular(config, at_most=JSON_BYTES))
    except (UnfitFileError, ValueError, RecursionError) as error:
        raise BackboneError(f"{config} is damaged: {error}.") from None
    about = content.get("pretrained_cfg", content) if isinstance(content, Mapping) else {}
    named = about.get("hf_hub_filename") if isinstance(about, Mapping) else None
    return named if isinstance(named, str) else ""


def _licence(place: _Repository, cancel: CancelToken) -> str:
    """Return the licence that the repository's card names."""
    card = look_up(place.name, _CARD, place.revision)
    if card is None:
        return UNKNOWN
    return _licence_of(fetch(card, progress=NullProgress(), cancel=cancel))


def _licence_of(card: Path) -> str:
    """Return what the head of a card says, line by line: a reader of YAML needs not be here."""
    try:
        text = read_regular(card, at_most=JSON_BYTES).decode(errors="replace")
    except UnfitFileError:
        return UNKNOWN
    head = _HEAD.match(text)
    said = dict(_ENTRY.findall(head[1])) if head is not None else {}
    named = said.get("license_name") if said.get("license") == "other" else said.get("license")
    return (named or said.get("license") or UNKNOWN)[:100]
