"""Evidence is collected once, and never mistaken for that of other images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frostline.compute.cache.eviction import damaged, items, prune
from frostline.compute.cache.locations import fits_folder
from frostline.compute.cache.store import packed
from frostline.core.runtime import Runtime
from frostline.evidence.collect import collect_evidence
from frostline.evidence.evidence import Evidence
from frostline.evidence.kept import evidence_key, kept_or
from tests.evidence.test_collect import pixel_store, problem_of

N = 40
LABELS = np.arange(N) % 3
GROUPS = np.arange(N)
DIGESTS = [f"{i:064x}" for i in range(N)]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))


@pytest.fixture
def collect() -> Callable[[], Evidence]:
    rng = np.random.default_rng(0)
    taps = rng.normal(size=(N, 6)).astype(np.float32)
    taps[:, 0] += LABELS
    store = pixel_store(taps, {"early": slice(0, 3), "late": slice(3, 6)})
    problem = problem_of(LABELS, classes=("a", "b", "c"))
    return lambda: collect_evidence(problem, store, np.arange(N), Runtime())


def never() -> Evidence:
    raise AssertionError("collected again")


def key(
    labels: npt.NDArray[np.int64] = LABELS,
    *,
    taps: str = "taps",
    options: tuple[str, ...] = ("",),
    **changes: Any,
) -> str:
    problem = problem_of(labels, **{"classes": ("a", "b", "c"), **changes})
    return evidence_key(problem, np.arange(N), taps_key=taps, options=options)


def test_what_was_collected_is_read_back_bit_for_bit(collect: Callable[[], Evidence]) -> None:
    first = kept_or("k", collect, np.arange(N))
    again = kept_or("k", never, np.arange(100, 100 + N))
    assert again.summary == first.summary
    # another catalog may number the same images otherwise
    np.testing.assert_array_equal(again.rows, np.arange(100, 100 + N))
    np.testing.assert_array_equal(again.compared, first.compared)
    assert again.correct.keys() == first.correct.keys()
    for tap, right in first.correct.items():
        assert again.correct[tap].dtype == np.bool_
        np.testing.assert_array_equal(again.correct[tap], right)
    assert again.ridge.keys() == first.ridge.keys()
    for tap, fit in first.ridge.items():
        for name, value in vars(fit).items():
            np.testing.assert_array_equal(getattr(again.ridge[tap], name), value)


def test_other_keys_share_nothing(collect: Callable[[], Evidence]) -> None:
    kept_or("one", collect, np.arange(N))
    with pytest.raises(AssertionError, match="collected again"):
        kept_or("two", never, np.arange(N))


def test_a_flipped_bit_is_noticed_and_mended(collect: Callable[[], Evidence]) -> None:
    first = kept_or("k", collect, np.arange(N))
    (path,) = fits_folder().iterdir()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    again = kept_or("k", collect, np.arange(N))
    assert again.summary == first.summary
    assert kept_or("k", never, np.arange(N)).summary == first.summary


def test_the_cache_knows_its_fits(collect: Callable[[], Evidence]) -> None:
    kept_or("k", collect, np.arange(N))
    assert [item.kind for item in items()] == ["fits"]
    (path,) = fits_folder().iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert damaged() == [path]
    kept_or("k", collect, np.arange(N))
    assert len(prune(to=0)) == 1
    assert not items()


def test_a_read_only_cache_costs_time_only(collect: Callable[[], Evidence], tmp_path: Path) -> None:
    (tmp_path / "fits").write_text("no folder")
    assert kept_or("k", collect, np.arange(N)).summary == collect().summary


def test_the_key_turns_on_everything_that_counts() -> None:
    other_labels, together = LABELS.copy(), GROUPS.copy()
    other_labels[0] = 2
    together[1] = 0
    keys = [
        key(),
        key(taps="others"),
        key(digests=[*DIGESTS[1:], DIGESTS[0]]),
        key(classes=("a", "b", "d")),
        key(other_labels),
        key(groups=together),
        key(weights="balanced"),
        key(seed=1),
        key(options=("1",)),
    ]
    assert len(set(keys)) == len(keys)


def test_only_who_shares_a_group_counts() -> None:
    renamed = np.array([1000 - g for g in GROUPS])
    assert key(groups=renamed) == key()


@pytest.mark.parametrize(
    "arrays",
    [
        {"rows": np.zeros(0, np.int64)},
        {"rows": np.array([N]), "fit/early/numbers": np.zeros(5)},
        {"rows": np.array([N]), "summary": np.frombuffer(b"\xff{", np.uint8)},
    ],
    ids=["nothing", "wrong shapes", "no text"],
)
def test_evidence_of_somebody_else_is_collected_again(
    collect: Callable[[], Evidence], arrays: dict[str, npt.NDArray[np.generic]]
) -> None:
    first = kept_or("k", collect, np.arange(N))
    path = fits_folder() / "k.shard"
    text = np.frombuffer(first.summary.model_dump_json().encode(), dtype=np.uint8)
    # whole by its checksums, but not what was once written
    path.write_bytes(packed({"summary": text, "compared": first.compared, **arrays}))
    again = kept_or("k", collect, np.arange(N))
    assert again.ridge.keys() == first.ridge.keys()
