"""Many at once: who is turned away, who is dropped, and that places come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frostline.model.model import Model
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service

if TYPE_CHECKING:
    from tests.serve.conftest import Exchange, MakeParts, Serving

pytestmark = pytest.mark.slow

BOUNDARY = "b0undary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(content: bytes, n_files: int = 1) -> Iterator[bytes]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="x.png"'
    yield (head.encode() + b"\r\n\r\n" + content + b"\r\n") * n_files
    yield f"--{BOUNDARY}--\r\n".encode()


def test_a_full_queue_says_when_to_come_back(
    model: Model, digits: list[Path], exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_files=4, max_queue=4))
    app = create_app(service)
    service.queue = 4
    found = exchange(app, form(b"x"), headers=FORM)
    # refused before anything is read
    assert (found.status, found.pieces_before_answer) == (503, 0)
    assert b"busy" in found.body
    service.queue = 2
    assert exchange(app, form(b"x", 3), headers=FORM).status == 503
    assert exchange(app, form(b"x", 2), headers=FORM).status == 200
    assert service.queue == 2


def test_retry_after_is_sent(
    serving: Serving, digits: list[Path], parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.serve.service.Service.stopping", True)
    with serving() as client:
        answer = client.post("/predict", files=parts(digits[0]))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "stopping")


def test_work_that_takes_too_long_ends_and_frees_its_place(
    model: Model, digits: list[Path], exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_seconds=0.2))
    app = create_app(service)

    async def forever(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    service._compute = forever  # type: ignore[method-assign, assignment]
    found = exchange(app, form(digits[0].read_bytes(), 3), headers=FORM)
    assert found.status == 503
    assert b"too_slow" in found.body
    assert service.queue == 0
    assert service.memory.held == 0


def test_work_for_a_client_that_left_is_dropped(
    model: Model, digits: list[Path], in_own_loop: Callable[..., None]
) -> None:
    service = Service(model, Limits())
    app = create_app(service)
    dropped = asyncio.Event()

    async def until_dropped(*_: object, **__: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()

    service._compute = until_dropped  # type: ignore[method-assign, assignment]
    pieces = form(digits[0].read_bytes())

    async def receive() -> dict[str, object]:
        piece = next(pieces, None)
        if piece is not None:
            return {
                "type": "http.request",
                "body": piece,
                "more_body": not piece.endswith(b"--\r\n"),
            }
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        return None

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "root_path": "",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in FORM.items()],
    }

    async def leave() -> None:
        async with asyncio.timeout(20):
            await app(scope, receive, send)

    in_own_loop(leave())
    assert dropped.is_set()
    assert service.queue == 0
    assert 'kind="client_gone"} 1.0' in service.metrics.text()


def test_heat_maps_are_few_at_a_time(
    model: Model, digits: list[Path], exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_explanations=1))
    app = create_app(service)
    service._explanations = 1
    found = exchange(app, form(digits[0].read_bytes()), headers=FORM, path="/explain")
    assert found.status == 503
    assert b"heat maps" in found.body
    # predictions go on
    assert exchange(app, form(digits[0].read_bytes()), headers=FORM).status == 200
    assert service.queue == 0


def test_too_many_requests_at_once_are_turned_away(
    model: Model, digits: list[Path], exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_files=1, max_queue=1))
    app = create_app(service)
    inner: list[Exchange] = []

    async def before(number: int) -> None:
        # while the first request arrives, a second one comes
        if number == 0:
            content = form(digits[0].read_bytes())
            inner.append(await asyncio.to_thread(exchange, app, content, headers=FORM))

    outer = exchange(app, form(digits[0].read_bytes()), headers=FORM, before=before)
    assert (inner[0].status, outer.status) == (503, 200)


def test_who_is_refused_may_send_as_long_as_anybody(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    app = create_app(Service(model, Limits(max_seconds=0.5)))
    headers = {**FORM, "content-length": str(10**10)}

    async def before(_: int) -> None:
        await asyncio.sleep(0.01)

    def sent(n: int) -> Exchange:
        return exchange(app, iter([b"x"] * n), headers=headers, before=before)

    # the answer goes out at once, and whoever goes on sending is read to the end ...
    found = sent(10)
    assert (found.status, found.pieces_before_answer, found.pieces) == (413, 0, 10)
    # ... but not for ever
    assert 5 < sent(1000).pieces < 300
