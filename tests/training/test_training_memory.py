"""What a step frees is used again by the next one, and given back at the end."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import pytest
import torch

from frostline.training.memory import kept_memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc's allocator")
_STEPS = 20


def _faults_of_steps() -> int:
    """Pages that the system had to hand out for steps that all need the same memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(_STEPS):
        one = torch.ones(10_000_000)
        two = one * 2
        del one, two
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@glibc
def test_steps_use_the_same_pages_again() -> None:
    before = _faults_of_steps()
    with kept_memory():
        within = _faults_of_steps()
    after = _faults_of_steps()
    assert within < before / 5
    # memory that was still kept would be used again without a single fault
    assert after > within * 2, "what comes after is as before"


@glibc
def test_memory_is_given_back() -> None:
    with kept_memory():
        pieces = [torch.ones(2_000_000) for _ in range(50)]
        held = _resident()
        del pieces
        assert _resident() > held - 50e6, "kept for the next step"
    assert _resident() < held - 300e6


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
