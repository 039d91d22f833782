"""Ridge regression of several columns, each on the rows where it is known, exactly.

With the residual maker ``M = I - H`` of all rows, that of the known rows K alone is the Schur
complement ``M_KK - M_KU M_UU^-1 M_UK``: one decomposition serves every column, and what is left is
a system as large as the unknown rows U. Where these are many, the known rows are decomposed anew;
where columns with such rows are many, ``M`` itself is made (:mod:`frostline.stats.residual_maker`).
Standardising and the penalty are those of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.known_parts import (
    MOST_NUMBERS,
    Anew,
    Eliminated,
    KnownOutputs,
    Part,
    Whole,
    mixed_groups,
    recoded,
)
from frostline.stats.residual_maker import Pattern, ResidualMaker, pays
from frostline.stats.selection import Features
from frostline.stats.spectrum import Spectrum
from frostline.stats.standardise import Standardiser
from frostline.stats.target_matrix import TargetMatrix, Values

#: from so many unknown rows for a known one on, decomposing the known ones costs less
_MANY = 0.5


class KnownRidge:
    """Ridge fits of the columns of a target matrix, each to the rows where it is known.

    ``spectrum``: of all rows, whatever its targets.
    """

    def __init__(
        self,
        features: Features,
        standardiser: Standardiser,
        spectrum: Spectrum,
        targets: TargetMatrix,
    ) -> None:
        self._features, self._standardiser, self._spectrum = features, standardiser, spectrum
        self._n, self._width = len(targets), targets.n_columns
        self._scale = np.ones(self._width) if targets.scale is None else targets.scale
        unknown = targets.unknown
        self._unknown = np.zeros((self._n, self._width), dtype=bool) if unknown is None else unknown
        self._values = targets.rows(slice(0, self._n)) / self._scale
        self._kept: dict[int, Part] = {}

    def errors(self, codes: IntArray, penalties: FloatArray) -> FloatArray:
        """Return the mean squared left-out error over known cells at every penalty, shape (k,).

        ``codes``, shape (n,): rows of one number are left out together.
        """
        squares, heft = np.zeros(len(penalties)), 0.0
        weights = self._spectrum.root_weights**2
        judging = [p for p in self._patterns if _judges(codes[p.known])]
        together, apart = self._together(judging)
        for pattern in judging:
            heft += float(weights[pattern.known].sum()) * len(pattern.columns)
        for pattern in apart:
            part = self._part(pattern.known, pattern.columns)
            squares += part.squares(recoded(codes[pattern.known]), penalties)
        if together:
            for place, penalty in enumerate(penalties.tolist()):
                maker = ResidualMaker(self._spectrum, penalty, self._observed)
                squares[place] += sum(
                    float(np.sum(maker.filled(p, codes).residual ** 2)) for p in together
                )
        return squares / max(heft, np.finfo(float).tiny)

    def outputs(self, codes: IntArray, penalty: float) -> KnownOutputs:
        """Return the fits at one penalty, and what they say of rows that are left out."""
        weight = np.zeros((self._features.shape[1], self._width))
        bias, loo = np.zeros(self._width), np.zeros((self._n, self._width))
        judging = []
        for pattern in self._patterns:
            known, columns = pattern.known, pattern.columns
            if _judges(codes[known]):
                judging.append(pattern)
                continue
            # of one group alone there is nothing to learn but its mean
            bias[columns] = self._values[np.ix_(known, columns)].mean(axis=0) if len(known) else 0.0
            loo[:, columns] = bias[columns]
        together, apart = self._together(judging)
        for pattern in apart:
            columns = pattern.columns
            found = self._part(pattern.known, columns).outputs(codes, penalty)
            weight[:, columns], bias[columns], loo[:, columns] = (
                found.weight,
                found.bias,
                found.loo,
            )
        if together:
            columns = np.concatenate([pattern.columns for pattern in together])
            found = self._at_once(together, codes, penalty)
            weight[:, columns], bias[columns], loo[:, columns] = (
                found.weight,
                found.bias,
                found.loo,
            )
        return KnownOutputs(weight * self._scale, bias * self._scale, loo * self._scale)

    def _at_once(
        self, patterns: Sequence[Pattern], codes: IntArray, penalty: float
    ) -> KnownOutputs:
        """Return the fits of columns with unknown rows, side by side."""
        root = self._spectrum.root_weights[:, None]
        maker = ResidualMaker(self._spectrum, penalty, self._observed)
        filled, loo = [], []
        for pattern in patterns:
            known, unknown, columns = pattern.known, pattern.unknown, pattern.columns
            one = maker.filled(pattern, codes)
            values = self._values[:, columns]
            values[unknown] = self._means[columns] + one.values / root[unknown]
            left_out = values.copy()
            left_out[known] -= one.residual / root[known]
            place = np.full(self._n, -1)
            place[unknown] = np.arange(len(unknown))
            for others, own in mixed_groups(codes, known):
                # how the rows that are not known hang on those of their group that are
                pulled = one.links[np.ix_(place[others], known[own])]
                left_out[others] += pulled @ one.residual[own] / root[others]
            filled.append(values)
            loo.append(left_out)
        whole = self._spectrum.with_targets(Values(np.hstack(filled)))
        weight, bias = self._standardiser.to_raw(whole.weight(penalty), whole.target_mean)
        return KnownOutputs(weight, bias, np.hstack(loo))

    def _together(self, patterns: Sequence[Pattern]) -> tuple[list[Pattern], list[Pattern]]:
        """Return those that one matrix serves, if that pays, and the others."""
        few = [p for p in patterns if 0 < len(p.unknown) <= _MANY * len(p.known)]
        if not pays(few, self._n):
            return [], list(patterns)
        chosen = {id(pattern) for pattern in few}
        return few, [pattern for pattern in patterns if id(pattern) not in chosen]

    @cached_property
    def _means(self) -> FloatArray:
        weights = ~self._unknown * self._spectrum.root_weights[:, None] ** 2
        total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
        found: FloatArray = (weights * self._values).sum(axis=0) / total
        return found

    @cached_property
    def _observed(self) -> FloatArray:
        root = self._spectrum.root_weights[:, None]
        found: FloatArray = np.where(self._unknown, 0.0, (self._values - self._means) * root)
        return found

    @cached_property
    def _patterns(self) -> list[Pattern]:
        """Known and unknown rows, with the columns that are known in exactly these."""
        _, first, same = np.unique(
            np.packbits(self._unknown, axis=0), axis=1, return_index=True, return_inverse=True
        )
        found = []
        for number, column in enumerate(first):
            unknown = self._unknown[:, column]
            columns = np.flatnonzero(same.ravel() == number)
            found.append(Pattern(np.flatnonzero(~unknown), np.flatnonzero(unknown), columns))
        return found

    def _part(self, known: IntArray, columns: IntArray) -> Part:
        number = int(columns[0])
        found = self._kept.get(number)
        if found is None:
            found = self._made(known, columns)
            if len(self._kept) < MOST_NUMBERS // self._n**2 + 1:
                self._kept[number] = found
        return found

    def _made(self, known: IntArray, columns: IntArray) -> Part:
        values = self._values[:, columns]
        if len(known) == self._n:
            return Whole(self._features, self._standardiser, self._spectrum, values)
        if self._n - len(known) > _MANY * len(known):
            return Anew(self._features, self._standardiser, self._spectrum, known, values[known])
        return Eliminated(self._features, self._standardiser, self._spectrum, known, values[known])


def _judges(codes: IntArray) -> bool:
    """Whether some rows are left when a group is left out."""
    return len(codes) > 0 and bool(np.any(codes != codes[0]))
