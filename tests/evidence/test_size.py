from __future__ import annotations

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.evidence.size import measure_size


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ([999 // 3] * 3, "small"),
        ([500, 500], "medium"),
        ([19] * 60, "small"),
        ([20] * 60, "medium"),
        ([2500, 2499], "medium"),
        ([2500, 2500], "large"),
        ([99] * 60, "medium"),
        ([100] * 60, "large"),
        # one huge class does not make up for a small median class
        ([9000, 15, 15], "small"),
        ([9000, 60, 60], "medium"),
    ],
)
def test_label_follows_images_and_the_median_class(counts: list[int], label: str) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    size = measure_size(labels, n_classes=len(counts))
    assert size.label == label
    assert size.n_images == sum(counts)
    assert size.smallest_class == min(counts)
    assert size.largest_class == max(counts)
    assert size.per_class == float(np.median(counts))


def test_a_class_without_images_counts_as_empty() -> None:
    size = measure_size(np.array([0, 0, 2, 2]), n_classes=3)
    assert size.n_classes == 3
    assert size.smallest_class == 0


@pytest.mark.parametrize("labels", [[], [0, 3], [-1, 0]])
def test_impossible_labels_are_refused(labels: list[int]) -> None:
    with pytest.raises(InputError):
        measure_size(np.array(labels, dtype=np.int64), n_classes=3)
