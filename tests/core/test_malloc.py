"""What a step frees is used again by the next one, and given back at the end."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc's allocator"),
    pytest.mark.slow,
]

# a process of its own: what earlier work left in the heap would be used before anything new
_STEPS = """
import json, resource
from contextlib import nullcontext
from pathlib import Path

import torch
from frostline.core.malloc import malloc_retain

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def step():
    one = torch.ones(10_000_000)
    two = one * 2
    del one, two
    return resident()

found = {}
for name, memory in (("without", nullcontext()), ("with", malloc_retain())):
    with memory:
        start = resident()
        held = [step() - start for _ in range(40)]
    found[name] = {"held": held, "after": resident() - start}
print(json.dumps(found))
"""
#: of one of the two tensors of a step
_BYTES = 40e6


@cache
def _found() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _STEPS], capture_output=True, text=True, check=True, timeout=120
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_step_leaves_its_memory_to_the_next() -> None:
    assert max(_found()["without"]["held"]) < 0.5 * _BYTES
    held = _found()["with"]["held"]
    assert min(held) > 1.5 * _BYTES
    assert held[-1] - held[len(held) // 2] < 0.5 * _BYTES, "later steps ask for nothing new"
    # the allocator may cut a piece before it has found its way: a few pieces, not one a step
    assert held[-1] < 8 * _BYTES


def test_memory_is_given_back() -> None:
    assert _found()["with"]["after"] < 0.5 * _BYTES
