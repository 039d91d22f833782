"""What happens around every request: it is counted, checked, timed and given safe headers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frostline.serve.guard import Guard
from frostline.serve.limits import Limits
from frostline.serve.metrics import Metrics
from frostline.serve.problems import ALL_READ, RequestError

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Front:
    """ASGI middleware around the whole service.

    Parameters
    ----------
    app : ASGI application
    guard : Guard
    limits : Limits
        ``max_seconds`` twice over ends a request whatever it does, ``max_queue`` bounds requests.
    metrics : Metrics
    paths : collection of str
        Those that are counted by name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        guard: Guard,
        limits: Limits,
        metrics: Metrics,
        paths: Collection[str],
    ) -> None:
        self._app, self._guard, self._limits, self._metrics = app, guard, limits, metrics
        self._paths = frozenset(paths)
        self._active = 0
        metrics.active.set_function(lambda: self._active)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        status = "499"

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
        self._active += 1
        try:
            await self._pass_on(scope, receive_to_the_end, send_safely)
        finally:
            self._active -= 1
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._guard.check(scope["method"], scope["path"], Headers(scope=scope))
            if self._active > self._limits.max_queue:
                raise RequestError(
                    503,
                    "busy",
                    name="service",
                    what=f"{self._active - 1:,} requests are in progress",
                    expected=f"at most {self._limits.max_queue:,} at a time; try again",
                    retry_after=1,
                )
        except RequestError as error:
            self._metrics.errors.labels(error.problem.kind).inc()
            await error.response()(scope, receive, send)
            return
        # endpoints end in time by themselves; this ends clients that do not read their answer
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._limits.max_seconds + 10):
                await self._app(scope, receive, send)
