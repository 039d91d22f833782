"""Errors and outputs of ridge fits without each row or group, out of one decomposition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.stats.large_groups import large_group_errors, large_group_residuals
from frostline.stats.leave_out import LeaveOut, left_out_residuals
from frostline.stats.spectrum import Spectrum
from frostline.stats.target_matrix import TargetMatrix


def leave_out_errors(
    spectrum: Spectrum, chunks: Sequence[LeaveOut], penalties: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return leave-out mean squared errors (k,) and, for rows left out alone, leverages (n, k)."""
    squared = np.zeros(len(penalties))
    n = len(spectrum.root_weights)
    leverage = np.zeros((n, len(penalties)))
    for chunk in chunks:
        if chunk.size > len(spectrum.eigenvalues):
            for group in chunk.groups():
                squared += large_group_errors(spectrum, group, penalties)
            continue
        rotated = spectrum.rotated(chunk.rows)
        root = spectrum.root_weights[chunk.rows]
        observed = spectrum.scaled_targets(chunk.rows)
        inverse = 1.0 / (spectrum.eigenvalues[:, None] + penalties)
        if chunk.size == 1:
            leverage[chunk.rows] = (rotated**2) @ inverse + (root**2 / n)[:, None]
        for j in range(len(penalties)):
            residual = observed - rotated @ (spectrum.rotated_targets * inverse[:, j, None])
            squared[j] += np.sum(
                left_out_residuals(
                    residual,
                    chunk.size,
                    leverage=leverage[chunk.rows, j],
                    rotated=rotated,
                    inverse=inverse[:, j],
                    root=root / np.sqrt(n),
                )
                ** 2
            )
    return squared / (n * len(spectrum.target_mean)), leverage


def leave_out_outputs(
    fitted: FloatArray,
    penalty: float,
    spectrum: Spectrum,
    chunks: Sequence[LeaveOut],
    targets: TargetMatrix,
    leverage: FloatArray,
) -> FloatArray:
    """Return the (n, C) leave-out outputs at the chosen penalty."""
    outputs = np.empty_like(fitted)
    inverse = 1.0 / (spectrum.eigenvalues + penalty)
    for chunk in chunks:
        root = spectrum.root_weights[chunk.rows]
        observed = targets.rows(chunk.rows)
        residual = (observed - fitted[chunk.rows]) * root[:, None]
        if chunk.size > len(spectrum.eigenvalues):
            for k, group in enumerate(chunk.groups()):
                own = slice(k * chunk.size, (k + 1) * chunk.size)
                residual[own] = large_group_residuals(spectrum, group, residual[own], penalty)
        else:
            residual = left_out_residuals(
                residual,
                chunk.size,
                leverage=leverage[chunk.rows],
                # rows that are left out alone need only their leverage, which is known
                rotated=spectrum.rotated(chunk.rows) if chunk.size > 1 else None,
                inverse=inverse,
                root=root / np.sqrt(len(targets)),
            )
        outputs[chunk.rows] = observed - residual / root[:, None]
    return outputs
