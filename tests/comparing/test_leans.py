"""A model that leans on a camera is told from one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frostline.comparing.judged import Judged
from frostline.comparing.leans import compare_leans
from frostline.core.arrays import IntArray
from frostline.data.decoding.facts import ImageFacts
from frostline.data.decoding.file_facts import FileFacts
from frostline.stats.score_contributions import Answered
from frostline.targets.choose import target_of
from frostline.wording.comparison import lean_sentence

N = 300


def fact(camera: int) -> ImageFacts:
    name = ("Alpha", "Beta")[camera]
    return ImageFacts(8, 8, 0.5, file=FileFacts("JPEG", "RGB", 900, 8, 8, camera=name))


def answers(truth: IntArray, sure: IntArray, right: tuple[float, float], seed: int) -> Answered:
    hit = np.random.default_rng(seed).random(N) < np.where(sure == truth, right[0], right[1])
    return Answered(np.where(hit, truth, 1 - truth))


def judged(truth: IntArray, a: Answered, b: Answered) -> Judged:
    return Judged(
        target=target_of("single", 2),
        outputs=("sound", "broken"),
        truth=truth,
        a=a,
        b=b,
        groups=np.arange(N),
        names=tuple(f"{i}.jpg" for i in range(N)),
        digests=tuple(f"{i:064x}" for i in range(N)),
        origins=(Path("x"),) * N,
        sure_a=(None,) * N,
        sure_b=(None,) * N,
    )


@pytest.mark.parametrize("leaning", ["a", "b"])
def test_the_model_that_leans_on_the_camera_is_named(leaning: str) -> None:
    truth: IntArray = np.arange(N, dtype=np.int64) % 2
    camera = np.where(np.random.default_rng(0).random(N) < 0.8, truth, 1 - truth)
    leans, honest = answers(truth, camera, (0.98, 0.3), 1), answers(truth, camera, (0.8, 0.8), 2)
    one = judged(truth, leans, honest)
    if leaning == "b":
        one = replace(one, a=honest, b=leans)
    (found,) = compare_leans(one, [fact(c) for c in camera.tolist()])
    assert (found.group, found.fact, found.verdict) == ("camera", "camera", leaning)
    own, other = (found.a, found.b) if leaning == "a" else (found.b, found.a)
    assert own > 0.5
    assert abs(other) < 0.2
    assert f"{leaning.upper()} leans on it more" in lean_sentence(found)


def test_a_camera_by_chance_is_no_news() -> None:
    truth: IntArray = np.arange(N, dtype=np.int64) % 2
    camera = np.random.default_rng(0).integers(0, 2, N)
    one = judged(truth, *(answers(truth, camera, (0.9, 0.5), seed) for seed in (1, 2)))
    assert compare_leans(one, [fact(c) for c in camera.tolist()]) == []
    assert compare_leans(one, [None] * N) == []
