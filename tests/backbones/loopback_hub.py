"""A hub on this machine: layout, headers and redirects of the Hugging Face hub, and faults."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import timm
import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_STORED_APART = (".safetensors", ".bin")


@dataclass
class LoopbackHub:
    """Serves ``files`` by (repository, name).

    ``broken``: how many bytes the next answers with content give before the line breaks. ``busy``:
    how many questions are answered by 503. ``refusals``: (status, error code) by repository.
    ``spoilt``: whether content is changed on the way. ``ranges``: whether a download may begin in
    the middle. ``asked``: every question: method, path, range.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)
    busy: int = 0
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    spoilt: bool = False
    ranges: bool = True
    commit: str = COMMIT
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"served": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, repository: str, folder: Path) -> None:
        """Serve every file of a folder."""
        for file in folder.iterdir():
            self.files[repository, file.name] = file.read_bytes()

    def content_asked(self, ending: str) -> list[str]:
        """Return the ranges of all questions for content that ended so."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(ending)]


def save_network(folder: Path, architecture: str = "test_resnet", **options: Any) -> dict[str, Any]:
    """Write a network with random weights as timm publishes one; return its weights."""
    torch.manual_seed(5)
    net = timm.create_model(architecture, **options)
    timm.models.save_for_hf(net, str(folder), safe_serialization=True)
    card = "---\nlicense: cc-by-nc-4.0\ntags:\n- timm\n---\n# A network\n"
    (folder / "README.md").write_text(card)
    return dict(net.state_dict())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hung up."""


class _Handler(BaseHTTPRequestHandler):
    served: LoopbackHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(content=False)

    def do_GET(self) -> None:
        self._answer(content=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, content: bool) -> None:
        hub = self.served
        hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if hub.busy:
            hub.busy -= 1
            self._send(503)
            return
        # as from a proxy, an address may be whole
        path = self.path.partition("://")[2].partition("/")[2] or self.path.lstrip("/")
        if path.startswith("store/"):
            self._give(next(c for c in hub.files.values() if _sha256(c) == path[6:]), content)
            return
        repository, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        if repository in hub.refusals:
            status, code = hub.refusals[repository]
            self._send(status, {"X-Error-Code": code} if code else {})
            return
        if repository not in {one for one, _ in hub.files}:
            self._send(401, {"X-Error-Message": "Repository not found"})
            return
        found = hub.files.get((repository, name))
        if found is None:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": hub.commit})
        elif name.endswith(_STORED_APART):
            digest = _sha256(found)
            linked = {
                "Location": f"{hub.address}/store/{digest}",
                "X-Linked-Size": str(len(found)),
                "X-Linked-ETag": f'"{digest}"',
                "X-Repo-Commit": hub.commit,
            }
            self._send(302, linked)
        else:
            self._give(found, content)

    def _give(self, whole: bytes, content: bool) -> None:
        hub, given = self.served, self.headers.get("Range", "")
        begin = int(given.removeprefix("bytes=").partition("-")[0]) if given and hub.ranges else 0
        part = whole[begin:]
        headers = {
            "Content-Length": str(len(part)),
            "ETag": f'"{_git(whole)}"',
            "X-Repo-Commit": hub.commit,
        }
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(whole) - 1}/{len(whole)}"
        self.send_response(206 if begin else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if not content:
            return
        if hub.spoilt and len(part) > 1000:
            part = part[:-1] + bytes([part[-1] ^ 1])
        if hub.broken and len(part) > hub.broken[0]:
            self.wfile.write(part[: hub.broken.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(part)

    def _send(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def card_of(config: Path, **changes: Any) -> None:
    """Change entries of a network's description."""
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | changes))
