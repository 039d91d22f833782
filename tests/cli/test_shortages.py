"""Too little memory or disk ends in one message, not in a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from frostline.cli.console import cli_error_handler


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough"),
        (RuntimeError("can't start new thread"), "not enough memory"),
        (RuntimeError("could not create a primitive\n"), "not enough memory"),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/x"), "/full/x cannot be written"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/ro"), "Read-only file system"),
    ],
)
def test_a_shortage_is_one_message(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, cli_error_handler():
        raise error
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "goes on from there" in said


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes differ"),
        RuntimeError("could not create a primitive descriptor"),
        OSError(errno.EIO, "broken"),
        ImportError("x.so: failed to map segment from shared object: Operation not permitted"),
        ImportError("x.so: undefined symbol"),
    ],
)
def test_other_faults_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error.args[-1])), cli_error_handler():
        raise error


_LATE = """
import resource
from pathlib import Path
import numpy
from frostline.cli.console import cli_error_handler

has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + {megabytes} * 2**20,) * 2)
with cli_error_handler():
    import {library}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(("library", "megabytes"), [("scipy.linalg", 1), ("onnxruntime", 4)])
def test_a_library_that_finds_no_room_is_a_shortage(library: str, megabytes: int) -> None:
    # scipy says that its installation seems to be broken
    code = _LATE.format(library=library, megabytes=megabytes)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not enough memory" in done.stderr
    assert "Traceback" not in done.stderr
