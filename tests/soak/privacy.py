"""Whether anything that Frostline runs asks for a connection: a fit, a prediction, a minute served.

    python -m tests.soak.privacy        # about two minutes

Every process has a home of its own and a proxy that keeps what is asked for and refuses it. Where
strace is installed, every connect of the processes is listed too, whatever library makes it. The
same prediction with telemetry let on shows that the proxy sees it. Writes
benchmarks/results/privacy.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.accuracy_and_time import machine
from benchmarks.serving.material import write_digits

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "privacy.json"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
#: the library asks some seconds after a session was opened
_SECONDS = 15
_SERVED = 60
_CONNECT = re.compile(r"connect\(\d+, (\{sa_family=AF_INET6?[^}]*\})")


def main() -> None:
    """Run each, and write down what it asked for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_digits(folder / "digits")
        image = str(next((folder / "digits").rglob("*.png")))
        run = str(folder / "run")
        frostline = [sys.executable, "-m", "frostline"]
        fit = [*frostline, "fit", str(folder / "digits"), "-o", run, "--effort", "fast"]
        code = (
            "import frostline, time\n"
            f"print(frostline.load({run!r}).predict({image!r})); time.sleep({_SECONDS})"
        )
        predict = [sys.executable, "-c", code]
        found = {
            "fit": _watched(fit, folder / "fit"),
            "predict": _watched(predict, folder / "predict"),
            "predict by command": _watched(
                [*frostline, "predict", run, image], folder / "predict by command"
            ),
            "serve for a minute": _watched(
                [*frostline, "serve", run, "--port", "0"], folder / "serve", seconds=_SERVED
            ),
            "predict with telemetry let on": _watched(
                predict, folder / "telemetry", ORT_DISABLE_TELEMETRY="0"
            ),
        }
    names = ("frostline", "onnxruntime", "torch", "timm", "huggingface_hub", "openvino")
    result = {
        "found": found,
        "strace": shutil.which("strace") is not None,
        "machine": machine(),
        "versions": {name: version(name) for name in names},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def _watched(
    command: list[str], folder: Path, *, seconds: float | None = None, **more: str
) -> dict[str, Any]:
    """Run a command with a home and a proxy of its own; with ``seconds`` end it after these."""
    home, trace = folder / "home", folder / "trace.txt"
    home.mkdir(parents=True)
    tracing = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect", "-o", str(trace)]
    with _proxy() as (port, asked):
        kept = {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"}
        kept.pop("XDG_CACHE_HOME", None)
        kept.pop("ORT_DISABLE_TELEMETRY", None)
        environment = kept | dict.fromkeys(_PROXIES, f"http://127.0.0.1:{port}")
        environment |= {"HOME": str(home), "FROSTLINE_CACHE": str(folder / "cache"), **more}
        started = subprocess.Popen(
            [*(tracing if shutil.which("strace") else []), *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if seconds is not None:
            time.sleep(seconds)
            os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=600)
    proxy = f"htons({port})"
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    tried = {match[1] for line in lines if (match := _CONNECT.search(line))}
    return {
        "exit": started.returncode,
        "asked_of_the_proxy": [line.decode() for line in asked],
        "connections": sorted(one for one in tried if proxy not in one),
        "files_in_the_home": sorted(
            str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()
        ),
        "said": "" if started.returncode in (0, 130) else said[-500:],
    }


@contextmanager
def _proxy() -> Iterator[tuple[int, list[bytes]]]:
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


if __name__ == "__main__":
    main()
