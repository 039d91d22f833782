"""Whether what should not matter gives the labels of a run's training images away."""

from __future__ import annotations

from functools import partial
from itertools import accumulate, pairwise

import numpy as np

from frostline.compute.features import Features
from frostline.compute.file_facts import file_facts
from frostline.compute.frozen import Frozen
from frostline.core.arrays import IntArray
from frostline.core.confound_record import ConfoundAudit
from frostline.core.runtime import Runtime
from frostline.data.decoding.facts import border_colours, mean_colours
from frostline.data.problem import Problem
from frostline.evidence.confounds import audit_confounds, look_at_facts, rows_to_look_at
from frostline.evidence.fact_groups import fact_groups
from frostline.evidence.left_out_values import FeatureFit
from frostline.targets.labelled import Labelled


def find_confounds(
    problem: Problem,
    frozen: Frozen,
    train: IntArray,
    runtime: Runtime,
    *,
    alpha: float | None = None,
) -> ConfoundAudit:
    """Look at facts about training images, at most 1,000, one of each group.

    Colours come from thumbnails that are there already; of files no more than headers is read,
    once for the same content. ``alpha``: the penalty of a head on all taps, where it is known.
    """
    rows = rows_to_look_at(problem, train)
    # each counts once, whatever weight its class has: scores are balanced
    labelled = Labelled(problem.target, problem.labels[rows], np.arange(len(rows)))
    thumbnails = frozen.features.thumbnails[rows]
    groups, unused = fact_groups(
        file_facts(frozen.catalog, rows.tolist(), runtime),
        mean_colours(thumbnails),
        border_colours(thumbnails),
    )
    looked = look_at_facts(labelled, groups, unused, seed=problem.seed)
    return audit_confounds(
        looked,
        partial(_feature_fit, frozen.features, rows, labelled, alpha),
        problem.classes if problem.target.exclusive else (),
        seed=problem.seed,
    )


def _feature_fit(
    features: Features, rows: IntArray, labelled: Labelled, alpha: float | None
) -> FeatureFit:
    widths = [part.stop - part.start for part in features.slices.values()]
    blocks = [slice(low, high) for low, high in pairwise(accumulate(widths, initial=0))]
    table = features.table(list(features.slices), rows)
    return FeatureFit.of(table, labelled, blocks, alpha)
