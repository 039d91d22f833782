"""Give commands to the forking server, with a signal at a moment of one's choice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """One command of Frostline.

    Attributes
    ----------
    arguments : list of str
        What stands behind ``frostline``.
    cache : Path
    said : Path
        File for everything it prints.
    after : float or None
        Seconds after which it gets ``signal``; None for never.
    patches : dict
        Functions of ``_patches`` with their argument.
    """

    arguments: list[str]
    cache: Path
    said: Path
    after: float | None = None
    signal: int = 9
    patches: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a command ended: negative codes are signals; ``sent`` if ours reached it in time."""

    code: int
    seconds: float
    phase: str
    sent: bool
    said: str

    @property
    def killed(self) -> bool:
        """Whether it died of SIGKILL."""
        return self.code == -9

    @property
    def clear(self) -> bool:
        """Whether it ended with one message instead of a traceback or a crash."""
        if self.code == 0:
            return True
        return self.code > 0 and "Traceback" not in self.said and "rror:" in self.said


class Server:
    """The forking server, as long as the ``with`` block lasts."""

    def __init__(self) -> None:
        paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "400",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak._server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._env,
        )
        self._read()

    def run(self, *jobs: Job) -> list[Ended]:
        """Run commands side by side; return when all have ended."""
        lines = [
            {
                "arguments": job.arguments,
                "env": {"FROSTLINE_CACHE": str(job.cache), **job.env},
                "said": str(job.said),
                "after": job.after,
                "signal": job.signal,
                "patches": job.patches,
            }
            for job in jobs
        ]
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(lines) + "\n")
            self._process.stdin.flush()
        return [
            Ended(**answer, said=job.said.read_text(errors="replace") if job.said.exists() else "")
            for answer, job in zip(self._read(), jobs, strict=True)
        ]

    def one(self, job: Job) -> Ended:
        """Run one command."""
        return self.run(job)[0]

    def fresh(self, job: Job) -> Ended:
        """Run one command in a process of its own, which imports everything again."""
        with job.said.open("w") as said:
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "frostline", *job.arguments],
                stdout=said,
                stderr=said,
                env={**self._env, "FROSTLINE_CACHE": str(job.cache), **job.env},
                check=False,
            )
        spent = time.monotonic() - began
        return Ended(done.returncode, spent, "", False, job.said.read_text(errors="replace"))

    def _read(self) -> Any:
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise RuntimeError("The forking server has died.")
        return json.loads(line)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)
