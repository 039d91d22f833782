"""The large study's sets are what they were meant to be, and its parts make up the whole."""

from __future__ import annotations

from collections import Counter

from benchmarks.decision.study import cells, part, seconds_of
from benchmarks.decision.study_sets import ALSO_TRAINED, EVERY_SET, STUDY_SETS


def test_at_most_half_of_the_sets_are_drawn_and_every_set_has_a_family() -> None:
    drawn = [one for one in STUDY_SETS.values() if one.network == "glyphs"]
    assert len(STUDY_SETS) >= 50
    assert len(drawn) <= len(STUDY_SETS) / 2
    assert all(one.family for one in EVERY_SET.values())
    assert len(Counter(one.family for one in STUDY_SETS.values())) >= 8
    assert set(ALSO_TRAINED) <= set(STUDY_SETS) and len(ALSO_TRAINED) == 8


def test_parts_take_about_as_long_and_leave_nothing_out() -> None:
    parts = [part(number, 15) for number in range(1, 16)]
    assert sorted(cell for one in parts for cell in one) == sorted(cells())
    times = [sum(seconds_of(*cell[:2]) for cell in one) for one in parts]
    assert max(times) < 1.1 * min(times)
