"""Ask the hub that keeps timm's weights: once, by way of a proxy if there is one, not for long."""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, get_session
from huggingface_hub.errors import HfHubHTTPError

#: seconds that a hub or a proxy has to answer one question
_PATIENCE = 8.0
_TOO_MANY, _PROXY_WANTS_A_KEY, _BROKEN = 429, 407, 500


def _failures() -> tuple[type[Exception], ...]:
    """Name what the library beneath the hub's client raises: httpx or requests, by release."""
    bases = [b for b in HfHubHTTPError.__mro__ if b.__name__ in ("HTTPError", "RequestException")]
    homes = {sys.modules[base.__module__.partition(".")[0]] for base in bases}
    others = [getattr(home, "InvalidURL", None) for home in homes]
    found = [*bases, *(kind for kind in others if kind is not None)]
    return tuple(kind for kind in found if issubclass(kind, Exception))


#: whatever goes wrong between here and a server; ImportError is a proxy of a kind that needs more
#: packages, ValueError an address that is none
DOWNLOAD_ERRORS: tuple[type[Exception], ...] = (
    *_failures(),
    OSError,
    http.client.HTTPException,
    RuntimeError,
    ValueError,
    ImportError,
)


@dataclass(frozen=True)
class Hub:
    """Whether the hub can be asked; ``silence`` says why not, in a few words, or is empty."""

    silence: str = ""


@contextmanager
def asking(repository: str) -> Iterator[Hub]:
    """Let the hub's client ask for ``repository``; look into its cache alone if that is vain.

    The client itself would try again for a minute.
    """
    hub = Hub(_silence(repository))
    before, waiting = constants.HF_HUB_OFFLINE, socket.getdefaulttimeout()
    constants.HF_HUB_OFFLINE = before or bool(hub.silence)
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield hub
    finally:
        constants.HF_HUB_OFFLINE = before
        socket.setdefaulttimeout(waiting)


@contextmanager
def within_patience() -> Iterator[None]:
    """Let downloads without a limit of their own end when nothing comes for a while."""
    waiting = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(waiting)


def reason_of(error: Exception) -> str:
    """Return why a download failed: the kind of error and its first line, free of passwords."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    # an address may hold the user and the password of a proxy
    words = ["..." if "://" in word and "@" in word else word for word in said.split()]
    return (
        f"{type(error).__name__}: {' '.join(words)[:200].rstrip('.')}"
        if words
        else (type(error).__name__)
    )


def _silence(repository: str) -> str:
    """Return why the hub cannot be asked; empty if it answers."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, so the hub was not asked"
    address = constants.ENDPOINT
    proxy = _proxy(address)
    way = f" through the proxy {proxy}" if proxy else ""
    name = urlsplit(address).hostname or address
    try:
        if not proxy:
            # the quickest way to see that there is no network
            socket.getaddrinfo(name, None)
        url = f"{address}/{repository}/resolve/main/config.json"
        answer = get_session().head(url, timeout=_PATIENCE)
    except DOWNLOAD_ERRORS as error:
        return f"{name} cannot be asked{way}: {reason_of(error)}"
    status = int(answer.status_code)
    if status >= _BROKEN or status in (_TOO_MANY, _PROXY_WANTS_A_KEY):
        return f"{name}{way} answered {status}"
    return ""


def _proxy(address: str) -> str:
    """Return the proxy that stands before an address, without its password; empty for none."""
    parts = urlsplit(address)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all") or ""
    if not proxy or (parts.hostname and proxy_bypass(parts.hostname)):
        return ""
    return proxy.rpartition("@")[2].rpartition("//")[2]
