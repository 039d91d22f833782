"""A fit leaves the process of whoever asked for it as it found it, and ends when it shall."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import frostline
from frostline.core.cancel import Cancelled, CancelToken
from frostline.core.progress import NullProgress, Task
from frostline.fitting.pipeline import fit_all
from tests.end_to_end.twins import OneBar

pytestmark = pytest.mark.slow

OTHER_THREADS = 2


@pytest.fixture
def process() -> Iterator[dict[str, Any]]:
    """What the process has, with another number of threads than the fits use."""
    threads = torch.get_num_threads()
    torch.set_num_threads(OTHER_THREADS)
    yield state()
    torch.set_num_threads(threads)


def state() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.backends.cudnn.deterministic,
        "benchmark": torch.backends.cudnn.benchmark,
        "generator": torch.get_rng_state().tolist(),
        "environment": {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
    }


@pytest.fixture
def options(tiny_network: dict[str, Any]) -> dict[str, Any]:
    return {**tiny_network, "threads": 1, "workers": 0}


def test_a_fit_leaves_the_process_as_it_found_it(
    process: dict[str, Any], digit_parts: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    frostline.fit(digit_parts, tmp_path / "run", strategy="finetune", epochs=1, **options)
    assert state() == process
    frostline.advise(digit_parts, **options)
    assert state() == process
    fit_all(digit_parts / "train", effort="fast", **options)
    assert state() == process


def test_a_fit_that_is_cancelled_ends_at_the_next_step_and_goes_on_from_there(
    process: dict[str, Any], digit_parts: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    token = CancelToken()
    options |= {"strategy": "finetune", "epochs": 3}
    with pytest.raises(Cancelled):
        frostline.fit(
            digit_parts, tmp_path / "run", progress=CancelIn(token), cancel=token, **options
        )
    assert state() == process
    again = frostline.fit(digit_parts, tmp_path / "run", **options)
    whole = frostline.fit(digit_parts, tmp_path / "whole", **options)
    assert again.metrics["test"] == whole.metrics["test"]


class CancelIn(NullProgress):
    """Cancels from beside, once an epoch of the training is done."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Task]:
        done = 0
        token = self._token

        class Bar:
            def advance(self, n: int = 1) -> None:
                nonlocal done
                done += n
                token.check()
                if label == "Training" and done > total // 3:
                    token.cancel()

        yield Bar()


def test_folds_show_one_bar_at_a_time(
    digit_folder: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    # rich 13.7 refuses a second live display
    settings = {**options, "strategy": "cut", "cut": "blocks.3", "epochs": 1}
    bars = OneBar()
    frostline.fit(digit_folder, tmp_path / "run", progress=bars, **settings)
    assert "cross-validation" in bars.labels
