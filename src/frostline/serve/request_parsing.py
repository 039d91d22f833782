"""From a request to its form, and to an answer in time or for nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from frostline.core.errors import did_you_mean
from frostline.serve.memory import Share
from frostline.serve.problem_details import RequestError
from frostline.serve.service import Service
from frostline.serve.uploads import Form, read_form, too_long

T = TypeVar("T")


def deadline(service: Service) -> float:
    """Return the time, on the loop's clock, at which a request that starts now must be done."""
    return asyncio.get_running_loop().time() + service.limits.max_seconds


async def arrive(
    request: Request, service: Service, share: Share, until: float, *, texts: Collection[str] = ()
) -> Form:
    """Read the form of a request, unless it is plain from the start that it will be refused.

    Raises RequestError as :func:`~frostline.serve.uploads.read_form` does; 408 if the request comes
    too slowly, 503 if the queue is full already or the service is stopping; ClientDisconnect if the
    client left.

    ``share``: of the memory for uploads. ``until``: from :func:`deadline`. ``texts``: fields
    besides ``files`` that may occur.
    """
    limits = service.limits
    service.check_open()
    service.check_room(1)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_request_bytes:
        raise too_long(limits, f"{int(declared):,} bytes were announced")
    content_type = request.headers.get("content-type", "")
    try:
        async with asyncio.timeout_at(until):
            return await read_form(content_type, request.stream(), limits, share, texts=texts)
    except TimeoutError:
        raise RequestError(
            408,
            "too_slow",
            name="request",
            what=f"it did not arrive within {limits.max_seconds:g} seconds",
            expected="a smaller request or a faster connection",
        ) from None


async def in_time(
    request: Request, service: Service, work: Coroutine[None, None, T], until: float
) -> T:
    """Return what ``work`` returns; stop it when its time is over or the client has left.

    Raises RequestError with status 503 when time is over; ClientDisconnect if the client left.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait({task, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientDisconnect
        raise RequestError(
            503,
            "too_slow",
            name="service",
            what=f"there was no answer within {service.limits.max_seconds:g} seconds",
            expected="fewer images in one request; try again",
            retry_after=5,
        )
    finally:
        for each in (task, gone):
            if each.cancel():
                with contextlib.suppress(asyncio.CancelledError):
                    await each


def check_query(request: Request, known: Collection[str]) -> None:
    """Refuse query parameters that would be ignored.

    Raises RequestError with status 422.
    """
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean(name, known)
            raise RequestError(
                422,
                "unknown_parameter",
                name=name[:80],
                what=f"there is no parameter {name[:80]!r}. {hint}".strip(),
                expected=f"one of {', '.join(known)}" if known else "no parameters",
            )


async def _gone(request: Request) -> None:
    """Return when the client has left; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
