"""Which processor this is, as far as it decides how engines run best."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Literal

ProcessorKind = Literal["x86-64", "x86-64 with AVX-512", "Arm", "other"]

_X86, _ARM = ("x86_64", "amd64", "x64"), ("aarch64", "arm64")


@cache
def processor_name() -> str:
    """Return the processor's model where the system tells it."""
    return _entry("model name") or platform.processor()


@cache
def processor_kind() -> ProcessorKind:
    """Return the family of this processor."""
    machine = platform.machine().lower()
    if machine in _ARM:
        return "Arm"
    if machine not in _X86:
        return "other"
    return "x86-64 with AVX-512" if "avx512f" in _entry("flags").split() else "x86-64"


def _entry(name: str) -> str:
    """Return the first line of that name of what Linux says about the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in found if key.strip() == name), "")
