"""Run the service on a port until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from frostline.core.errors import InputError


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything slow happens.

    Raises InputError if the port is taken or may not be used, or the host is not this machine.

    ``host``: name or address to listen on. ``port``: 0 takes any that is free.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot(host, port, error) from None
    try:
        # a port that was just left can be taken again at once
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        # busy is only known for certain once it listens
        taken.listen(2048)
    except OSError as error:
        taken.close()
        raise _cannot(host, port, error) from None
    return taken


def _cannot(host: str, port: int, error: OSError) -> InputError:
    return InputError(
        f"The service cannot listen on {host}, port {port}: {error.strerror or error}.",
        hint="Give another port with --port, or 0 for any that is free.",
    )


@contextlib.contextmanager
def outliving_hangup() -> Iterator[None]:
    """Keep SIGHUP from ending the process before :func:`run` listens to it.

    Whoever replaces a model and sends it to a service that just starts means no harm: what is being
    loaded is new. Raises KeyboardInterrupt where the terminal that the process was started on went.
    """
    if not hasattr(signal, "SIGHUP") or _ignores_hangup():
        yield
        return
    had_terminal = _has_terminal()

    def hung_up(*_: object) -> None:
        if had_terminal and not _has_terminal():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGHUP, hung_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


#: what strangers can make uvicorn say as often as they like; they are answered, and that is enough
_SAID_OF_STRANGERS = (
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)


def run(
    app: ASGIApp,
    taken: socket.socket,
    *,
    max_seconds: float,
    on_stop: Callable[[], None],
    on_hangup: Callable[[], Awaitable[None]],
) -> None:
    """Serve until Ctrl-C or SIGTERM; then answer what has arrived and return.

    Until the last request in progress is answered the port stays open, so that whoever asks for
    the health, or comes too late, is told that the service stops.

    ``taken``: from :func:`listen`. ``max_seconds``: for the headers of a request to arrive, and for
    requests in progress at the end. ``on_stop``: called at the first signal; requests that come
    later must be refused from then on. ``on_hangup``: called for SIGHUP, unless the terminal that
    the service was started on is gone: that ends it, as it ends any program.
    """
    config = uvicorn.Config(
        app,
        http=_patient(max_seconds),
        # names of files and keys have no place in a log
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="on",
        loop="asyncio",
        ws="none",
        timeout_graceful_shutdown=max(1, round(max_seconds)),
    )
    # each malformed form would be told to the log; clients are told, and /metrics counts
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_not_about_strangers)
    server = _Server(config, max_seconds=max_seconds, on_stop=on_stop, on_hangup=on_hangup)
    server.run(sockets=[taken])


def _not_about_strangers(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_SAID_OF_STRANGERS)


class _Server(uvicorn.Server):
    """Ends on a signal without passing it on: stopping a service is no failure."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        max_seconds: float,
        on_stop: Callable[[], None],
        on_hangup: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._max_seconds, self._on_stop, self._on_hangup = max_seconds, on_stop, on_hangup
        # with nohup nobody wants it to end with its terminal
        self._ends_with_terminal = _has_terminal() and not _ignores_hangup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal; at the second one leave."""
        if self._end is None:
            self._end = time.monotonic() + self._max_seconds
            self._on_stop()
            return
        super().handle_exit(sig, frame)
        self.force_exit = self.force_exit or sig == signal.SIGINT

    def _hung_up(self) -> None:
        if self._ends_with_terminal and not _has_terminal():
            self.handle_exit(signal.SIGTERM, None)
            return

        async def work() -> None:
            await self._on_hangup()

        # the loop itself holds no task
        task = asyncio.ensure_future(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def on_tick(self, counter: int) -> bool:
        """Say whether to close the port: ten times a second."""
        if self._end is not None:
            answered = not self.server_state.tasks
            self.should_exit = self.should_exit or answered or time.monotonic() > self._end
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        before: dict[int, Any] = {n: signal.signal(n, self.handle_exit) for n in signals}
        if hasattr(signal, "SIGHUP"):
            loop = asyncio.get_running_loop()
            before[signal.SIGHUP] = signal.signal(
                signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(self._hung_up)
            )
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _has_terminal() -> bool:
    """Whether the terminal that this process was started on is there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _ignores_hangup() -> bool:
    return hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def _patient(seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with an end to clients that connect and send no whole request."""
    base: Any = H11Protocol

    class Patient(base):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._look(self)

        def _look(self, seen: object) -> None:
            """End the connection if nothing was in progress since the last look."""
            idle = self.cycle is None or self.cycle.response_complete
            now = self.cycle if idle else self
            if self.transport.is_closing():
                return
            if idle and now is seen:
                self.transport.close()
                return
            asyncio.get_running_loop().call_later(seconds, self._look, now)

    return cast(type[asyncio.Protocol], Patient)
