"""Streams of random numbers: one name for one use, and no two alike."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import frostline
from frostline.core.rng import Stream, generator, keyed_bytes, keyed_number
from frostline.evidence.curve import last_doubling
from frostline.evidence.flips import check_flips, rows_to_mirror
from frostline.evidence.probes import ALL, probe
from frostline.evidence.shift import resamples
from frostline.stats.intervals import stratified_bootstrap
from frostline.targets.labelled import Labelled
from frostline.targets.single_label import SingleLabel

ROOT = Path(str(frostline.__file__)).parent
#: rooms that draw from the seed of a run
SEEDED = ("stats", "evidence", "strategy", "training", "compute")


def test_streams_of_one_run_are_pairwise_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half no. 2 of the curve and the sample of mirrored images were one stream."""
    started = []
    plain = np.random.default_rng

    def default_rng(*key: Any) -> np.random.Generator:
        found = plain(*key)
        started.append(str(found.bit_generator.state))
        return found

    features = plain(1).normal(size=(2000, 3))
    labels, groups = np.arange(2000) % 3, np.arange(2000)
    labelled = Labelled(SingleLabel(3), labels, groups)
    whole = probe(ALL, features, labelled)
    blocks = [slice(0, 3)]
    monkeypatch.setattr(np.random, "default_rng", default_rng)
    last_doubling(features, labelled, blocks=blocks, seed=0, whole=whole.evidence)
    positions = rows_to_mirror(labels, groups, seed=0)
    mirrored = features[positions]
    check_flips(features, labelled, mirrored, positions, seed=0)
    resamples(len(features), seed=0)
    stratified_bootstrap(labels > 0, labels, seed=0)
    assert len(started) >= 11
    assert [state for state, times in Counter(started).items() if times > 1] == []


def test_every_name_is_drawn_at_one_place_and_nothing_without_a_name() -> None:
    named: Counter[str] = Counter()
    bare = []
    for file in (file for room in SEEDED for file in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            given = [*node.args, *(k.value for k in node.keywords)]
            words = [a.value for a in given if isinstance(a, ast.Constant)]
            if called in ("generator", "keyed_number", "halved_to"):
                named.update(word for word in words if isinstance(word, str))
            # what is the same in every run needs no name
            if called == "default_rng" and not isinstance(node.args[0], ast.Constant):
                bare.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not bare
    assert named == Counter(get_args(Stream))


def test_keys_do_not_run_together() -> None:
    assert keyed_number("view", 12, 3) != keyed_number("view", 1, 23)
    assert keyed_number("view", 1) != keyed_number("order", 1)
    assert 0 <= keyed_number("mixing") < 2**63


def test_numbers_stay_what_they_are_from_release_to_release() -> None:
    assert keyed_number("order", 0, 1, "ab") == 8587676541282038560
    assert keyed_bytes("folds", 0, "ab").hex() == "15b8efd2b337d7f4dc3226a8361f95cc"
    assert generator("shift", 3, 200).integers(1000, size=3).tolist() == (
        np.random.default_rng([3, 200]).integers(1000, size=3).tolist()
    )
    assert generator("mirrored sample", 0).integers(1000, size=3).tolist() == [397, 79, 313]
