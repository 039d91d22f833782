"""Nothing of a run's manifest leaves its folder: digests would tell whose images taught a model."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import frostline
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.image_refs import digest_of
from frostline.data.splitting.split import Split
from frostline.fitting.run_result import RunResult
from frostline.run.manifest import write_manifest
from frostline.run.run_folder import MANIFEST

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]


def contents(target: Path) -> Iterator[bytes]:
    """Yield every file, and what archives among them hold."""
    for path in [target] if target.is_file() else sorted(target.rglob("*")):
        if path.is_file():
            yield path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from (archive.read(name) for name in archive.namelist())


def mentions(target: Path, digests: list[str]) -> list[str]:
    words = [(d, form) for d in digests for form in (d.encode(), bytes.fromhex(d))]
    return [digest for content in contents(target) for digest, form in words if form in content]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m.onnx", {"to": "onnx"}),
        ("small.onnx", {"to": "onnx", "quantize": "int8"}),
        ("m.pt2", {"to": "torch"}),
        ("hub", {"to": "hub"}),
    ],
)
def test_no_export_tells_what_taught_the_model(
    make_run: MakeRun, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    made = make_run("full, one place")
    run = tmp_path / "run"
    shutil.copytree(made.folder, run)
    digests = [digest_of(path, name=path.name) for path in made.images]
    rows = tuple(ImageRow(path, path.name, 0) for path in made.images)
    nobody = np.empty(0, dtype=np.int64)
    split = Split("cross-validation", np.arange(len(rows)), nobody, nobody)
    write_manifest(run / MANIFEST, Catalog("x", made.card.classes, rows, tuple(digests)), split)
    assert mentions(run, digests) == digests
    frostline.export(run, tmp_path / name, **options)
    assert not mentions(tmp_path / name, digests)
    assert not list((tmp_path / name).rglob(MANIFEST))


def test_the_model_folder_of_a_run_does_not_tell_either(
    fast_run: RunResult, digit_folder: Path
) -> None:
    digests = [digest_of(path, name=path.name) for path in digit_folder.rglob("*.png")]
    assert mentions(fast_run.folder / MANIFEST, digests)
    assert not mentions(fast_run.folder / "model", digests)
