"""A watch of a stream: promised false alarms, changes found, at the right end of the network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from frostline.core.errors import InputError, SettingsError
from frostline.stats.conformal_martingale import ConformalMartingale
from frostline.stats.drift import DriftReference, fit_drift_reference
from frostline.stats.drift_watch import RECENT, DriftWatch

#: columns of each depth
_WIDTH, _DEPTHS = 40, 4
Tables = list[npt.NDArray[np.float32]]


def images(n: int, seed: int, *, moved: tuple[int, ...] = (), by: float = 1.5) -> Tables:
    """Activations at four depths, each with a few strong directions; some depths are moved."""
    random = np.random.default_rng([7, seed])
    mixing = np.random.default_rng(3).normal(size=(_DEPTHS, 6, _WIDTH))
    found = []
    for depth in range(_DEPTHS):
        values = random.normal(size=(n, 6)) @ mixing[depth] + random.normal(size=(n, _WIDTH))
        found.append((np.abs(values) + by * (depth in moved) * random.random(_WIDTH)).astype("f4"))
    return found


@pytest.fixture(scope="module")
def reference() -> DriftReference:
    return fit_drift_reference(images(150, 0), images(200, 1), means=[_WIDTH // 2] * _DEPTHS)


def shown(reference: DriftReference, tables: Tables, **options: float) -> DriftWatch:
    watch = DriftWatch(reference, **options)  # type: ignore[arg-type]
    for place in range(len(tables[0])):
        watch.see([table[place] for table in tables])
    return watch


def test_few_clean_streams_ever_raise_an_alarm() -> None:
    random = np.random.default_rng(0)
    alarms = 0
    for stream in range(100):
        scores = random.standard_t(3, size=(140, 4))
        watch = ConformalMartingale(
            scores[:60], false_alarms=0.1, random=np.random.default_rng(stream)
        )
        for row in scores[60:]:
            watch.step(row)
        alarms += watch.alarmed
    assert alarms <= 10 + 2 * np.sqrt(100 * 0.1 * 0.9)


def test_p_values_are_uniform_even_where_scores_tie() -> None:
    random = np.random.default_rng(1)
    scores = random.integers(0, 3, size=(2000, 1)).astype(float)
    watch = ConformalMartingale(scores[:100], random=random)
    found = np.sort([watch.step(row)[0] for row in scores[100:]])
    assert np.abs(found - (np.arange(len(found)) + 0.5) / len(found)).max() < 0.04


@pytest.mark.parametrize(("moved", "kind"), [((0, 1), "early"), ((2, 3), "late")])
def test_a_change_is_found_and_said_to_begin_where_it_does(
    reference: DriftReference, moved: tuple[int, ...], kind: str
) -> None:
    watch = shown(reference, images(60, 2, moved=moved))
    state = watch.state()
    assert state.alarm_at is not None
    assert state.alarm_at < 30
    assert state.onset.kind == kind
    assert state.onset.depth in moved
    assert min(state.depths[i].distance for i in moved) > max(
        state.depths[i].distance for i in range(_DEPTHS) if i not in moved
    )


def test_a_change_after_many_clean_images_is_found_soon(reference: DriftReference) -> None:
    watch = shown(reference, images(400, 3))
    assert not watch.alarmed
    assert watch.state().onset.kind == "none"
    later = images(60, 4, moved=(0, 1, 2, 3), by=2.0)
    alarms = [watch.see([table[i] for table in later]) for i in range(60)]
    assert sum(alarms) == 1
    assert alarms.index(True) < 40
    assert watch.state(last=alarms.index(True) + 1).onset.kind == "early"


def test_memory_is_bounded(reference: DriftReference) -> None:
    import pickle

    watch = shown(reference, images(RECENT + 5, 5))
    before = len(pickle.dumps(watch))
    for place in range(200):
        watch.see([table[place % 50] for table in images(50, 6)])
    assert len(pickle.dumps(watch)) <= before + 64
    assert watch.state().recent == RECENT
    assert watch.images == RECENT + 205


def test_nothing_seen_is_no_change(reference: DriftReference) -> None:
    state = DriftWatch(reference).state()
    assert (state.images, state.alarm_at, state.onset.kind) == (0, None, "none")
    assert all(depth.p_value == 1.0 for depth in state.depths)


def test_what_is_kept_gives_the_same_scores(reference: DriftReference) -> None:
    again = DriftReference.of_arrays(reference.arrays())
    some = images(20, 8)
    np.testing.assert_array_equal(again.scores(some), reference.scores(some))
    assert sum(one.nbytes for one in reference.arrays().values()) < 40_000


def test_bad_input_is_refused(reference: DriftReference) -> None:
    watch = DriftWatch(reference)
    with pytest.raises(InputError, match="reads 4 depths"):
        watch.see([np.zeros(_WIDTH)])
    with pytest.raises(InputError, match="finite"):
        watch.see([np.full(_WIDTH, np.nan)] * _DEPTHS)
    with pytest.raises(SettingsError, match="between 0 and 1"):
        DriftWatch(reference, false_alarms=1.0)
    with pytest.raises(InputError, match="same features"):
        fit_drift_reference([np.ones((20, 4))], [np.ones((5, 4))], means=[2])
