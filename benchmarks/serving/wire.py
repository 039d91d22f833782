"""HTTP by hand: clients that are slow, leave halfway, or read what they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BOUNDARY = "frostline-load"


@dataclass(frozen=True)
class Place:
    """Where the service listens."""

    host: str
    port: int


def request(
    path: str, files: Sequence[tuple[str, bytes]], *, field: str = "files", close: bool = True
) -> bytes:
    """Return a whole request with files in a form."""
    body = b"".join(
        (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; '
            f'filename="{name}"\r\n\r\n'
        ).encode()
        + content
        + b"\r\n"
        for name, content in files
    )
    body += f"--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return head.encode() + body


async def ask(
    place: Place, raw: bytes, *, pieces: int = 1, seconds: float = 0.0
) -> tuple[int, Any]:
    """Send a request, in pieces over some seconds if asked, and read the answer.

    Returns
    -------
    tuple of int and JSON
        The status, and what was answered.

    Raises
    ------
    ConnectionError
        If the service hangs up before its answer is complete.
    """
    reader, writer = await asyncio.open_connection(place.host, place.port, limit=2**24)
    try:
        step = -(-len(raw) // pieces)
        for start in range(0, len(raw), step):
            writer.write(raw[start : start + step])
            await writer.drain()
            if pieces > 1:
                await asyncio.sleep(seconds / pieces)
        return await _answer(reader)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("hung up before the answer was complete") from error
    finally:
        writer.close()


async def leave(place: Place, raw: bytes, sent: int) -> None:
    """Send the first bytes of a request and hang up."""
    _, writer = await asyncio.open_connection(place.host, place.port)
    writer.write(raw[:sent])
    await writer.drain()
    writer.transport.abort()


async def get(place: Place, path: str) -> str:
    """Return what a page says."""
    reader, writer = await asyncio.open_connection(place.host, place.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text.partition("\r\n\r\n")[2]


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(fields["content-length"]))
    return int(head[0].split()[1]), json.loads(body)
