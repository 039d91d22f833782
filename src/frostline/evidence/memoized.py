"""Evidence that was collected before, on the same images by the same code, is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from frostline.compute.cache.fact import IMAGES, NETWORKS, NUMBERS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.evidence.collect import Evidence

EVIDENCE = Memo(
    name="evidence",
    version=1,
    libraries=(*NUMBERS, *IMAGES, *NETWORKS, "scikit-learn"),
    result=Evidence,
)


def evidence_inputs(
    store_key: str,
    *,
    digests: Sequence[str],
    classes: Sequence[str],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    class_weights: npt.NDArray[np.float64] | None,
    options: Sequence[str],
) -> dict[str, object]:
    """Return all that the evidence on some rows turns on.

    Parameters
    ----------
    store_key : str
        Stands for weights, preprocessing, taps and precision.
    digests : sequence of str
        Content of every row's image, in order.
    classes : sequence of str
        Of the catalog; lookalikes quote their names.
    labels, groups : int arrays of shape (n,)
        Of those rows.
    class_weights : array of shape (n_classes,) or None
    options : sequence of str
        Everything else that the result turns on, such as the seed.
    """
    # only which rows share a group counts, not the group's number
    _, first, same = np.unique(groups, return_index=True, return_inverse=True)
    return {
        "store": store_key,
        "digests": list(digests),
        "classes": list(classes),
        "labels": labels,
        "groups": first[same],
        "class_weights": class_weights,
        "options": list(options),
    }


def memoized_evidence(
    inputs: Mapping[str, object], collect: Callable[[], Evidence], rows: npt.NDArray[np.int64]
) -> Evidence:
    """Return the evidence for ``inputs``, or collect it and keep it for later runs.

    Parameters
    ----------
    inputs : mapping of str to object
        Of :func:`evidence_inputs`.
    collect : callable
        Calls :func:`~frostline.evidence.collect.collect_evidence`.
    rows : int array of shape (n,)
        The catalog rows that the evidence rests on; another catalog may number them otherwise.
    """
    return replace(memoize(EVIDENCE, inputs, collect), rows=rows)
