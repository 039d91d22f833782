"""Machines differ: quotas of containers, no home, no POSIX."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frostline.core.machine import available_cores, lives, memory_bytes

RELEASED = Path(__file__).parents[1] / "model" / "released"
MODEL, IMAGE = RELEASED / "format-4", RELEASED / "images" / "0.png"
_V2 = "sys/fs/cgroup"
_V1_CPU, _V1_MEMORY = f"{_V2}/cpu", f"{_V2}/memory"

QUOTAS = {
    "version 2, at the root": ({f"{_V2}/cpu.max": "100000 100000"}, "0::/"),
    "version 2, nested": ({f"{_V2}/a/b/cpu.max": "100000 100000"}, "0::/a/b"),
    "version 2, above": (
        {f"{_V2}/a/cpu.max": "50000 50000", f"{_V2}/a/b/cpu.max": "max 100000"},
        "0::/a/b",
    ),
    "version 2, mounted at its own group": ({f"{_V2}/cpu.max": "100000 100000"}, "0::/gone/b"),
    "version 1": (
        {f"{_V1_CPU}/cpu.cfs_quota_us": "100000", f"{_V1_CPU}/cpu.cfs_period_us": "100000"},
        "4:cpu,cpuacct:/\n3:memory:/",
    ),
    "version 1, nested": (
        {
            f"{_V1_CPU}/cpu.cfs_quota_us": "-1",
            f"{_V1_CPU}/docker/x/cpu.cfs_quota_us": "50000",
            f"{_V1_CPU}/docker/x/cpu.cfs_period_us": "50000",
        },
        "7:cpuacct,cpu:/docker/x",
    ),
    "less than one core": ({f"{_V2}/cpu.max": "20000 100000"}, "0::/"),
}


def machine(folder: Path, files: dict[str, str], group: str | None) -> Path:
    """Write what a system says of itself."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    if group is not None:
        (folder / "proc/self").mkdir(parents=True, exist_ok=True)
        (folder / "proc/self/cgroup").write_text(group + "\n")
    return folder


@pytest.mark.parametrize("kind", QUOTAS)
def test_every_quota_counts(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    files, group = QUOTAS[kind]
    assert available_cores(machine(tmp_path, files, group)) == 1


@pytest.mark.parametrize(
    ("files", "group"),
    [
        ({}, None),
        ({f"{_V2}/cpu.max": "max 100000"}, "0::/"),
        ({f"{_V2}/cpu.max": "nonsense"}, "nonsense"),
        ({f"{_V2}/other/cpu.max": "100000 100000"}, "0::/mine"),
        ({f"{_V2}/cpu.max": "100000 0"}, "0::/../.."),
        ({f"{_V1_CPU}/cpu.cfs_quota_us": "-1", f"{_V1_CPU}/cpu.cfs_period_us": "1"}, "4:cpu:/"),
    ],
)
def test_without_a_quota_the_affinity_counts(
    files: dict[str, str], group: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_cores(machine(tmp_path, files, group)) == 8


@pytest.mark.parametrize(
    ("files", "group", "limit"),
    [
        ({f"{_V2}/a/memory.max": "1000000"}, "0::/a/b", 10**6),
        ({f"{_V2}/memory.max": "max"}, "0::/", None),
        ({f"{_V1_MEMORY}/memory.limit_in_bytes": "2000000"}, "3:memory:/", 2 * 10**6),
        ({f"{_V1_MEMORY}/memory.limit_in_bytes": str(2**63 - 4096)}, "3:memory:/", None),
    ],
)
def test_the_memory_of_a_container_counts(
    files: dict[str, str], group: str, limit: int | None, tmp_path: Path
) -> None:
    whole = memory_bytes(tmp_path / "nothing")
    assert memory_bytes(machine(tmp_path, files, group)) == (whole if limit is None else limit)


def test_processes_are_told_from_dead_ones() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert lives(os.getpid())
    assert not lives(ended.pid)


@pytest.mark.slow
def test_nothing_needs_what_only_posix_has(tmp_path: Path) -> None:
    code = f"""
import sys, os
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "sysconf", "O_NONBLOCK", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
import importlib, pkgutil, frostline
from pathlib import Path
for found in pkgutil.walk_packages(frostline.__path__, "frostline."):
    # what belongs to an extra imports that
    if found.name.split(".")[-1] not in ("__main__", "lightning", "to_mlflow", "to_tensorboard"):
        importlib.import_module(found.name)
from frostline.run.run_folder import RunFolder
from frostline.core.files import replacing
from frostline.core.machine import available_cores, memory_bytes, peak_memory_bytes
assert available_cores() >= 1
assert peak_memory_bytes() is None
with RunFolder.open(Path({str(tmp_path / "run")!r}), settings={{}}, overwrite=False) as run:
    run.write_json("plan.json", {{}})
print(frostline.load({str(MODEL)!r}).predict({str(IMAGE)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().startswith("['")


@pytest.mark.parametrize("home", [None, os.devnull])
@pytest.mark.parametrize(
    "command",
    [["cache", "show"], ["predict", str(MODEL), str(IMAGE)]],
    ids=["cache", "predict"],
)
def test_commands_run_without_a_home(command: list[str], home: str | None, tmp_path: Path) -> None:
    # a user whom the system does not know, as containers often run as
    code = f"""
import os, pwd, sys
def unknown(*_):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = unknown
os.chdir({str(tmp_path)!r})
sys.argv = ["frostline", *{command!r}]
from frostline.cli.main import run
run()
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "FROSTLINE_CACHE")}
    environment.pop("XDG_CACHE_HOME", None)
    if home is not None:
        environment["HOME"] = home
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is written beside a user who has no home"


@pytest.mark.parametrize("cache", ["~nobody-of-this-name/x"])
def test_a_cache_that_cannot_be_is_one_message(cache: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "frostline", "cache", "show"],
        env=os.environ | {"FROSTLINE_CACHE": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_gone_is_one_message(tmp_path: Path) -> None:
    code = f"""
import os, sys
os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r})
sys.argv = ["frostline", "predict", {str(MODEL)!r}, {str(IMAGE)!r}]
from frostline.cli.main import run
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "current folder does not exist" in done.stderr
    assert "Traceback" not in done.stderr
