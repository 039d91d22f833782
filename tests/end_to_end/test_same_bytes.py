"""The same images, settings and seed give the same bytes, whatever else differs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import frostline
from tests.end_to_end.twins import outcome

pytestmark = pytest.mark.slow


def test_neither_the_store_nor_the_order_of_files_changes_a_byte(
    tiny: dict[str, Any],
    undisturbed: Any,
    digits_into: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a store that knows some of the images, and files that came into being in another order
    images, fewer = tmp_path / "images", tmp_path / "fewer"
    digits_into(fewer, per_class=4)
    files = sorted(undisturbed.images.rglob("*.png"))
    for number, file in enumerate(random.Random(3).sample(files, len(files))):
        path = images / file.relative_to(undisturbed.images)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())
        os.utime(path, (10**9 - number, 10**9 - number))
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    frostline.fit(fewer, tmp_path / "other", **tiny)
    result = frostline.fit(images, tmp_path / "run", **tiny)
    assert result.metrics["images_computed"] == 9
    assert outcome(tmp_path / "run") == undisturbed.outcome
