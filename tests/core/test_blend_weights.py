"""An average says how much each member counts, or all count alike."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from frostline.core.actions import Blend, TapsHead

HEADS = [TapsHead(taps=["a"]), TapsHead(taps=["b"])]


def test_weights_of_an_average() -> None:
    assert Blend(members=HEADS).shares == [0.5, 0.5]
    weighted = Blend(members=HEADS, weights=[0.7, 0.3])
    assert weighted.shares == [0.7, 0.3]
    assert Blend.model_validate_json(weighted.model_dump_json()) == weighted
    # what was written before there were weights
    kept = {key: v for key, v in Blend(members=HEADS).model_dump().items() if key != "weights"}
    assert Blend.model_validate(kept).weights is None


@pytest.mark.parametrize(
    "weights", [[1.0], [0.7, 0.7], [1.0, 0.0], [1.5, -0.5], [0.5, float("nan")]]
)
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(ValidationError):
        Blend(members=HEADS, weights=weights)
