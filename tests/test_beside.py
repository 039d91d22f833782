"""What two versions side by side are measured with says what happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.beside import jobs
from benchmarks.beside.resident import Peak

_MB = 2**20


def test_the_first_image_of_the_folder_is_told_and_nothing_else(tmp_path: Path) -> None:
    images, told = tmp_path / "images", tmp_path / "told.txt"
    images.mkdir()
    for name in ("a.png", "table.csv", "b.jpg"):
        (images / name).touch()
    (tmp_path / "elsewhere.png").touch()
    code = (
        "import pathlib, time, os\n"
        f"folder, told = pathlib.Path({str(images)!r}), pathlib.Path({str(told)!r})\n"
        "(folder / 'table.csv').read_bytes()\n"
        "(folder.parent / 'elsewhere.png').read_bytes()\n"
        "assert not told.exists()\n"
        "before = time.monotonic()\n"
        "os.close(os.open(folder / 'b.jpg', os.O_RDONLY))\n"
        "first = told.read_text()\n"
        "assert before <= float(first) <= time.monotonic()\n"
        "(folder / 'a.png').read_bytes()\n"
        "assert told.read_text() == first\n"
    )
    env = {
        **os.environ,
        "PYTHONPATH": str(jobs._HOOK),
        "BESIDE_IMAGES": f"{images}{os.sep}",
        "BESIDE_FIRST_READ": str(told),
    }
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="asks Linux")
def test_memory_of_children_counts() -> None:
    hold = "import sys, time; held = bytearray(%d); print('held', flush=True); time.sleep(60)"
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {hold % (100 * _MB)!r}])\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            with Peak(process.pid) as peak:
                time.sleep(0.1)
        finally:
            os.killpg(process.pid, 9)
    assert 100 * _MB < peak.bytes < 200 * _MB


def test_a_page_shows_medians_and_their_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(wall: float) -> dict[str, object]:
        rates = {"1": 30.0, "16": 60.0}
        memory = {"first_answer": 1e8, "after_load": 2e8}
        service = {"first_answer": 1.5, "memory": memory, "per_second": rates}
        return {
            "start": 0.8,
            "wall": wall,
            "accuracy": 0.85,
            "peak_memory": 1e9,
            "chosen": "head on all taps",
            "seconds": {"total": wall},
            "service": service,
        }

    shutil.copytree(figures.RESULTS, tmp_path / "results")
    found = {
        "images": 206,
        "trees": {
            "this": {"commit": "aaa", "versions": {}},
            "other": {"commit": "bbb", "versions": {"torch": "2"}},
        },
        "rounds": {
            "this": [one(5.0), one(4.0), one(9.0)],
            "other": [one(10.0), one(50.0), one(9.0)],
        },
    }
    content = json.dumps({"sets": {"photos": found}})
    (tmp_path / "results" / "beside.json").write_text(content, encoding="utf-8")
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    page = figures.rendered("speed", "")
    cells = "5.0 | 0.50 | 0.850 | 1.00 | 0.80 | head on all taps |"
    assert f"| photos | 206 | this version, light install | 3 | {cells}" in page
    assert "| photos | 206 | version bbb | 3 | 10.0 | 1.00 |" in page
    assert "| photos | version bbb | 1.50 | 100 | 200 | 30.0 | 60.0 |" in page
