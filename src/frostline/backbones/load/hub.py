"""Ask the hub that keeps timm's weights: by way of a proxy or a mirror, and not for long."""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

MAIN = "main"
#: seconds that a hub or a proxy has to answer one question
_PATIENCE = 8.0
#: answers of servers that may be others a moment later
_PASSING = (408, 429, 500, 502, 503, 504)
#: seconds before a question is asked again
_PAUSES = (0.5, 1.0, 2.0)
_NOT_ALLOWED = 401


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


class HubError(Exception):
    """A hub does not give what was asked for: why, in a few words, and what to do about it."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of a hub.

    ``commit``: the state of the repository that it belongs to. ``etag``: what the hub names its
    content by: the SHA-256 of large files, git's digest of small ones. ``size``: in bytes; None if
    the hub does not say.
    """

    repository: str
    name: str
    revision: str
    commit: str
    etag: str
    size: int | None

    @property
    def url(self) -> str:
        """Where it is."""
        return hf_hub_url(self.repository, self.name, revision=self.commit)


def look_up(repository: str, name: str, revision: str = MAIN) -> HubFile | None:
    """Ask the hub for a file; None if the repository has no such file.

    Busy servers are asked again for a few seconds. Raises HubError if nobody answers, or the hub
    has no such repository or revision, or not for everybody.
    """
    _check_reachable()
    pauses = list(_PAUSES)
    while True:
        try:
            url = hf_hub_url(repository, name, revision=revision)
            found = get_hf_file_metadata(url, timeout=_PATIENCE)
        except EntryNotFoundError:
            return None
        except DOWNLOAD_ERRORS as error:
            if not (is_passing(error) and pauses):
                raise _why(error, repository, revision) from error
            time.sleep(pauses.pop(0))
        else:
            break
    if found.commit_hash is None or found.etag is None:
        raise HubError(
            f"{host()}{_way()} answers, but not as a hub does",
            "Is HF_ENDPOINT the address of a hub, and does no firewall stand between?",
        )
    return HubFile(repository, name, revision, found.commit_hash, found.etag, found.size)


def is_passing(error: Exception) -> bool:
    """Whether a server only said that it is busy."""
    return status_of(error) in _PASSING


def status_of(error: Exception) -> int | None:
    """Return the status that a server answered with; None where it did not answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def host() -> str:
    """Return the name of the hub, or of the mirror that stands for it."""
    return urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2] or constants.ENDPOINT


@contextmanager
def offline() -> Iterator[None]:
    """Let the hub's client look into its cache alone; it would ask for a minute."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


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


def _check_reachable() -> None:
    """See quickly that there is no network, or that nobody wants it to be used."""
    if constants.HF_HUB_OFFLINE:
        raise HubError("HF_HUB_OFFLINE is set, so the hub was not asked")
    if _proxy(constants.ENDPOINT):
        # names that only the proxy knows are its matter
        return
    name = urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT
    try:
        socket.getaddrinfo(name, None)
    except (OSError, ValueError) as error:
        raise HubError(f"{name} cannot be asked: {reason_of(error)}") from error


def _why(error: Exception, repository: str, revision: str) -> HubError:
    """Say why a hub does not give a file."""
    status, whose = status_of(error), f"{host()}{_way()}"
    token = "'hf auth login', or a token in HF_TOKEN"
    if status is None:
        return HubError(f"{host()} cannot be asked{_way()}: {reason_of(error)}")
    if isinstance(error, GatedRepoError):
        return HubError(
            f"{repository} on {whose} is only for those who accepted its terms",
            f"Accept them at {constants.ENDPOINT}/{repository}, then: {token}.",
        )
    if isinstance(error, RevisionNotFoundError):
        return HubError(f"{repository} on {whose} has no revision {revision!r}")
    if isinstance(error, RepositoryNotFoundError) or status == _NOT_ALLOWED:
        return HubError(
            f"{whose} answered {status}: it has no public repository {repository}",
            f"If it is a private one: {token}.",
        )
    return HubError(f"{whose} answered {status}")


def _way() -> str:
    proxy = _proxy(constants.ENDPOINT)
    return f" through the proxy {proxy}" if proxy else ""


def _proxy(address: str) -> str:
    """Return the proxy that stands before an address, without its password; empty for none."""
    parts = urlsplit(address)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all") or ""
    if not proxy or (parts.hostname and proxy_bypass(parts.hostname)):
        return ""
    return proxy.rpartition("@")[2].rpartition("//")[2]
