"""Trust nothing loaded: ever new bytes at every entrance where files of strangers come in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.soak import record
from tests.soak._entrances import ENTRANCES

ORDER = 3
TITLE = "Trust nothing loaded"

#: seconds for each entrance
_SECONDS = 240.0
#: seconds that a start takes, about
_START = 15.0
#: seconds more than planned after which one counts as hung
_MARGIN = 120.0
_FUZZER = Path(__file__).parent / "_fuzzer.py"


def run(work: Path, until: float) -> None:
    """Fuzz every entrance that was not fuzzed yet, as long as there is time."""
    found = record.read("fuzzing")
    waiting = [name for name in ENTRANCES if name not in found]
    for place, name in enumerate(waiting):
        entrance = ENTRANCES[name]
        share = (until - time.monotonic()) / (len(waiting) - place)
        seconds = min(_SECONDS, share - _START)
        if seconds < _START:
            return
        folder = work / name
        folder.mkdir(exist_ok=True)
        found[name] = {
            "what": entrance.what,
            "seconds": round(seconds),
            **_fuzz(name, seconds, folder),
        }
        record.write("fuzzing", found)


def _fuzz(name: str, seconds: float, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(_FUZZER), name, str(seconds), str(folder)]
    with (folder / "log").open("wb") as log:
        try:
            code = subprocess.run(
                command, stdout=log, stderr=log, timeout=seconds + _MARGIN, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    result = folder / "result.json"
    found: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
    if code:
        # the process died, or hangs, over the input that it wrote down last
        current = folder / "findings" / "current"
        size = current.stat().st_size if current.exists() else 0
        died = {"what": "died or hung", "bytes": size, "log": _end_of(folder / "log")}
        found.setdefault("findings", {})[f"exit code {code}"] = died
    return found


def _end_of(log: Path) -> str:
    return log.read_bytes()[-300:].decode(errors="replace")


def section(found: dict[str, Any]) -> str:
    """Write how many inputs each entrance took, and what came of them."""
    engines = {entry.get("engine", "?") for name, entry in found.items() if name in ENTRANCES}
    text = [
        f"Inputs that follow what code they reach ({', '.join(sorted(engines))}), from good files."
        " Anything but one of Frostline's own errors is a finding.\n",
        "| entrance | seconds | inputs | read | refused | slowest | findings |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ENTRANCES:
        if name in found:
            text.append(_row(found[name]))
    return "\n".join(text) + "\n"


def _row(entry: dict[str, Any]) -> str:
    numbers = [f"{entry.get(key, 0):,}" for key in ("inputs", "fine", "refused")]
    slowest, findings = entry.get("slowest_seconds", 0.0), entry.get("findings", {})
    cells = [entry["what"], str(entry["seconds"]), *numbers, f"{slowest:.1f} s", str(len(findings))]
    return f"| {' | '.join(cells)} |"
