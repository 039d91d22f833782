"""Pictures are made once for one classifier and its images, and never shown for another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from frostline.compute.cache.locations import fits_folder
from frostline.compute.cache.store import packed
from frostline.core.actions import TapsHead
from frostline.core.errors import UnreadableImageError
from frostline.core.runtime import Runtime
from frostline.data.audit import audit
from frostline.data.problem import Problem
from frostline.explain import kept_gallery
from frostline.explain.gallery import Gallery
from frostline.explain.kept_gallery import gallery_once
from frostline.explain.make import LIMITS, Drawn, Subject, make_gallery
from frostline.stats.calibration import softmax
from frostline.stats.out_of_fold import OutOfFold

if TYPE_CHECKING:
    from tests.explain.conftest import Train


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """Every gallery that was really made."""
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    drawn: list[Drawn] = []

    def make(*args: Any, **more: Any) -> Drawn:
        drawn.append(make_gallery(*args, **more))
        return drawn[-1]

    monkeypatch.setattr(kept_gallery, "make_gallery", make)
    return drawn


@pytest.fixture
def given(corners: Any, learn: Train) -> dict[str, Any]:
    store, trained = corners.store, learn(TapsHead(taps=["blocks.2", "bn2"], alpha=0.1))
    labels = store.catalog.labels.copy()
    # one label is wrong, so that there is something to show
    labels[5] = 2
    return {
        "problem": Problem.of(store.catalog, labels=labels),
        "store": store,
        "subject": Subject(trained.module, trained.frozen, "taps"),
        "judged": [OutOfFold(trained.out_of_fold_rows, softmax(trained.out_of_fold_logits))],
        "audit": audit(store.catalog, None),
        "runtime": Runtime(),
        "limits": LIMITS["fast"],
    }


def once(given: dict[str, Any]) -> Gallery:
    return gallery_once(**given)


def test_a_second_report_shows_the_same_bytes(given: dict[str, Any], made: list[Drawn]) -> None:
    first = once(given)
    assert first.mistakes
    assert first.depths
    assert first.mistakes[0].heat
    assert once(given) == first == made[0].gallery
    assert len(made) == 1


@pytest.mark.parametrize("what", ["origin", "labels", "assessed", "limits", "module", "images"])
def test_another_classifier_has_pictures_of_its_own(
    given: dict[str, Any], made: list[Drawn], what: str
) -> None:
    once(given)
    other = dict(given)
    if what == "origin":
        other["subject"] = replace(given["subject"], origin="another")
    elif what == "labels":
        catalog, labels = given["store"].catalog, given["problem"].labels
        other["problem"] = Problem.of(catalog, labels=np.roll(labels, 1))
    elif what == "assessed":
        (some,) = given["judged"]
        other["judged"] = [OutOfFold(some.rows[:-1], some.probabilities[:-1])]
    elif what == "limits":
        other["limits"] = LIMITS["balanced"]
    elif what == "module":
        with torch.no_grad():
            given["subject"].module.head.bias[0] += 1.0
    else:
        store, problem = given["store"], given["problem"]
        digests = ("0" * 64, *store.catalog.digests[1:])
        catalog = replace(store.catalog, digests=digests)
        other["store"] = replace(store, catalog=catalog)
        other["problem"] = replace(problem, catalog=catalog)
        other["limits"] = replace(LIMITS["fast"], looked=0, heats=0, mistakes=0, doubtful=0)
    try:
        once(other)
    finally:
        if what == "module":
            with torch.no_grad():
                given["subject"].module.head.bias[0] -= 1.0
    assert len(made) == 2


def test_pictures_that_miss_an_image_are_made_again(
    given: dict[str, Any], made: list[Drawn], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = given["store"].pictures.prepared
    name = given["store"].catalog.rows[5].name

    def one_is_gone(digest: str) -> Any:
        if digest == given["store"].catalog.digests[5]:
            raise UnreadableImageError("five.png", "it is gone")
        return read(digest)

    with monkeypatch.context() as patched:
        patched.setattr(type(given["store"].pictures), "prepared", lambda _, d: one_is_gone(d))
        assert name not in [tile.path for tile in once(given).mistakes]
    assert [drawn.complete for drawn in made] == [False]
    assert name in [tile.path for tile in once(given).mistakes]
    assert [drawn.complete for drawn in made] == [False, True]


def test_what_is_no_gallery_is_made_again(given: dict[str, Any], made: list[Drawn]) -> None:
    first = once(given)
    (path,) = fits_folder().iterdir()
    for text in (b"[]", b"{}", b"nothing"):
        arrays = {"text": np.frombuffer(text, np.uint8), "bytes": np.zeros(0, np.uint8)}
        path.write_bytes(packed(arrays))
        assert once(given) == first
    assert len(made) == 4
