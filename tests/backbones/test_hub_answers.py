"""Hubs and proxies that answer oddly or not at all: one message, soon, with exit code 2."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import close_session, constants
from typer.testing import CliRunner

from frostline.backbones.load.hub import HubError, look_up
from frostline.cli.main import app


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], tuple[str, list[bytes]]]]:
    """Return a function that opens a server with one answer: its address, and what it was asked."""
    servers = []

    def open_one(answer: bytes) -> tuple[str, list[bytes]]:
        server, asked = socket.create_server(("127.0.0.1", 0)), []
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    asked.append(caller.recv(300))
                    caller.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}", asked

    yield open_one
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("frostline.backbones.load.hub._PAUSES", (0.01, 0.01))
    close_session()
    yield
    close_session()


def answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def use_mirror(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def said_of_test_resnet() -> str:
    begun = time.perf_counter()
    done = CliRunner().invoke(app, ["inspect", "test_resnet"], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert "not on this machine and could not be downloaded" in done.stderr
    assert "Traceback" not in done.stderr
    # trying again and again takes a minute
    assert time.perf_counter() - begun < 30
    return done.stderr


@pytest.mark.parametrize(
    "status", ["407 Proxy Authentication Required", "502 Bad Gateway", "403 Forbidden"]
)
def test_a_proxy_is_asked_even_for_names_that_only_it_knows(
    status: str,
    answering: Callable[[bytes], tuple[str, list[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, asked = answering(answer(status))
    use_mirror("https://hub.invalid", monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:secret@"))
    said = said_of_test_resnet()
    assert f"through the proxy {proxy.removeprefix('http://')}" in said
    assert status in said
    assert "secret" not in said
    assert [a.split()[:2] for a in asked] == [[b"CONNECT", b"hub.invalid:443"]]


@pytest.mark.parametrize("status", ["502 Bad Gateway", "429 Too Many", "401 No", "404 No"])
def test_a_mirror_that_has_nothing_is_one_message(
    status: str,
    answering: Callable[[bytes], tuple[str, list[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror, asked = answering(answer(status))
    use_mirror(mirror, monkeypatch)
    said_of_test_resnet()
    assert asked


def test_a_repository_of_another_library_is_no_network_of_timm(
    answering: Callable[[bytes], tuple[str, list[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = b'{"model_type": "vit"}'
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(config)}\r\nConnection: close\r\n"
        'ETag: "0123"\r\nX-Repo-Commit: 0123456789abcdef0123456789abcdef01234567\r\n\r\n'
    )
    mirror, _ = answering(head.encode() + config)
    use_mirror(mirror, monkeypatch)
    done = CliRunner().invoke(app, ["inspect", "hf-hub:google/vit"], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert "hf-hub:google/vit is no network of timm: its config.json has no 'arch" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HTTPS_PROXY", "http://127.0.0.1:1", "127.0.0.1:1: ConnectError"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "127.0.0.1:1: ImportError"),
        ("HTTPS_PROXY", "gopher://127.0.0.1:1", "127.0.0.1:1: ValueError"),
    ],
)
def test_proxies_that_cannot_be_used_are_named(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirror("https://hub.invalid", monkeypatch)
    monkeypatch.setenv(variable, value)
    assert said in said_of_test_resnet()


def test_no_proxy_and_offline_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    use_mirror("https://hub.invalid", monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    with pytest.raises(HubError, match=r"hub\.invalid cannot be asked: gaierror") as caught:
        look_up("timm/test_resnet", "config.json")
    assert "proxy" not in str(caught.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"^HF_HUB_OFFLINE is set"):
        look_up("timm/test_resnet", "config.json")
