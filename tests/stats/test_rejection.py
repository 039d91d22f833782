"""The threshold keeps its promise for further images."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.stats.rejection import acceptance_threshold


@pytest.mark.parametrize("n", [19, 39, 200])
def test_the_next_image_stays_within_it_as_often_as_promised(n: int) -> None:
    rng = np.random.default_rng(0)
    draws = rng.gamma(2.0, size=(4000, n + 1))
    kept = [row[-1] <= acceptance_threshold(row[:-1]) for row in draws]
    # exactly ceil(0.95 (n + 1)) / (n + 1), whatever the law
    promised = np.ceil(0.95 * (n + 1)) / (n + 1)
    assert np.mean(kept) == pytest.approx(promised, abs=0.012)


def test_too_few_scores_give_the_largest() -> None:
    assert acceptance_threshold([3.0, 1.0, 2.0]) == 3.0
    assert acceptance_threshold([1.0]) == 1.0


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [np.inf]])
def test_no_threshold_without_scores(scores: list[float]) -> None:
    with pytest.raises(InputError, match="finite scores"):
        acceptance_threshold(scores)
    with pytest.raises(InputError, match="between 0 and 1"):
        acceptance_threshold([1.0], accepted=1.0)
