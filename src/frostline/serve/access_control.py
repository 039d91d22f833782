"""Who may ask: the right key, from the right page, under the right name."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from frostline.core.errors import SettingsError
from frostline.serve.problem_details import RequestError

#: served without a key: nothing in them belongs to the model
_OPEN = {"/", "/state", "/health", "/openapi.json"}


@dataclass(frozen=True)
class Guard:
    """What is checked before anything of a request is read.

    - ``api_key``: asked for in ``X-API-Key`` or as a bearer token; None asks for nothing.
    - ``allow_reload``: whether whoever has the key may let the service take the model that its
      folder holds by now. Raises SettingsError without a key.
    - ``origins``: other sites whose pages may ask, such as ``"https://example.org"``; ``"*"`` for
      all.
    - ``hosts``: names under which the service may be addressed, without port; any when empty. Under
      a foreign name, a foreign page could make browsers believe that the service is its own.
    """

    api_key: str | None = None
    origins: Sequence[str] = ()
    hosts: Sequence[str] = ()
    allow_reload: bool = False

    def __post_init__(self) -> None:
        if self.allow_reload and self.api_key is None:
            raise SettingsError(
                "Who may ask for a new model must show a key, and the service has none.",
                hint="Set FROSTLINE_API_KEY, or send the process SIGHUP instead.",
            )

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Let a request pass.

        Raises RequestError with status 400 for a foreign host, 403 for a foreign page, 401 without
        the key.
        """
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname if _is_plain(host) else None
        if self.hosts and name not in self.hosts:
            raise RequestError(
                400,
                "wrong_host",
                name="Host",
                what=f"the service was addressed as {host[:80]!r}",
                expected=f"one of {', '.join(self.hosts)}; others by --allow-host",
            )
        origin = headers.get("origin")
        if method != "GET" and origin is not None and not self._own(origin, host):
            raise RequestError(
                403,
                "foreign_page",
                name="Origin",
                what=f"a page of {origin[:80]!r} asked",
                expected="the service's own page; other sites by --cors",
            )
        if self.api_key is not None and path not in _OPEN:
            self._check_key(headers)

    def _own(self, origin: str, host: str) -> bool:
        if "*" in self.origins or origin in self.origins:
            return True
        return origin.rpartition("://")[2].lower() == host.lower()

    def _check_key(self, headers: Headers) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        # in constant time, so that answers do not tell how much of a guess was right
        if not hmac.compare_digest(given.encode(), str(self.api_key).encode()):
            raise RequestError(
                401,
                "wrong_key" if given else "no_key",
                name="X-API-Key",
                what="the key is wrong" if given else "there is no key",
                expected="the service's key in the header X-API-Key or as a bearer token",
            )


def _is_plain(host: str) -> bool:
    return host.isascii() and not set(host) & set("/?#@\\ ")
