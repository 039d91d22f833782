"""Feed one entrance with ever new bytes for some seconds; runs in a process of its own.

    python tests/soak/_fuzzer.py ENTRANCE SECONDS FOLDER

With atheris (`pip install atheris`) the bytes follow what code they reach; without it they are
random changes of good files, which is said in the results. One line of JSON is the result; what
escaped lies in FOLDER/findings.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import random
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

MEMORY = 8 * 2**30
#: seconds after which one input counts as hung
PATIENCE = 20.0
_MOST_FINDINGS = 20


class Watched:
    """Tries inputs, counts, and keeps what escaped."""

    def __init__(self, entrance: str, work: Path) -> None:
        from frostline.core.errors import FrostlineError
        from tests.soak._entrances import ENTRANCES

        self.expected = FrostlineError
        self.attempt = ENTRANCES[entrance].open(work)
        self.findings = work / "findings"
        self.findings.mkdir(exist_ok=True)
        self.counts = {"inputs": 0, "fine": 0, "refused": 0}
        self.found: dict[str, dict[str, Any]] = {}
        self.slowest = 0.0

    def try_one(self, content: bytes) -> None:
        """Try an input; an error that nobody declared is a finding, one for each place."""
        started = time.perf_counter()
        self.counts["inputs"] += 1
        # whoever kills this process finds here what it choked on
        (self.findings / "current").write_bytes(content)
        try:
            self.attempt(content)
            self.counts["fine"] += 1
        except self.expected:
            self.counts["refused"] += 1
        except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
            self._keep(error, content)
        self.slowest = max(self.slowest, time.perf_counter() - started)

    def _keep(self, error: Exception, content: bytes) -> None:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "frostline" in f.filename]
        last = frames[-1] if frames else None
        place = f"{Path(last.filename).name}:{last.name}" if last else "?"
        key = f"{type(error).__name__} in {place}"
        if key in self.found or len(self.found) >= _MOST_FINDINGS:
            return
        name = hashlib.sha256(content).hexdigest()[:16]
        (self.findings / name).write_bytes(content)
        self.found[key] = {"what": str(error)[:200], "file": name, "bytes": len(content)}

    def result(self, engine: str) -> dict[str, Any]:
        """What is written down."""
        return {
            **self.counts,
            "engine": engine,
            "slowest_seconds": round(self.slowest, 2),
            "findings": self.found,
        }


def main() -> None:
    """Fuzz until the time is over, and print the result."""
    entrance, seconds, work = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable()
    atheris: Any = None
    with contextlib.suppress(ImportError):
        atheris = importlib.import_module("atheris")
    if atheris is None:
        watched = Watched(entrance, work)
        _by_chance(watched, entrance, seconds)
        engine = "random changes"
    else:
        with atheris.instrument_imports(include=["frostline", "PIL", "safetensors", "pyarrow"]):
            watched = Watched(entrance, work)
        _by_coverage(atheris, watched, entrance, seconds, work)
        engine = "atheris"
    (work / "result.json").write_text(json.dumps(watched.result(engine)))


def _seeds(entrance: str) -> list[bytes]:
    from tests.soak._entrances import ENTRANCES

    return list(ENTRANCES[entrance].seeds())


def _by_chance(watched: Watched, entrance: str, seconds: float) -> None:
    seeds, rng = _seeds(entrance), random.Random(0)
    end = time.monotonic() + seconds
    for content in seeds:
        watched.try_one(content)
    while time.monotonic() < end:
        watched.try_one(changed(rng.choice(seeds), rng, seeds))


def changed(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Flip, cut, repeat, splice or number some bytes."""
    new = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if not new:
            break
        at, how = rng.randrange(len(new)), rng.random()
        if how < 0.35:
            new[at] = rng.randrange(256)
        elif how < 0.5:
            new[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1"])
        elif how < 0.65:
            del new[at : at + rng.choice([1, 4, 64])]
        elif how < 0.8:
            new[at:at] = new[at : at + rng.choice([1, 8, 200])]
        elif how < 0.9:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            new[at:at] = other[start : start + rng.choice([2, 30, 400])]
        else:
            del new[at:]
    return bytes(new)


def _by_coverage(atheris: Any, watched: Watched, entrance: str, seconds: float, work: Path) -> None:
    corpus = work / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(_seeds(entrance)):
        (corpus / f"seed-{number}").write_bytes(content)
    options = [
        "fuzzer",
        str(corpus),
        f"-max_total_time={int(seconds)}",
        f"-timeout={int(PATIENCE)}",
        "-rss_limit_mb=6000",
        f"-artifact_prefix={work}/",
        "-verbosity=0",
        "-seed=1",
    ]
    said = time.monotonic()

    def once(content: bytes) -> None:
        nonlocal said
        watched.try_one(content)
        if time.monotonic() > said + 2:
            # libFuzzer ends the process without coming back
            (work / "result.json").write_text(json.dumps(watched.result("atheris")))
            said = time.monotonic()

    atheris.Setup(options, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
