"""The command and the real server: ports, ends, bad folders, slow and broken clients."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from frostline.core.errors import InputError
from frostline.serve.server import listen

if TYPE_CHECKING:
    from tests.serve.conftest import Live, Starting

pytestmark = pytest.mark.slow

BOUNDARY = "b0undary"
NONSENSE = (b"\x16\x03\x01 no HTTP\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n")


def serve(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "frostline", "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        # paths stay on one line
        env={**os.environ, "COLUMNS": "300"},
    )


def request(content: bytes, *, headers: str = "", length: int | None = None) -> bytes:
    """A whole request for one file, as bytes."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="x.png"'
    body = head.encode() + b"\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    size = len(body) if length is None else length
    return (
        "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {size}\r\n{headers}\r\n"
    ).encode() + body


def read_answer(connection: socket.socket) -> tuple[int, Any]:
    """Read one answer: its status and JSON."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        assert piece, f"closed after {got!r}"
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields[b"content-length"]):
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def healthy(live: Live) -> bool:
    with urllib.request.urlopen(live.url + "health", timeout=30) as answer:
        return bool(json.load(answer)["status"] == "ok")


def connect(live: Live) -> socket.socket:
    return socket.create_connection(("127.0.0.1", live.port), timeout=60)


def test_a_busy_port_is_one_message(run: Path, live: Live) -> None:
    said = serve(run, "--port", live.port)
    assert said.returncode == 2
    assert f"port {live.port}" in said.stderr and "--port" in said.stderr
    assert "Traceback" not in said.stderr
    assert "Serving" not in said.stdout
    assert healthy(live)


def test_a_port_can_be_taken_again_and_not_twice() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(InputError, match=f"port {port}"):
        listen("127.0.0.1", port)
    first.close()
    listen("127.0.0.1", port).close()
    with pytest.raises(InputError, match=r"no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


def test_folders_without_a_model_are_named(tmp_path: Path, run: Path) -> None:
    missing = serve(tmp_path / "nowhere")
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr and "Traceback" not in missing.stderr
    newer = tmp_path / "newer"
    shutil.copytree(run, newer)
    card = newer / "model" / "model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "format_version": 9}))
    said = serve(newer)
    assert said.returncode == 2
    assert "Update Frostline" in said.stderr and "Traceback" not in said.stderr


def test_the_service_never_imports_pytorch(live: Live) -> None:
    mapped = Path(f"/proc/{live.process.pid}/maps")
    if not mapped.exists():
        pytest.skip("needs /proc")
    libraries = mapped.read_text()
    assert "onnxruntime" in libraries
    assert "libtorch" not in libraries


def test_an_announced_flood_is_refused_while_the_client_still_sends(live: Live) -> None:
    with connect(live) as connection:
        connection.sendall(request(b"", length=10**11))
        status, answer = read_answer(connection)
        assert status == 413
        assert answer["error"]["kind"] == "request_too_large"
        # a client that goes on sending is not cut off before it could read
        for _ in range(20):
            connection.sendall(bytes(100_000))
    assert healthy(live)


def test_clients_that_leave_halfway_harm_nobody(live: Live, digits: list[Path]) -> None:
    whole = request(digits[0].read_bytes())
    for part in (10, len(whole) // 2, len(whole) - 5, len(whole)):
        with connect(live) as connection:
            connection.sendall(whole[:part])
    with connect(live) as connection:
        connection.sendall(whole)
        status, answer = read_answer(connection)
    assert status == 200
    assert answer["results"][0]["label"] == "digit 0"
    with urllib.request.urlopen(live.url + "metrics", timeout=30) as found:
        text = found.read().decode()
    assert "frostline_queue_images 0.0" in text
    assert "frostline_upload_bytes 0.0" in text


def test_slow_clients_get_an_answer_and_silent_ones_an_end(
    run: Path, started: Starting, digits: list[Path]
) -> None:
    whole = request(digits[0].read_bytes())
    with started(run, "--max-seconds", "2", "--threads", "1") as live:
        with connect(live) as silent, connect(live) as dripping, connect(live) as slow:
            silent.sendall(b"POST /predict HT")
            dripping.sendall(whole[:200])
            for start in range(0, len(whole), len(whole) // 4 + 1):
                slow.sendall(whole[start : start + len(whole) // 4 + 1])
                time.sleep(0.1)
            status, answer = read_answer(slow)
            assert status == 200
            assert answer["results"][0]["label"] == "digit 0"
            status, answer = read_answer(dripping)
            assert status == 408
            assert answer["error"]["kind"] == "too_slow"
            assert silent.recv(1000) == b""
        assert healthy(live)


def test_stopping_answers_what_has_arrived(
    run: Path, started: Starting, digits: list[Path]
) -> None:
    images = digits * 2
    with started(run, "--threads", "1", "--wait-ms", "0") as live:
        answers: list[tuple[int, Any]] = []
        with connect(live) as connection:
            body = (
                b"".join(
                    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; '
                    f'filename="{image.name}"\r\n\r\n'.encode()
                    + image.read_bytes()
                    + b"\r\n"
                    for image in images
                )
                + f"--{BOUNDARY}--\r\n".encode()
            )
            connection.sendall(
                (
                    "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
                    f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                ).encode()
                + body
            )
            reading = threading.Thread(target=lambda: answers.append(read_answer(connection)))
            reading.start()
            # it must have arrived, but not be done
            while True:
                with urllib.request.urlopen(live.url + "health", timeout=30) as found:
                    if json.load(found)["queue"] > 0:
                        break
                assert reading.is_alive()
            live.process.send_signal(signal.SIGTERM)
            reading.join(60)
        assert live.process.wait(60) == 0
        status, answer = answers[0]
        assert status == 200
        assert len(answer["results"]) == len(images)
        assert all("label" in result for result in answer["results"])
        assert live.process.stdout is not None
        assert "Stopped." in live.process.stdout.read()


def asked(live: Live, path: str, content: bytes | None = None) -> tuple[int, Any]:
    """Ask on a connection of its own; status and JSON."""
    with connect(live) as connection:
        if content is None:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        else:
            connection.sendall(request(content))
        return read_answer(connection)


def test_while_it_stops_the_health_says_so_and_only_earlier_requests_are_answered(
    run: Path, started: Starting, digits: list[Path]
) -> None:
    content = digits[0].read_bytes()
    whole = request(content)
    with started(run, "--threads", "1") as live:
        for nonsense in NONSENSE:
            with connect(live) as connection:
                connection.sendall(nonsense)
                assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        with connect(live) as earlier:
            # half of a request has come when the signal does
            earlier.sendall(whole[: len(whole) // 2])
            assert asked(live, "/health")[1]["status"] == "ok"
            live.process.send_signal(signal.SIGTERM)
            until = time.monotonic() + 20
            while (found := asked(live, "/health"))[0] == 200 and time.monotonic() < until:
                time.sleep(0.01)
            assert (found[0], found[1]["status"]) == (503, "stopping")
            # what may have been on its way is answered, what comes later is not
            while (found := asked(live, "/predict", content))[
                0
            ] == 200 and time.monotonic() < until:
                time.sleep(0.1)
            assert found[0] == 503
            assert "stopping" in found[1]["error"]["what"]
            earlier.sendall(whole[len(whole) // 2 :])
            status, answer = read_answer(earlier)
        assert status == 200
        assert answer["results"][0]["label"] == "digit 0"
        assert live.process.wait(60) == 0
        # strangers cannot fill the log
        assert live.process.stderr is not None
        assert live.process.stderr.read().splitlines() == ["Ctrl-C stops it."]


def test_a_second_ctrl_c_does_not_wait(run: Path, started: Starting, digits: list[Path]) -> None:
    whole = request(digits[0].read_bytes())
    with started(run, "--threads", "1") as live, connect(live) as stuck:
        stuck.sendall(whole[:-10])
        assert asked(live, "/health")[0] == 200
        live.process.send_signal(signal.SIGINT)
        while asked(live, "/health")[0] == 200:
            time.sleep(0.01)
        live.process.send_signal(signal.SIGINT)
        # far less than the 30 seconds that the request has
        assert live.process.wait(15) == 0


def test_ctrl_c_is_an_ordinary_end_however_early(run: Path, started: Starting) -> None:
    with started(run) as live:
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(60) == 0


def test_the_key_comes_from_the_environment(run: Path, started: Starting) -> None:
    with started(run, environment={"FROSTLINE_API_KEY": "from-outside"}) as live:
        asked = urllib.request.Request(live.url + "model")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=30)
        asked.add_header("X-API-Key", "from-outside")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert json.load(answer)["classes"] == ["digit 0", "digit 1", "digit 4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--api-key", ""], "API key"),
        (["--cors", "example.org"], "https://example.org"),
        (["--max-bytes", "many"], "--max-bytes"),
        (["--max-files", "0"], "max_files"),
    ],
)
def test_bad_settings_are_named(run: Path, options: list[str], words: str) -> None:
    said = serve(run, *options)
    assert said.returncode == 2
    assert words in said.stderr
    assert "Traceback" not in said.stderr
