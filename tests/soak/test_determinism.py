"""Same seed, same bytes: across workers, threads, stores, processes and the order of files."""

from __future__ import annotations

import os
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.soak import commands
from tests.soak.commands import Job
from tests.soak.ground import Ground, differences, outcome, write_images

pytestmark = pytest.mark.soak
_CHANGES = (
    *("again", "no decode workers", "3 decode workers", "another order of files on disk"),
    *("another hash seed", "a second run in one process", "a store that holds everything"),
    *("a store that holds half of the images", "a store that 2 threads filled"),
    "OMP_NUM_THREADS=2, 1 compute thread",
)
_OPTIONS = {"no decode workers": ["--workers", "0"], "3 decode workers": ["--workers", "3"]}
_FRESH = {
    "another hash seed": {"PYTHONHASHSEED": "77"},
    "OMP_NUM_THREADS=2, 1 compute thread": {"OMP_NUM_THREADS": "2"},
}


@pytest.fixture(scope="module")
def plain(ground: Ground) -> dict[str, dict[str, str]]:
    """What each recipe comes to, filled as it is asked for."""
    write_images(ground.work / "half", classes=(3, 8), per_class=13, noise=0.4)
    return {}


@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.parametrize("recipe", ["head", "cut", "race", "full"])
def test_no_byte_changes(
    ground: Ground,
    plain: dict[str, dict[str, str]],
    recipe: str,
    change: str,
    tmp_path: Path,
) -> None:
    def fit(name: str, images: Path, cache: Path, *options: str) -> Job:
        words = ground.words(recipe, images, tmp_path / name)
        # what is asked for last counts
        return Job([*words, "--threads", "1", *options], cache, tmp_path / "said.txt")

    def done(job: Job) -> Path:
        ended = (commands.fresh if change in _FRESH else commands.one)(job)
        assert ended.code == 0, ended.said
        return Path(job.arguments[3])

    images, whole = ground.work / "images", ground.work / f"{recipe} store"
    if recipe not in plain:
        plain[recipe] = outcome(done(fit("plain", images, whole)))
    cache = tmp_path / "cache"
    if change == "a store that holds everything":
        shutil.copytree(whole, cache)
    elif change == "a store that holds half of the images":
        done(fit("half", ground.work / "half", cache))
    elif change == "a store that 2 threads filled":
        done(fit("threads", images, cache, "--threads", "2"))
    elif change == "another order of files on disk":
        images = _shuffled(images, tmp_path / "images")
    job = fit("run", images, cache, *_OPTIONS.get(change, []))
    before: tuple[partial[None], ...] = ()
    if change == "a second run in one process":
        before = (partial(_run_before, fit("first", images, cache).arguments),)
    job = Job(job.arguments, cache, job.said, before=before, env=_FRESH.get(change, {}))
    assert not differences(outcome(done(job)), plain[recipe])


def _run_before(words: list[str]) -> None:
    """Run another fit in this process first."""
    from typer.testing import CliRunner

    from frostline.cli.main import app

    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output


def _shuffled(images: Path, target: Path) -> Path:
    """Copy images so that folders and files come into being in a random order."""
    files = sorted(images.rglob("*.png"))
    random.Random(5).shuffle(files)
    for file in files:
        place = target / file.relative_to(images)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
        os.utime(place, (1e9, 1e9))
    return target
