"""Nothing that Frostline runs asks for a connection to anywhere, or leaves traces in the home."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import frostline

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parent / "model" / "released" / "format-4"
IMAGE = Path(__file__).parent / "model" / "released" / "images" / "0.png"
DOOR = "onnx_runtime.py"
#: sockets are counted in Python as well; what C++ opens meets the proxy
_HOOK = """
import sys
def _told(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print("ASKED", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(_told)
"""


@contextmanager
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """Stand between a process and the world, and keep what is asked for."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(300).split(b"\r\n")[0])
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1], asked


def proxied(home: Path, port: int) -> dict[str, str]:
    """The environment of a process with a home and a proxy of its own."""
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_PROXY", "no_proxy")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    kept.pop("XDG_CACHE_HOME", None)
    return kept | dict.fromkeys(names, f"http://127.0.0.1:{port}") | {"HOME": str(home)}


def run(code: str, home: Path, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a home and a proxy of its own."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", _HOOK + code],
        env=proxied(home, port) | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


PREDICT = f"import frostline; frostline.load({str(MODEL)!r}).predict({str(IMAGE)!r})"
ENTRANCES = {
    "api": PREDICT,
    "thread": f"import threading\nt = threading.Thread(target=lambda: exec({PREDICT!r}))\n"
    "t.start(); t.join()",
    "command": "import sys\nfrom typer.testing import CliRunner\n"
    "from frostline.cli.main import app\n"
    f"assert CliRunner().invoke(app, ['predict', {str(MODEL)!r}, {str(IMAGE)!r}]).exit_code == 0",
    "child": f"import frostline, subprocess, sys\nsubprocess.run([sys.executable, '-c', "
    f"{'import onnxruntime as o; o.InferenceSession(' + repr(str(MODEL / 'model.onnx')) + ')'!r}"
    "], check=True)",
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_no_entrance_asks_for_a_connection(entrance: str, tmp_path: Path) -> None:
    with proxy() as (port, asked):
        said = run(ENTRANCES[entrance], tmp_path / "home", port)
    assert not asked
    assert "ASKED" not in said.stderr
    # the library writes a number for the machine there as soon as it is imported
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_a_wish_to_report_is_respected() -> None:
    code = "import frostline, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    shown = {
        value: subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"ORT_DISABLE_TELEMETRY": value},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for value in ("0", "1")
    }
    assert shown == {"0": "0", "1": "1"}


def test_one_door_leads_to_onnx_runtime() -> None:
    root = Path(str(frostline.__file__)).parent
    found = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "onnxruntime" for name in modules):
                found.add(file.name)
    assert found == {DOOR}
