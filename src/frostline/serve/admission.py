"""Turn requests away before anything of them is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from frostline.serve.access_control import Guard
from frostline.serve.limits import Limits
from frostline.serve.metrics import Metrics
from frostline.serve.problem_details import RequestError, busy


class Gate:
    """ASGI middleware that asks a guard, and lets only so many in at a time.

    ``limits``: ``max_queue`` requests may be in progress.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, limits: Limits, metrics: Metrics) -> None:
        self._app, self._guard, self._limits, self._metrics = app, guard, limits, metrics
        self._inside = 0
        metrics.active.set_function(lambda: self._inside)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._guard.check(scope["method"], scope["path"], Headers(scope=scope))
            if self._inside >= self._limits.max_queue:
                raise busy(f"{self._inside:,} requests are in progress", retry_after=1)
        except RequestError as error:
            self._metrics.errors.labels(error.problem.kind).inc()
            await error.response()(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
