"""What can be wrong with a request, as one exception and one shape of JSON."""

from __future__ import annotations

import asyncio
import contextlib

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from frostline.core.errors import FrostlineError, ImageFault, UnreadableImageError
from frostline.data.decoding.decode import FORMATS

#: where a request says that its body was read to the end
ALL_READ = "frostline.all_read"

#: how many seconds a client that still sends may go on doing so after it was refused: as long as
#: one that is not refused, for whoever is cut off earlier never reads why
LINGER = "frostline.linger"

_IMAGES = f"one of the formats {', '.join(FORMATS)}"


class Problem(BaseModel):
    """What was wrong, and with what."""

    kind: str = Field(description="A fixed word for programs, such as too_many_files.")
    name: str = Field(description="The file, field, header or endpoint that it is about.")
    what: str = Field(description="What was found.")
    expected: str = Field(description="What would have been right.")


class ProblemAnswer(BaseModel):
    """The answer to a request that could not be carried out as a whole."""

    error: Problem


class RequestError(FrostlineError, ValueError):
    """A request that is refused as a whole.

    ``status``: HTTP status. ``kind``, ``name``, ``what`` and ``expected``: as in
    :class:`Problem`. ``retry_after``: seconds after which trying again makes sense.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        *,
        name: str,
        what: str,
        expected: str,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{name}: {what}.", hint=f"Expected {expected}.")
        self.status = status
        self.problem = Problem(kind=kind, name=name, what=what, expected=expected)
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """Return the answer that says so."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _Refusal(
            ProblemAnswer(error=self.problem).model_dump(), status_code=self.status, headers=headers
        )


def busy(what: str, *, retry_after: int) -> RequestError:
    """Return the error for what could be done at another time.

    ``what``: what keeps the service from it. ``retry_after``: seconds.
    """
    return RequestError(
        503,
        "busy",
        name="service",
        what=what,
        expected="fewer at a time; try again",
        retry_after=retry_after,
    )


class _Refusal(JSONResponse):
    """An answer that the client gets although it is still sending.

    A connection that is closed with bytes unread is reset, and the answer is lost with it. So the
    answer goes out at once, and the rest of the request is then read and dropped for a while.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        if _sends_a_body(scope):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(scope.get(LINGER, 0.0)):
                    while (await receive()).get("more_body", False):
                        pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _sends_a_body(scope: Scope) -> bool:
    if scope.get(ALL_READ):
        return False
    headers = dict(scope["headers"])
    waits = headers.get(b"expect", b"").lower() == b"100-continue"
    return not waits and (b"transfer-encoding" in headers or b"content-length" in headers)


_EXPECTED = {
    ImageFault.TOO_MANY_PIXELS: "an image of fewer pixels",
    ImageFault.EMPTY: "a file with an image in it",
    ImageFault.NOT_AN_IMAGE: _IMAGES,
    ImageFault.TRUNCATED: "a complete file",
    ImageFault.TOO_LARGE: "a smaller image",
    ImageFault.DAMAGED: f"a whole file in {_IMAGES}",
}


def image_problem(error: UnreadableImageError) -> Problem:
    """Return what is wrong with one image that cannot be decoded."""
    expected = _EXPECTED[error.fault]
    return Problem(kind=error.fault.value, name=error.path, what=error.reason, expected=expected)
