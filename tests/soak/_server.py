"""A process that has imported everything once and forks a child for every command it is given.

Importing PyTorch takes five seconds, a small run two: so hundreds of runs can be killed in minutes.
The children are forked before any library has started threads, which a fork would not copy.

Reads a list of jobs a line, runs them side by side, and answers with one line of what became of
them. See ``_client.py`` for what a job is.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.soak import _patches

_LABEL = 64
#: seconds between two looks at the children
_LOOK = 0.002
_TICKS = os.sysconf("SC_CLK_TCK")


def serve() -> None:
    """Answer lines of jobs until the input ends."""
    _import_everything()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        children = [_Child(job) for job in json.loads(line)]
        while any(child.runs() for child in children):
            time.sleep(_LOOK)
        print(json.dumps([child.answer for child in children]), flush=True)


def _import_everything() -> None:
    """Import what commands import; nothing is computed, so no library starts threads."""
    import onnx
    import onnxruntime
    import timm

    import frostline.cli.advise
    import frostline.cli.export
    import frostline.cli.main
    import frostline.cli.predict
    import frostline.cli.report
    import frostline.cli.show
    import frostline.exporting.hub_target
    import frostline.exporting.shrinking
    import frostline.exporting.torch_target
    import frostline.fitting.pipeline

    del onnx, onnxruntime, timm, frostline


class _Child:
    """One forked command, and when it is to get a signal."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._label = mmap.mmap(-1, _LABEL)
        self._job = job
        self._began = time.monotonic()
        self._sent = False
        self._phase = ""
        self._seconds = 0.0
        self.answer: dict[str, Any] = {}
        self._pid = os.fork()
        if self._pid == 0:
            _run(job, self._label)

    def runs(self) -> bool:
        """Whether the child still runs; sends the signal when its time has come."""
        if self.answer:
            return False
        after, spent = self._job.get("after"), self._spent()
        if after is not None and spent >= after and not self._sent:
            self._phase = bytes(self._label).rstrip(b"\0").decode()
            os.kill(self._pid, self._job.get("signal", signal.SIGKILL))
            self._sent = True
        elif time.monotonic() - self._began > self._job.get("most", 600.0):
            os.kill(self._pid, signal.SIGKILL)
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0:
            return True
        code = os.waitstatus_to_exitcode(status)
        phase = self._phase or bytes(self._label).rstrip(b"\0").decode()
        self.answer = {"code": code, "seconds": spent, "phase": phase, "sent": self._sent}
        self._label.close()
        return False

    def _spent(self) -> float:
        """Processor seconds of the child so far: other programs stretch the time of a clock."""
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self._seconds
        self._seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        return self._seconds


def _run(job: dict[str, Any], label: mmap.mmap) -> None:
    """Be the command; never returns."""
    try:
        os.environ.update(job.get("env", {}))
        Path(job["said"]).parent.mkdir(parents=True, exist_ok=True)
        said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        random.seed(os.getpid())
        _patches.tell_phases(label)
        for name, value in job.get("patches", {}).items():
            getattr(_patches, name)(value)
        sys.argv = ["frostline", *job["arguments"]]
        from frostline.cli.main import run

        run()
    finally:
        # a child must never go on as a second server
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, SystemExit):
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    serve()
