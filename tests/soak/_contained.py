"""Read hostile files in a process of its own, with bounded memory, and say what came of each.

    python tests/soak/_contained.py < job.json

The job names what to do and a list of paths, as hexadecimal bytes, since not every name is text.
One line of JSON comes back for each: before it is tried, and after.
"""

from __future__ import annotations

import binascii
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: bytes of address space that a decoder, and a whole command, may take
DECODER_BYTES, COMMAND_BYTES = 4 * 2**30, 14 * 2**30
#: seconds that one file may take before it counts as hung; others may work on the machine
PATIENCE = 180.0


@dataclass(frozen=True)
class Outcome:
    """What came of one file: ``how`` is fine, refused, escaped, killed or hung."""

    path: Path
    how: str
    what: str
    seconds: float
    peak_mb: float


def tried(what: str, paths: Iterable[Path], *, until: float) -> Iterator[Outcome]:
    """Try every path in a child; after one that dies or hangs another child goes on."""
    left = list(paths)
    while left and time.monotonic() < until:
        job = {"what": what, "paths": [os.fsencode(path).hex() for path in left]}
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(job))
        child.stdin.close()
        for outcome in _read(child, left):
            left.pop(0)
            yield outcome
        child.wait()


def _read(child: subprocess.Popen[str], paths: list[Path]) -> Iterator[Outcome]:
    assert child.stdout is not None
    for path in list(paths):
        line = _line(child)
        if line:
            found = json.loads(line)
            yield Outcome(path, found["how"], found["what"], found["seconds"], found["peak_mb"])
            continue
        hung = child.poll() is None
        child.kill()
        code = child.wait()
        yield Outcome(path, "hung" if hung else "killed", f"exit {code}", PATIENCE, 0.0)
        return


def _line(child: subprocess.Popen[str]) -> str:
    """The child's next line; empty when it died, or said nothing for too long."""
    import select

    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], PATIENCE)
    return child.stdout.readline() if ready else ""


def contained(
    command: list[str], *, seconds: float, cache: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of Frostline with bounded memory and time; 124 is the code of one that hung."""
    environment = {**os.environ, "FROSTLINE_CACHE": str(cache), "PYTHONPATH": _sources()}
    program = [sys.executable, "-m", "frostline", *command]
    try:
        return subprocess.run(
            program,
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
            preexec_fn=_bound_command,
        )
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(program, 124, error.stdout or b"", error.stderr or b"")


def _bound_command() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (COMMAND_BYTES, COMMAND_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _sources() -> str:
    return str(Path(__file__).parents[2] / "src")


def _work() -> None:
    """Carry out a job; runs in the child."""
    sys.path.insert(0, _sources())
    job = json.load(sys.stdin)
    from frostline.core.errors import FrostlineError
    from frostline.core.preprocessing import Preprocessing
    from frostline.data.decoding.decode import decode
    from frostline.data.sources.open_source import open_source

    preprocessing = Preprocessing()
    resource.setrlimit(resource.RLIMIT_AS, (DECODER_BYTES, DECODER_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for text in job["paths"]:
        path = Path(os.fsdecode(binascii.unhexlify(text)))
        started = time.perf_counter()
        try:
            if job["what"] == "decode":
                image = decode(path, max_pixels=10**8, at_least=preprocessing.decode_at_least)
                preprocessing.apply(image)
                how, what = "fine", ""
            else:
                how, what = "fine", f"{len(open_source(path).unreadable)} unreadable"
        except FrostlineError as error:
            how, what = "refused", getattr(error, "reason", str(error))
        except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
            how, what = "escaped", f"{type(error).__name__}: {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds = round(time.perf_counter() - started, 3)
        said = {"how": how, "what": what[:300], "seconds": seconds, "peak_mb": round(peak)}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    _work()
