"""Do sets of labels hold the truth as often as they say, and abstentions keep their bound?"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.labels.sets import Array, Taps
from benchmarks.sets import _divided, _means
from frostline.core.threads import blas_threads
from frostline.stats.abstention import fit_abstention
from frostline.stats.conformal import Scoring, TooFewCases
from frostline.stats.presence import fit_presence, two_answers
from frostline.stats.ridge import ridge_loo
from frostline.stats.sigmoids import fit_sigmoids, sigmoid
from frostline.stats.stacked_values import SIGMOID, at_all_shares
from frostline.stats.target_matrix import Values

#: images that teach, that calibrate where a part is held out for that, and the bound on wrong ones
TEACH, CALIBRATE, BOUND = 800, 300, 0.05


def coverage(taps: Taps, times: int) -> dict[str, Any]:
    """Divide the images many times; return means over all of them, with spread.

    A ridge head on all taps is fitted to the first part. Thresholds come from its leave-one-out
    (``cross``) or from the second (``split``).
    """
    rows: dict[str, list[dict[str, Any]]] = {"cross": [], "split": []}
    for seed in range(times):
        teach, calibrate, judge = _divided(
            taps.groups, (TEACH, CALIBRATE), np.random.default_rng(seed)
        )
        truth, groups = taps.truth[teach], taps.groups[teach]
        with blas_threads(1):
            fit = ridge_loo(taps.features[teach], Values(truth), groups=groups, blocks=taps.blocks)
            loo = at_all_shares(SIGMOID, fit.loo, truth, groups, None)
            own = fit_sigmoids(loo, truth)

            def told(at: Array, fit: Any = fit, own: Any = own) -> Array:
                return sigmoid(own.apply(fit.predict(taps.features[at])))

            judged, held = told(judge), told(calibrate)
        rows["cross"].append(_judged(taps, sigmoid(own.apply(loo)), teach, judged, judge, "cross"))
        rows["split"].append(_judged(taps, held, calibrate, judged, judge, "split"))
    return {way: _means(each) for way, each in rows.items()}


def _judged(
    taps: Taps, said: Array, of: Array, told: Array, judge: Array, scoring: Scoring
) -> dict[str, Any]:
    """Return, over all labels that have enough cases, how many images are covered, and by what.

    ``bare``: by sets that may be empty; delivered ones hold the answer at least.
    """
    present, absent, either, answered, wrong, too_few = [], [], [], [], [], 0
    bare: list[list[float]] = [[], []]
    for label in range(taps.truth.shape[1]):
        truth, p = taps.truth[of, label].astype(int), two_answers(said[:, label])
        new, at = two_answers(told[:, label]), taps.truth[judge, label].astype(int)
        decided = new.argmax(axis=1)
        found = fit_presence(p, truth, taps.groups[of], scoring=scoring)
        if isinstance(found, TooFewCases):
            too_few += 1
        else:
            sets = found.of(new, decided)
            held = sets[np.arange(len(at)), at]
            present.append(held[at == 1].mean())
            absent.append(held[at == 0].mean())
            either.append(sets.all(axis=1).mean())
            conforming = found.conforming(new)[np.arange(len(at)), at]
            for there, found_there in enumerate(bare):
                found_there.append(conforming[at == there].mean())
        abstention = fit_abstention(p, truth, taps.groups[of], p.argmax(axis=1))
        least = abstention.thresholds(BOUND)
        sure = np.zeros(len(at), dtype=bool)
        if isinstance(least, np.ndarray):
            sure = new[np.arange(len(at)), decided] >= least[decided]
        answered.append(sure.mean())
        wrong.append(float((decided != at)[sure].mean()) if sure.any() else None)
    known = [one for one in wrong if one is not None]
    return {
        "present": float(np.mean(present)) if present else None,
        "absent": float(np.mean(absent)) if absent else None,
        "bare_present": float(np.mean(bare[1])) if bare[1] else None,
        "bare_absent": float(np.mean(bare[0])) if bare[0] else None,
        "either": float(np.mean(either)) if either else None,
        "too_few": too_few,
        "answered": float(np.mean(answered)),
        "wrong": float(np.mean(known)) if known else None,
    }
