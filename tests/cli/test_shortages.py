"""Too little memory or disk ends in one message, not in a traceback."""

from __future__ import annotations

import errno
import os

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
    ],
)
def test_other_faults_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error.args[-1])), cli_error_handler():
        raise error
