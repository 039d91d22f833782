"""All evidence about a set of training rows, in one call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.errors import InputError
from frostline.core.plan import EvidenceSummary, Lookalike, ProbeEvidence
from frostline.core.runtime import Runtime
from frostline.core.threads import side_by_side
from frostline.data.problem import Problem
from frostline.evidence.curve import last_doubling
from frostline.evidence.evidence import FAR, Evidence
from frostline.evidence.halves import halved_to
from frostline.evidence.learned_from import LearnedFrom, shift_of
from frostline.evidence.probes import ADAPTED, ALL, Probe, best_tap, probe
from frostline.evidence.size import size_of
from frostline.evidence.source_classes import nearest_source_classes
from frostline.evidence.stacked import KERNEL, STACKED, stacked_probe
from frostline.stats.intervals import paired_difference
from frostline.stats.kernel_ridge import KernelRidge, kernel_ridge
from frostline.stats.ranks import kendall_tau
from frostline.stats.selection import Selection
from frostline.stats.stacked_head import STACK_FOLDS

if TYPE_CHECKING:
    from frostline.backbones.heads.source_classifier import SourceClassifier
    from frostline.compute.frozen import Frozen

# single taps are compared on at most this many rows: comparing needs fewer than fitting
_COMPARE_ROWS = 10_000
# neighbours are compared pair by pair: beyond this many rows a second opinion costs too much
_MOST_NEIGHBOURS = 3_000
# statistics of fewer images are too noisy to replace those of pretraining
_FEWEST_TO_ADAPT = 32
#: rows below which images are not compared with each other by a kernel
FEWEST_TO_COMPARE = 200


def collect_evidence(
    problem: Problem,
    frozen: Frozen,
    rows: npt.ArrayLike,
    runtime: Runtime,
    *,
    known: EvidenceSummary | None = None,
    source: SourceClassifier | None = None,
    adapt_when: Collection[str] = FAR,
    learned_from: LearnedFrom = None,
) -> Evidence:
    """Measure size, shift by depth and probes by depth on some rows of a catalog.

    Raises InputError if there are fewer than two rows or only one group among them.

    - ``problem``: its class weights are for the ridge fits; scores are not weighted.
    - ``rows``, shape (n,): training rows only: nothing else is looked at. Rows of one group are
      left out together.
    - ``known``: of all training rows, when ``rows`` is a fold of them: the shift, which uses no
      label, and the slope, which decides nothing, are taken from it instead of being measured
      again.
    - ``source``: the network's old classifier, to name what the classes look like.
    - ``adapt_when``: labels of the shift at which the effect of re-estimated norm statistics is
      measured, which takes a second pass over the rows; never where no layer stores any.
    - ``learned_from``: what stands for the pretraining of a network that stores no statistics.
    """
    chosen = np.asarray(rows, dtype=np.int64)
    labelled, seed = problem.labelled(chosen), problem.seed
    y, g = labelled.truth, labelled.groups
    target = problem.target
    if len(np.unique(g)) < 2:
        raise InputError("Evidence needs at least two training images that are no duplicates.")
    names = list(frozen.features.slices)
    everything = frozen.features.table(names, chosen)
    blocks = _side_by_side(frozen.features.slices)
    compared = halved_to(_COMPARE_ROWS, target.strata(y), g, stream="rows to compare", seed=seed)
    same_rows = len(compared) == len(chosen)
    if known is None:
        shift = shift_of(frozen, chosen, runtime, learned_from=learned_from, seed=seed)
    else:
        shift = known.shift
    at_all_depths = {ALL: everything}
    adaptable = frozen.network.family.running_statistics
    if adaptable and shift.label in adapt_when and len(chosen) >= _FEWEST_TO_ADAPT:
        again = frozen.runner.adapted(chosen, runtime)
        at_all_depths[ADAPTED] = again.features.table(names, chosen)

    def on_all_taps(name: str) -> Probe:
        return probe(name, at_all_depths[name], labelled, blocks=blocks)

    def on_tap(name: str, block: slice) -> Probe:
        return probe(
            name,
            everything.only(block)[compared],
            labelled[compared],
            second_opinion=known is None and len(compared) <= _MOST_NEIGHBOURS,
        )

    def on_closeness() -> KernelRidge:
        return kernel_ridge(
            everything,
            labelled.matrix,
            blocks=blocks,
            groups=g,
            weights=labelled.weights,
            seed=seed,
        )

    # what a kernel gains was measured with labels, and with maps
    measured = target.compared and frozen.network.taps_in_space
    compares = measured and same_rows and len(chosen) >= FEWEST_TO_COMPARE
    wide: dict[str, _Task] = {name: partial(on_all_taps, name) for name in at_all_depths}
    narrow: dict[str, _Task] = {
        name: partial(on_tap, name, block) for name, block in zip(names, blocks, strict=True)
    }
    whole, adapted, taps, kernel = _probed(
        {**({KERNEL: on_closeness} if compares else {}), **wide},
        narrow,
        runtime,
        together=same_rows,
    )
    if known is None:
        gained = last_doubling(
            everything,
            labelled,
            blocks=blocks,
            seed=seed,
            whole=whole.evidence,
            threads=runtime.threads,
        )
        slope = 0.0 if gained is None else gained
    else:
        slope = known.slope
    adapted_gain = (0.0, 0.0)
    if adapted is not None:
        adapted_gain = paired_difference(adapted.gains, whole.gains, groups=g)
    full = [whole] if adapted is None else [whole, adapted]
    in_depth = list(taps.values())
    best = names[best_tap(in_depth, g[compared])]
    lower = [taps[name] for name in names if name in frozen.network.lower_taps]
    gain, gain_error = paired_difference(
        taps[best].gains, taps[names[-1]].gains, groups=g[compared]
    )
    stacked = stacked_probe(
        whole.fit,
        {name: p.fit for name, p in taps.items()} if same_rows else {},
        blocks,
        labelled,
        problem.folds(chosen, STACK_FOLDS),
        kernel=kernel,
    )
    summary = EvidenceSummary(
        size=size_of(target.counts(y), n_images=len(y)),
        shift=shift,
        probes=[p.evidence for p in in_depth],
        all_taps=whole.evidence,
        best_tap=best,
        last_tap=names[-1],
        cut_gain=gain,
        cut_gain_error=gain_error,
        gap=whole.evidence.train_accuracy - whole.evidence.accuracy,
        slope=slope,
        headroom=1.0
        - max(stacked.evidence.reached, *(p.evidence.reached for p in [*in_depth, *full])),
        adapted=None if adapted is None else adapted.evidence,
        agreement=_agreement([p.evidence for p in in_depth]),
        adapted_gain=adapted_gain[0],
        adapted_gain_error=adapted_gain[1],
        # what is known of cuts with BatchNorm was measured with the most accurate one
        best_below=""
        if adaptable or not lower
        else lower[best_tap(lower, g[compared])].evidence.tap,
        stacked=stacked.evidence,
        stacking=stacked.stacking,
        chance=target.chance(y),
        task=target.task,
        lookalikes=known.lookalikes
        if known is not None
        else _lookalikes(everything.only(blocks[-1]), y, problem.classes, source)
        if target.exclusive
        else [],
    )
    at_full = {p.evidence.tap: p for p in full}
    fits = {**taps, **at_full} if same_rows else at_full
    return Evidence(
        summary=summary,
        rows=chosen,
        groups=g,
        ridge={name: p.fit for name, p in fits.items()},
        correct={
            **{name: p.gains for name, p in {**taps, **at_full}.items()},
            STACKED: stacked.gains,
        },
        compared=compared,
        kernel=kernel if stacked.stacking.linear_log_loss is not None else None,
    )


#: a piece of work
_Task = Callable[[], Probe | KernelRidge]


def _probed(
    wide: dict[str, _Task],
    narrow: dict[str, _Task],
    runtime: Runtime,
    *,
    together: bool,
) -> tuple[Probe, Probe | None, dict[str, Probe], KernelRidge | None]:
    """Return the probe on all taps, that after adapting, those of single taps, and a kernel.

    ``together``: whether all run side by side. Otherwise those on all taps have many more rows, and
    get all threads one after the other.
    """
    # the last taps are the widest
    last_first = dict(reversed(narrow.items()))
    waves = [{**wide, **last_first}]
    if not together:
        waves = [*({name: task} for name, task in wide.items()), last_first]
    found: dict[str, Probe] = {}
    kernel = None
    for wave in waves:
        tasks = list(wave.values())
        fits = side_by_side(tasks, threads=runtime.threads, cancel=runtime.cancel)
        for name, fit in zip(wave, fits, strict=True):
            if isinstance(fit, KernelRidge):
                kernel = fit
            else:
                found[name] = fit
    return found[ALL], found.get(ADAPTED), {name: found[name] for name in narrow}, kernel


def _agreement(probes: Sequence[ProbeEvidence]) -> float | None:
    """Kendall's tau between two opinions on the depths; None without a second one."""
    votes = [p.neighbours for p in probes]
    if len(probes) < 3 or any(vote is None for vote in votes):
        return None
    return kendall_tau([p.accuracy for p in probes], votes)


def _lookalikes(
    last: Selection, labels: IntArray, classes: Sequence[str], source: SourceClassifier | None
) -> list[Lookalike]:
    if source is None:
        return []
    return nearest_source_classes(last.only(source.columns), labels, classes, source)


def _side_by_side(slices: Mapping[str, slice]) -> list[slice]:
    """Return the columns of each tap once they are put next to each other in this order."""
    edges = np.cumsum([0, *(s.stop - s.start for s in slices.values())]).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
