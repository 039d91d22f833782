"""A real fitted run, served in the process and on a real port."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from frostline.fitting.run_result import RunResult
from frostline.model.model import Model
from frostline.serve.access_control import Guard
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.service import Service

Serving = Callable[..., AbstractContextManager[TestClient]]
#: what tests hand to a client: (field, (file name, content))
Parts = list[tuple[str, tuple[str, bytes]]]
MakeParts = Callable[..., Parts]


@pytest.fixture(scope="session")
def run(fast_run: RunResult) -> Path:
    """A finished run on the digits 0, 1 and 4."""
    return fast_run.folder


@pytest.fixture(scope="session")
def model(run: Path) -> Model:
    return Model.load(run, threads=1)


@pytest.fixture(scope="session")
def digits(digit_folder: Path) -> list[Path]:
    """The images themselves, those of each class together."""
    return sorted(digit_folder.rglob("*.png"))


@pytest.fixture(scope="session")
def serving(model: Model) -> Serving:
    """Return a context manager: a client of a service with these limits and guard."""

    @contextmanager
    def serve(guard: Guard | None = None, **limits: Any) -> Iterator[TestClient]:
        service = Service(model, Limits(**limits))
        with TestClient(create_app(service, guard)) as client:
            yield client

    return serve


Starting = Callable[..., AbstractContextManager["Live"]]


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[TestClient]:
    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def parts() -> MakeParts:
    return _parts


@pytest.fixture(scope="session")
def exchange() -> Callable[..., Exchange]:
    """Return a function that sends a body piece by piece, without any server between."""
    return _exchange


@pytest.fixture(scope="session")
def started() -> Starting:
    """Return a context manager that starts ``frostline serve`` on a free port."""
    return _started


def _parts(*files: Path | tuple[str, bytes], field: str = "files") -> Parts:
    """Return files in the form that a client takes."""
    return [(field, (f.name, f.read_bytes()) if isinstance(f, Path) else f) for f in files]


@pytest.fixture(scope="session")
def in_own_loop() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Return a function that runs a coroutine to its end."""
    return _in_own_loop


def _in_own_loop(work: Coroutine[Any, Any, None]) -> None:
    # in a thread: with a browser open, this one has a loop that runs already
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@dataclass
class Exchange:
    """What an application answered, and how much it had asked for by then."""

    status: int = 0
    body: bytes = b""
    pieces_before_answer: int = 0
    pieces: int = 0
    ended: bool = False


def _exchange(
    app: ASGIApp,
    pieces: Iterator[bytes],
    *,
    headers: dict[str, str],
    path: str = "/predict",
    before: Callable[[int], Awaitable[None]] | None = None,
) -> Exchange:
    """Send a body piece by piece to an application, without any server between.

    ``before`` is awaited before each piece, with the piece's number.
    """
    found = Exchange()

    async def receive() -> dict[str, Any]:
        if before is not None:
            await before(found.pieces)
        piece = next(pieces, None)
        if piece is None and found.ended:
            # a client that waits for its answer
            await asyncio.Event().wait()
        if piece is None:
            found.ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        found.pieces += 1
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.status, found.pieces_before_answer = message["status"], found.pieces
        else:
            found.body += message.get("body", b"")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    _in_own_loop(app(scope, receive, send))  # type: ignore[arg-type]
    return found


@dataclass
class Live:
    """A service in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])


@contextmanager
def _started(run: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Live]:
    """Start ``frostline serve`` on a free port; stop it as Ctrl-C does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "frostline", "serve", str(run), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        said = process.stdout.readline()
        assert "http://" in said, process.stderr.read()
        yield Live(said[said.index("http://") :].strip(), process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="session")
def live(run: Path) -> Iterator[Live]:
    with _started(run, "--threads", "1") as found:
        yield found
