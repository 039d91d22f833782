"""The same images, settings and seed give the same bytes, whatever else differs."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twins import outcome  # type: ignore[import-not-found]

import frostline

Write = Callable[..., None]


def test_neither_the_store_nor_the_order_of_files_changes_a_byte(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_into: Write
) -> None:
    images, fewer = tmp_path / "images", tmp_path / "fewer" / "images"
    digits_into(images, per_class=7)
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "empty"))
    frostline.fit(images, tmp_path / "cold", **tiny)
    # a store that knows some of the images, and files that came into being in another order
    digits_into(fewer, per_class=4)
    files = {path: path.read_bytes() for path in images.rglob("*.png")}
    shutil.rmtree(images)
    for number, path in enumerate(random.Random(3).sample(sorted(files), len(files))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
        os.utime(path, (10**9 - number, 10**9 - number))
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "half"))
    frostline.fit(fewer, tmp_path / "other", **tiny)
    result = frostline.fit(images, tmp_path / "again", **tiny)
    assert result.metrics["images_computed"] == 9
    assert outcome(tmp_path / "again") == outcome(tmp_path / "cold")
