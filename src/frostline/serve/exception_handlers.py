"""Every error leaves the service as JSON of one shape."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from frostline.core.errors import FrostlineError, did_you_mean
from frostline.serve.metrics import Metrics
from frostline.serve.problem_details import RequestError


def add_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Turn whatever an endpoint raises into an answer, and count it."""

    def answer(error: RequestError) -> Response:
        metrics.errors.labels(error.problem.kind).inc()
        return error.response()

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return answer(
            RequestError(
                422,
                "invalid_parameter",
                name=name,
                what=f"{name} is {str(first.get('input'))[:80]!r}",
                expected=str(first["msg"]),
            )
        )

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> Response:
        paths = [route.path for route in app.routes if isinstance(route, Route)]
        method, path = request.method[:20], request.url.path[:80]
        if error.status_code == 404:
            close = did_you_mean(path, paths)
            what, expected = f"there is no {path!r}. {close}".strip(), f"one of {', '.join(paths)}"
            return answer(RequestError(404, "not_found", name="path", what=what, expected=expected))
        allowed = (error.headers or {}).get("Allow", "")
        response = answer(
            RequestError(
                error.status_code,
                "wrong_method" if error.status_code == 405 else "refused",
                name="method",
                what=f"{method} on {path!r}",
                expected=allowed or "another request",
            )
        )
        if allowed:
            response.headers["Allow"] = allowed
        return response

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, error: ClientDisconnect) -> Response:
        del error
        metrics.errors.labels("client_gone").inc()
        # nobody reads this
        return Response(status_code=400)

    @app.exception_handler(FrostlineError)
    async def failed(_: Request, error: FrostlineError) -> Response:
        return answer(_fault(str(error)))

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        # its text may hold anything; the log has it
        return answer(_fault(f"an unexpected {type(error).__name__}"))


def _fault(what: str) -> RequestError:
    return RequestError(
        500, "fault", name="service", what=what, expected="an answer; this is a fault of ours"
    )
