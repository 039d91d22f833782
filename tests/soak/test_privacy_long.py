"""A fit, a prediction and a served minute ask for no connection, whatever library they run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_privacy import proxied, proxy

pytestmark = pytest.mark.soak
_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
_CONNECT = re.compile(r"connect\(\d+, (\{sa_family=AF_INET6?[^}]*\})")
_FROSTLINE = [sys.executable, "-m", "frostline"]


@pytest.mark.parametrize("what", ["fit", "predict", "predict by command", "serve"])
def test_nobody_is_asked(what: str, fast_run: object, digit_folder: Path, tmp_path: Path) -> None:
    run = str(getattr(fast_run, "folder"))  # noqa: B009
    image = str(next(digit_folder.rglob("*.png")))
    # the library asks some seconds after a session was opened
    waits = f"import frostline, time; frostline.load({run!r}).predict({image!r}); time.sleep(15)"
    command = {
        "fit": [*_FROSTLINE, "fit", str(digit_folder), "-o", "run", "--effort", "fast"],
        "predict": [sys.executable, "-c", waits],
        "predict by command": [*_FROSTLINE, "predict", run, image],
        "serve": [*_FROSTLINE, "serve", run, "--port", "0"],
    }[what]
    asked, connections, home = _watched(command, tmp_path, ends=what != "serve")
    assert not asked
    assert not connections
    assert not home


def test_who_lets_telemetry_on_is_seen_to_ask(fast_run: object, tmp_path: Path) -> None:
    # that the proxy would see it
    code = "import onnxruntime, time; time.sleep(15)"
    asked, _, home = _watched([sys.executable, "-c", code], tmp_path, ORT_DISABLE_TELEMETRY="0")
    assert asked or home


def _watched(
    command: list[str], folder: Path, *, ends: bool = True, **more: str
) -> tuple[list[bytes], list[str], list[Path]]:
    """Run a command; return what the proxy was asked, other connections, and files in the home."""
    home, trace = folder / "home", folder / "trace.txt"
    home.mkdir()
    tracing = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-o", str(trace)]
    with proxy() as (port, asked):
        process = subprocess.Popen(
            [*(tracing if shutil.which("strace") else []), *command],
            env=proxied(home, port) | {"FROSTLINE_CACHE": str(folder / "cache"), **more},
            cwd=folder,
            start_new_session=True,
        )
        if not ends:
            time.sleep(_SECONDS)
            os.killpg(process.pid, signal.SIGINT)
        assert process.wait(600) in (0, 130)
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    tried = {match[1] for line in lines if (match := _CONNECT.search(line))}
    connections = sorted(one for one in tried if f"htons({port})" not in one)
    return asked, connections, [path for path in home.rglob("*") if path.is_file()]
