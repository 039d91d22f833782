"""Limits hold while a request arrives, and nothing of it reaches the disk."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.testclient import TestClient

from frostline.model.model import Model
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service

if TYPE_CHECKING:
    from tests.serve.conftest import Exchange, MakeParts, Serving

pytestmark = pytest.mark.slow

BOUNDARY = "b0undary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
#: audit hooks cannot be taken out again, so one that listens only at times
_written: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is None:
        return
    if event == "open":
        _, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR) or (mode and set(mode) & set("wax+")):
            _written.append(str(arguments[0]))
    elif event.startswith("tempfile."):
        _written.append(event)


sys.addaudithook(_watch)


@pytest.fixture
def written() -> Iterator[list[str]]:
    """Everything that is opened for writing while a test runs."""
    global _written
    _written = []
    yield _written
    _written = None


def part(content: bytes, *, name: str = "x.png", field: str = "files") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"'
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def test_large_uploads_stay_in_memory(
    client: TestClient, digits: list[Path], written: list[str], parts: MakeParts
) -> None:
    padded = digits[0].read_bytes() + bytes(5_000_000)
    answer = client.post("/predict", files=parts(("large.png", padded)))
    assert answer.json()["results"][0]["label"] == "digit 0"
    assert client.post("/explain", files=parts(("large.png", padded))).status_code == 200
    assert written == []


def test_the_watch_sees_what_a_usual_parser_writes(
    written: list[str], in_own_loop: Callable[..., None]
) -> None:
    async def pieces() -> Any:
        yield part(bytes(3_000_000)) + END

    async def parse() -> None:
        form = await MultiPartParser(Headers(FORM), pieces()).parse()
        await form.close()

    in_own_loop(parse())
    assert written


def test_ten_thousand_files_are_refused_at_the_first_too_many(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    app = create_app(Service(model, Limits()))
    pieces = (part(b"tiny") for _ in range(10_000))
    found = exchange(app, pieces, headers={**FORM, "transfer-encoding": "chunked"})
    assert found.status == 413
    assert b"too_many_files" in found.body and b"at most 100" in found.body
    assert found.pieces_before_answer == 101
    # the rest is read and dropped, so that the client gets to see the answer
    assert found.pieces == 10_000


def test_a_long_request_is_refused_from_its_header(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    app = create_app(Service(model, Limits()))
    headers = {**FORM, "content-length": str(10**12), "expect": "100-continue"}
    found = exchange(app, iter([b"never"]), headers=headers)
    assert (found.status, found.pieces) == (413, 0)
    assert b"request_too_large" in found.body


def test_a_long_request_without_a_length_is_cut(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_request_bytes=1_000_000, max_bytes=1_000_000))
    app = create_app(service)
    held = []

    async def before(number: int) -> None:
        held.append(service.memory.held)

    endless = (b"x" * 100_000 for _ in range(50))
    pieces = (p for p in [part(b"")[:-2], *endless])
    found = exchange(app, pieces, headers={**FORM, "transfer-encoding": "chunked"}, before=before)
    assert found.status == 413
    assert found.pieces_before_answer == 11
    assert max(held) <= 1_000_000
    assert service.memory.held == 0


def test_one_file_beyond_the_limit_is_dropped_and_named(
    serving: Serving, digits: list[Path], parts: MakeParts
) -> None:
    with serving(max_bytes=50_000) as client:
        files = parts(digits[0], ("large.png", bytes(200_000)), digits[-1])
        answer = client.post("/predict", files=files)
        assert answer.status_code == 200
        first, large, last = answer.json()["results"]
        assert large["error"]["kind"] == "file_too_large"
        assert large["error"]["name"] == "large.png"
        assert (first["label"], last["label"]) == ("digit 0", "digit 4")
        alone = client.post("/predict", files=parts(("large.png", bytes(200_000))))
        assert alone.status_code == 413
        assert "50,000" in alone.json()["error"]["expected"]


def test_nothing_is_kept_of_a_file_that_turns_out_too_large(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    service = Service(model, Limits(max_bytes=10_000))
    held: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield part(bytes(9_000))[:-2]
        for _ in range(5):
            held.append(service.memory.held)
            yield bytes(9_000)
        held.append(service.memory.held)
        yield b"\r\n" + END

    found = exchange(create_app(service), pieces(), headers=FORM)
    assert found.status == 413
    assert held[0] > 0
    assert held[2:] == [0] * 4


def test_memory_for_uploads_is_shared_and_given_back(
    model: Model, exchange: Callable[..., Exchange]
) -> None:
    limits = Limits(max_bytes=10_000, max_request_bytes=10_000, max_held_bytes=10_000)
    service = Service(model, limits)
    service.memory.held = 8_000
    app = create_app(service)
    found = exchange(app, iter([part(bytes(5_000)), END]), headers=FORM)
    assert found.status == 503
    assert service.memory.held == 8_000
    service.memory.held = 0
    assert exchange(app, iter([part(bytes(5_000)), END]), headers=FORM).status == 200
    assert service.memory.held == 0


@pytest.mark.parametrize(
    ("field", "hint"), [("file", "Did you mean 'files'?"), ("image", "a field 'image'")]
)
def test_a_wrong_field_is_named(
    client: TestClient, digits: list[Path], field: str, hint: str, parts: MakeParts
) -> None:
    answer = client.post("/predict", files=parts(digits[0], field=field))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["kind"], error["name"]) == ("wrong_field", field)
    assert hint in error["what"]
    assert "'files'" in error["expected"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "kind"),
    [
        (b"", FORM["content-type"], 400, "malformed"),
        (END, FORM["content-type"], 422, "no_files"),
        (part(b"x"), FORM["content-type"], 400, "malformed"),
        (b"rubbish", FORM["content-type"], 400, "malformed"),
        (part(b"x") + END, "multipart/form-data", 400, "malformed"),
        (b"{}", "application/json", 415, "wrong_content_type"),
        (b"\x89PNG", "image/png", 415, "wrong_content_type"),
        (f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + END, FORM["content-type"], 400, "malformed"),
    ],
)
def test_what_is_no_form_is_named(
    client: TestClient, body: bytes, content_type: str, status: int, kind: str
) -> None:
    answer = client.post("/predict", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (status, kind)


def test_files_without_a_name_are_numbered(client: TestClient, digits: list[Path]) -> None:
    plain = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"\r\n\r\n'.encode()
    body = part(digits[0].read_bytes(), name="") + plain + b"text\r\n" + END
    answer = client.post("/predict", content=body, headers=FORM).json()["results"]
    assert [r["name"] for r in answer] == ["file 1", "file 2"]
    assert answer[0]["label"] == "digit 0"
    assert answer[1]["error"]["kind"] == "not_an_image"


def test_names_are_kept_but_harmless(client: TestClient) -> None:
    odd = "Ä\t<script>alert(1)</script>‮.png"
    body = part(b"no", name=odd) + END
    answer = client.post("/predict", content=body, headers=FORM)
    assert answer.headers["content-type"] == "application/json"
    name = answer.json()["results"][0]["name"]
    assert name == "Ä�<script>alert(1)</script>�.png"
    long = part(b"no", name="n" * 3000) + END
    answer = client.post("/predict", content=long, headers=FORM)
    assert len(answer.json()["results"][0]["name"]) == 200


def test_a_slow_request_ends_in_time(model: Model, exchange: Callable[..., Exchange]) -> None:
    app = create_app(Service(model, Limits(max_seconds=0.2)))

    async def before(number: int) -> None:
        await asyncio.sleep(0.05)

    pieces = (part(b"x") for _ in range(1000))
    found = exchange(app, pieces, headers=FORM, before=before)
    assert found.status == 408
    assert b"too_slow" in found.body
    assert found.pieces < 20
