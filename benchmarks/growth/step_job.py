"""One step at one size in a process of its own.

python -m benchmarks.growth.step_job STEP ROWS FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.growth.steps import STEPS


def main() -> None:
    """Prepare the input, then measure the step alone; print what was found as the last line."""
    name, n, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    call = STEPS[name](n, folder)
    before = _memory("VmRSS")
    # the peak counts from here on
    Path("/proc/self/clear_refs").write_text("5")
    cpu, wall = time.process_time(), time.perf_counter()
    found = call()
    measured = {
        "cpu": round(time.process_time() - cpu, 3),
        "wall": round(time.perf_counter() - wall, 3),
        "memory_before": before,
        "memory_added": max(0, _memory("VmHWM") - before),
        "found": {key: round(value, 4) for key, value in found.items()},
    }
    print(json.dumps(measured), flush=True)


def _memory(key: str) -> int:
    """Bytes of one line of /proc/self/status (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    main()
