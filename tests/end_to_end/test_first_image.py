"""Nothing is imported before the first image is read that only comes into play behind it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LATER = (
    *("onnx", "google.protobuf", "onnxruntime", "torch", "scipy", "jinja2", "fastapi"),
    *("frostline.report", "frostline.exporting", "frostline.explain.make"),
)


def test_report_and_export_are_imported_behind_the_first_image(
    digit_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import os, sys, threading\n"
        # never let go: another reading thread must not print as well before the process is gone
        "only = threading.Lock()\n"
        "def first(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).startswith(sys.argv[1] + os.sep):\n"
        "        only.acquire()\n"
        "        print([name for name in sys.argv[3:] if name in sys.modules], flush=True)\n"
        "        os._exit(0)\n"
        "from frostline.fitting.pipeline import fit\n"
        "sys.addaudithook(first)\n"
        "fit(sys.argv[1], sys.argv[2], effort='fast')\n"
    )
    command = [sys.executable, "-c", code, str(digit_folder), str(tmp_path / "run"), *_LATER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr
