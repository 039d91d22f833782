"""Cross-validated accuracy is corrected for the images its models had to do without."""

from __future__ import annotations

import pytest

from frostline.core.errors import InputError
from frostline.stats.expected import expected_accuracy
from frostline.stats.intervals import wilson


def test_a_held_out_part_needs_no_correction() -> None:
    found = expected_accuracy(80, 100, slope=0.1)
    assert found.accuracy == 0.8
    assert found.interval == wilson(80, 100)
    assert found.gain == 0.0


def test_the_correction_follows_the_learning_curve_and_widens_the_interval() -> None:
    found = expected_accuracy(80, 100, share=0.5, slope=0.1)
    assert found.gain == pytest.approx(0.1)
    assert found.accuracy == pytest.approx(0.9)
    low, high = wilson(80, 100)
    assert found.interval[1] - found.interval[0] > high - low
    flat = expected_accuracy(80, 100, share=0.8, slope=-0.1)
    assert flat.gain == 0.0, "noise is no gain"
    assert flat.interval[1] - flat.interval[0] == pytest.approx(1.2 * (high - low))
    assert expected_accuracy(99, 100, share=0.5, slope=0.5).accuracy == 1.0
    assert expected_accuracy(99, 100, share=0.5, slope=0.5).interval[1] == 1.0


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        expected_accuracy(1, 2, share=share)
