"""What happens around every request: it is counted, timed and given safe headers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frostline.serve.limits import Limits
from frostline.serve.metrics import Metrics
from frostline.serve.problem_details import ALL_READ, LINGER

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # with "no-referrer", browsers would hide from the service that a form is its own
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Front:
    """ASGI middleware around everything else.

    ``limits``: twice ``max_seconds`` and a little ends a request whatever it does. ``paths``: those
    that are counted by name.
    """

    def __init__(
        self, app: ASGIApp, *, limits: Limits, metrics: Metrics, paths: Collection[str]
    ) -> None:
        self._app, self._metrics, self._paths = app, metrics, frozenset(paths)
        self._seconds = 2 * limits.max_seconds + 10
        self._linger = limits.max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[LINGER] = self._linger
        path = scope["path"] if scope["path"] in self._paths else "other"
        status = "none"

        async def receive_to_the_end() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                scope[ALL_READ] = True
            return message

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        began = time.perf_counter()
        try:
            # endpoints end in time by themselves; this ends clients that do not read their answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._app(scope, receive_to_the_end, send_safely)
        finally:
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)
