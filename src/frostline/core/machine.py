"""What this process may use of the machine: cores, memory, locks; guarded where systems differ."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
#: containers without a limit name this or more
_NO_LIMIT = 2**60


def available_cores(root: Path = _ROOT) -> int:
    """Return the cores that this process may use: its affinity, and the quotas of containers.

    ``root``: where ``proc`` and ``sys`` are looked for.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shares = [cores or 1, *_cpu_quotas(root)]
    return max(1, round(min(shares)))


def memory_bytes(root: Path = _ROOT) -> int | None:
    """Return the memory that this process may use, in bytes; None where nobody tells."""
    found = [limit for limit in _memory_limits(root) if limit < _NO_LIMIT]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((limit for limit in found if limit > 0), default=None)


def available_memory_bytes(root: Path = _ROOT) -> int | None:
    """Return the memory that this process may still take, in bytes; None where nobody tells.

    What others have, in the same container or beside it, is taken off; what the system keeps of
    files and would give away is not.
    """
    found = [limit - used for limit, used in _memory_used(root) if limit < _NO_LIMIT]
    for line in _lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemAvailable" and rest.split()[:1]:
            found.append(int(rest.split()[0]) * 1024)
    return max(0, min(found)) if found else None


def may_have_accelerator() -> bool:
    """Whether a driver of a graphics processor is here; a quick look that loads no library.

    False is certain enough to spare loading PyTorch for the question alone; True is not.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32/nvcuda.dll").exists()
    devices = ("nvidiactl", "nvhost-gpu", "nvgpu", "dxg", "kfd")
    return any((_ROOT / "dev" / device).exists() for device in devices)


def peak_memory_bytes() -> int | None:
    """Return the most memory that this process has had; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def lives(process: int) -> bool:
    """Whether there is a process of this number; True where that cannot be asked."""
    if os.name == "nt":
        # os.kill would end it there, whatever the signal
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # of somebody else
        return True
    return True


def lock_alone(handle: int) -> None:
    """Hold an open folder against other processes until it is closed.

    Without such locks, as on Windows and on some file systems, two processes are not told from each
    other. Raises BlockingIOError if another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def lock_in_turn(handle: int) -> None:
    """Hold an open file against other threads and processes until it is closed; wait for them.

    Each must have opened the file for itself. Where there are no such locks, nobody waits.
    """
    try:
        import fcntl
    except ImportError:
        return
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Yield cores by every quota above this process: the narrowest counts."""
    for folder in _groups(root, "", "sys/fs/cgroup"):
        parts = _words(folder / "cpu.max")
        if len(parts) == 2 and parts[0] != "max":
            yield _ratio(*parts)
    for folder in _groups(root, "cpu", "sys/fs/cgroup/cpu"):
        quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
        # -1 is none
        if quota and period and not quota[0].startswith("-"):
            yield _ratio(quota[0], period[0])


def _memory_limits(root: Path) -> Iterator[int]:
    for controller, place, name in (
        ("", "sys/fs/cgroup", "memory.max"),
        ("memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ):
        for folder in _groups(root, controller, place):
            words = _words(folder / name)
            if words and words[0].isdigit():
                yield int(words[0])


def _memory_used(root: Path) -> Iterator[tuple[int, int]]:
    """Yield the limit of every control group above this process, and what it has used of it."""
    for controller, place, names in (
        ("", "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")),
        (
            "memory",
            "sys/fs/cgroup/memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ):
        for folder in _groups(root, controller, place):
            limit, used = _words(folder / names[0]), _words(folder / names[1])
            if not (limit and limit[0].isdigit() and used and used[0].isdigit()):
                continue
            # files that were read are given away when memory is wanted
            files = [
                line.split()[1]
                for line in _lines(folder / "memory.stat")
                if line.startswith(f"{names[2]} ")
            ]
            yield int(limit[0]), int(used[0]) - sum(map(int, files))


def _groups(root: Path, controller: str, place: str) -> Iterator[Path]:
    """Yield the folders of this process's control group and of all above it.

    ``controller``: of version 1, such as ``"cpu"``; empty for version 2, which has one tree for
    all. ``place``: where the tree is mounted, below ``root``.
    """
    mounted = root / place
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    inside = "/"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # the one tree of version 2 names no controller
        if controller in controllers.split(","):
            inside = path
    # within a container the tree is often mounted at its own group, so the path leads nowhere
    parts = [part for part in inside.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield mounted.joinpath(*parts[:depth])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _ratio(quota: str, period: str) -> float:
    try:
        return int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return float("inf")
