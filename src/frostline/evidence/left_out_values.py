"""How good frozen features are on images of a value that their fit had never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, IntArray
from frostline.core.confound_record import FactName, FactValue, GivenAway, HonestScore
from frostline.evidence.fact_groups import Fact, Values
from frostline.stats.balanced_gains import BalancedGains
from frostline.stats.broken_pattern import broken_pattern
from frostline.stats.intervals import mean_error, student_quantile
from frostline.stats.paired import compare_paired
from frostline.stats.ridge import ridge_loo, ridge_without
from frostline.stats.selection import Features
from frostline.stats.target_matrix import TargetMatrix
from frostline.targets.labelled import Labelled

#: a class is judged without a value if so many of its images have others
FEWEST_LEFT = 5
#: divisions by chance that the one by value is compared with
_BY_CHANCE = 3
#: a class is given away where so much of it has a value that no more than so many others have
_NEARLY_ALL, _MOST_LACK = 0.95, 0.5


@dataclass(frozen=True)
class FeatureFit:
    """The closed-form head on the features of n images, to be fitted without some of them.

    ``features``: shape (n, d). ``labelled``: of the n images, each a group of its own. ``blocks``:
    columns of each tap. ``alpha``: its penalty.
    """

    features: Features
    labelled: Labelled
    blocks: Sequence[slice]
    alpha: float

    @classmethod
    def of(
        cls,
        features: Features,
        labelled: Labelled,
        blocks: Sequence[slice],
        alpha: float | None = None,
    ) -> FeatureFit:
        """Take a known penalty, or choose the one of the least leave-one-out error."""
        if alpha is None:
            alpha = ridge_loo(features, labelled.matrix, blocks=blocks).alpha
        return cls(features, labelled, blocks, alpha)

    def without(self, divisions: Sequence[IntArray]) -> list[FloatArray]:
        """Return outputs (n, k) of fits without each part of several divisions."""
        matrix = self.labelled.matrix
        return ridge_without(self.features, matrix, divisions, alpha=self.alpha, blocks=self.blocks)

    def gains(self, outputs: FloatArray, shares: FloatArray, rows: BoolArray) -> BalancedGains:
        """Judge outputs (n, k) for some of the images."""
        own = shares if shares.ndim == 1 else shares[rows]
        return self.labelled.target.balanced_gains(outputs[rows], self.labelled.truth[rows], own)


@dataclass(frozen=True)
class Cut:
    """A fact by whose values images are to be left out.

    ``divisions``: by value, then by chance within classes; empty where too few can be judged.
    """

    fact: FactName
    values: Values
    judged: BoolArray
    divisions: tuple[IntArray, ...]

    @classmethod
    def of(cls, fact: Fact, labelled: Labelled, rng: np.random.Generator) -> Cut:
        """Divide images by a fact."""
        values = fact.values()
        strata = labelled.target.strata(labelled.truth)
        judged = judged_rows(values.codes, strata)
        divisions: tuple[IntArray, ...] = ()
        if judged.sum() >= 2 * FEWEST_LEFT:
            shuffled = (_shuffled(values.codes, strata, rng) for _ in range(_BY_CHANCE))
            divisions = (values.codes, *shuffled)
        return cls(fact.name, values, judged, divisions)


def filled_targets(matrix: TargetMatrix) -> FloatArray:
    """Return targets (n, k) with the mean of its column in every gap."""
    dense = matrix.rows(slice(None))
    if matrix.unknown is None:
        return dense
    known = ~matrix.unknown
    mean = dense.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    found: FloatArray = np.where(known, dense, mean)
    return found


def judged_rows(codes: IntArray, strata: IntArray) -> BoolArray:
    """Return which images have enough others of their class that differ in value, shape (n,)."""
    _, classes = np.unique(strata, return_inverse=True)
    table = np.zeros((int(classes.max()) + 1, int(codes.max()) + 1), dtype=np.int64)
    np.add.at(table, (classes, codes), 1)
    others = table.sum(axis=1)[classes] - table[classes, codes]
    found: BoolArray = others >= FEWEST_LEFT
    return found


def honest_scores(
    fit: FeatureFit, cuts: Sequence[Cut], names: Sequence[str]
) -> tuple[float, list[HonestScore]]:
    """Judge the features as they are, and where each fact is no help; decomposed once for all.

    Leaving out a value leaves fewer images, and not as many of each class. So that result is
    compared with the same where values are shuffled among the images of a class: then as many of
    each are missing, and what is left is what the value itself did.

    ``names``: of the classes; empty where images have no one class.
    """
    n = len(fit.labelled.truth)
    divisions = [np.arange(n), *(one for cut in cuts for one in cut.divisions)]
    loo, *others = fit.without(divisions)
    matrix = fit.labelled.matrix
    shares = filled_targets(matrix).mean(axis=0)
    usual = fit.gains(loo, shares, np.ones(n, dtype=bool))
    found = []
    for cut in cuts:
        own, others = others[: len(cut.divisions)], others[len(cut.divisions) :]
        score, p_fall = _with_pattern_broken(fit.labelled, cut, usual, names)
        if own:
            by_division = [
                fit.gains(one, _shares_without(matrix, division), cut.judged)
                for one, division in zip(own, cut.divisions, strict=True)
            ]
            score = _with_value_left_out(
                score, p_fall, cut, fit.gains(loo, shares, cut.judged), by_division
            )
        found.append(score)
    return usual.score, found


def _with_pattern_broken(
    labelled: Labelled, cut: Cut, usual: BalancedGains, names: Sequence[str]
) -> tuple[HonestScore, float]:
    pattern = broken_pattern(usual, cut.values.codes, _strata_of_columns(labelled))
    strata = labelled.target.strata(labelled.truth)
    found = HonestScore(
        fact=cut.fact,
        images=len(cut.judged),
        judged=int(cut.judged.sum()),
        one_valued=_one_valued(cut.values.codes, strata),
        broken=pattern.score,
        broken_interval=pattern.interval,
        fall=pattern.fall,
        fall_interval=pattern.fall_interval,
        with_pattern=pattern.common,
        against_pattern=pattern.rare,
        values=_values(cut.values, cut.judged, None, None),
        given_away=given_away(cut.values, strata, names),
    )
    return found, pattern.p_value


def _with_value_left_out(
    found: HonestScore,
    p_fall: float,
    cut: Cut,
    usual: BalancedGains,
    by_division: Sequence[BalancedGains],
) -> HonestScore:
    left_out, *by_chance = by_division
    same_count = np.mean([one.each for one in by_chance], axis=0)
    compared = compare_paired(left_out.each, same_count, reach=0.0)
    n = len(same_count)
    reach = student_quantile(max(n - 1, 1)) * mean_error(left_out.each, np.arange(n))
    return found.model_copy(
        update={
            "usual": usual.score,
            "same_count": float(same_count.mean()),
            "left_out": left_out.score,
            "left_out_interval": (left_out.score - reach, min(1.0, left_out.score + reach)),
            "drop": compared.difference,
            "drop_interval": compared.interval,
            "p_value": max(p_fall, compared.p_value),
            "values": _values(cut.values, cut.judged, usual.plain, left_out.plain),
        }
    )


def given_away(values: Values, strata: IntArray, names: Sequence[str]) -> tuple[GivenAway, ...]:
    """Return the classes nearly all of whose images have one value that most others lack."""
    found = []
    for stratum in np.unique(strata).tolist():
        own = values.codes[strata == stratum]
        value = int(np.bincount(own).argmax())
        others = float(np.mean(values.codes[strata != stratum] == value))
        one_value = len(own) >= 2 * FEWEST_LEFT and np.mean(own == value) >= _NEARLY_ALL
        if one_value and others <= _MOST_LACK:
            label = names[stratum] if names else ""
            found.append(GivenAway(label=label, value=values.names[value], others=others))
    return tuple(found)


def _one_valued(codes: IntArray, strata: IntArray) -> int:
    """Count images of classes nearly all of whose images have one value."""
    found = 0
    for stratum in np.unique(strata).tolist():
        own = codes[strata == stratum]
        found += len(own) * bool(np.bincount(own).max() >= _NEARLY_ALL * len(own))
    return found


def _strata_of_columns(labelled: Labelled) -> IntArray:
    """Return what each image is of every output that is judged by itself, shape (n, k)."""
    truth = labelled.truth
    if truth.ndim == 1:
        return labelled.target.strata(truth)[:, None]
    columns = [labelled.target.strata(truth[:, [k]]) for k in range(truth.shape[1])]
    return np.stack(columns, axis=1)


def _values(
    values: Values, judged: BoolArray, usual: FloatArray | None, left_out: FloatArray | None
) -> tuple[FactValue, ...]:
    found = []
    for code, (name, colour) in enumerate(zip(values.names, values.colours, strict=True)):
        own = values.codes == code
        rows = own[judged]
        scores = {}
        if usual is not None and left_out is not None and rows.any():
            scores = {"usual": float(usual[rows].mean()), "left_out": float(left_out[rows].mean())}
        found.append(
            FactValue(
                value=name,
                colour=colour,
                images=int(own.sum()),
                judged=int(rows.sum()),
                **scores,
            )
        )
    return tuple(found)


def _shuffled(codes: IntArray, strata: IntArray, rng: np.random.Generator) -> IntArray:
    found = codes.copy()
    for stratum in np.unique(strata).tolist():
        own = np.flatnonzero(strata == stratum)
        found[own] = rng.permutation(codes[own])
    return found


def _shares_without(matrix: TargetMatrix, codes: IntArray) -> FloatArray:
    """Return the share of each output among images of other values, for every image (n, k)."""
    dense = filled_targets(matrix)
    sums = np.zeros((int(codes.max()) + 1, dense.shape[1]))
    np.add.at(sums, codes, dense)
    left = len(dense) - np.bincount(codes)
    shares = (sums.sum(axis=0) - sums) / np.maximum(left, 1)[:, None]
    found: FloatArray = shares[codes]
    return found
