"""Evidence that was collected before, on the same images by the same code, is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import frostline.backbones
import frostline.compute
import frostline.evidence
import frostline.stats
from frostline.compute.cache.fits import code_of, kept
from frostline.compute.cache.locations import key_of
from frostline.compute.cache.store import Arrays
from frostline.core.arrays import IntArray
from frostline.core.plan import EvidenceSummary
from frostline.data.problem import Problem
from frostline.evidence.evidence import Evidence
from frostline.stats.ridge import RidgeLOO

#: what collects evidence: what changes there changes the key
_ROOMS = (frostline.backbones, frostline.stats, frostline.compute, frostline.evidence)
_FIT = ("weight", "bias", "alphas", "loo", "fitted", "loo_mse")
_SUMMARY, _GROUPS, _COMPARED, _FLIP_SAFE = "summary", "groups", "compared", "flip_safe"


def evidence_key(problem: Problem, rows: IntArray, *, taps_key: str, options: Sequence[str]) -> str:
    """Return the key of the evidence on some rows; equal keys mean equal evidence.

    Parameters
    ----------
    problem : Problem
        Of its classes lookalikes quote the names.
    rows : int array of shape (n,)
    taps_key : str
        Stands for weights, preprocessing, taps and precision.
    options : sequence of str
        Everything else that the result turns on.
    """
    content = hashlib.sha256()
    for digest in problem.digests(rows):
        content.update(bytes.fromhex(digest))
    # only which rows share a group counts, not the group's number
    _, first, same = np.unique(problem.groups[rows], return_index=True, return_inverse=True)
    for values in (problem.labels[rows], first[same].astype(np.int64)):
        content.update(np.ascontiguousarray(values).tobytes())
    weights = problem.target.output_weights(problem.labels[rows], problem.weights)
    return key_of(
        taps_key,
        content.hexdigest(),
        "" if weights is None else weights.tobytes().hex(),
        *problem.classes,
        "",
        str(problem.seed),
        *options,
        code_of(*_ROOMS),
    )


def kept_or(key: str, collect: Callable[[], Evidence], rows: IntArray) -> Evidence:
    """Return the evidence under ``key``, or collect it and keep it for later runs.

    Parameters
    ----------
    rows : int array of shape (n,)
        The catalog rows that the evidence rests on; another catalog may number them otherwise.
    """
    return kept(key, collect, pack=_arrays, unpack=lambda arrays: _evidence(arrays, rows))


def _arrays(evidence: Evidence) -> Arrays:
    text = evidence.summary.model_dump_json().encode()
    arrays: dict[str, npt.NDArray[Any]] = {
        _SUMMARY: np.frombuffer(text, dtype=np.uint8),
        _COMPARED: evidence.compared,
        _GROUPS: evidence.groups,
        _FLIP_SAFE: np.array([int(evidence.flip_safe)]),
    }
    for tap, right in evidence.correct.items():
        arrays[f"correct/{tap}"] = np.asarray(right, dtype=np.uint8)
    for tap, fit in evidence.ridge.items():
        arrays[f"fit/{tap}/numbers"] = np.array([fit.alpha, fit.penalty])
        for name in _FIT:
            arrays[f"fit/{tap}/{name}"] = np.ascontiguousarray(getattr(fit, name))
    return arrays


def _evidence(arrays: Arrays, rows: IntArray) -> Evidence | None:
    # a ValidationError is a ValueError
    summary = EvidenceSummary.model_validate_json(arrays[_SUMMARY].tobytes())
    if len(arrays[_GROUPS]) != len(rows):
        return None
    correct = _below(arrays, "correct/")
    taps = {name.removesuffix("/numbers") for name in _below(arrays, "fit/") if "/numbers" in name}
    return Evidence(
        summary=summary,
        rows=rows,
        groups=arrays[_GROUPS],
        ridge={tap: _fit(arrays, tap) for tap in sorted(taps)},
        correct={tap: values.astype(np.bool_) for tap, values in correct.items()},
        compared=arrays[_COMPARED],
        flip_safe=bool(arrays[_FLIP_SAFE][0]),
    )


def _below(arrays: Mapping[str, npt.NDArray[Any]], start: str) -> dict[str, npt.NDArray[Any]]:
    return {n.removeprefix(start): values for n, values in arrays.items() if n.startswith(start)}


def _fit(arrays: Mapping[str, npt.NDArray[Any]], tap: str) -> RidgeLOO:
    alpha, penalty = (float(value) for value in arrays[f"fit/{tap}/numbers"])
    parts = {name: arrays[f"fit/{tap}/{name}"] for name in _FIT}
    return RidgeLOO(alpha=alpha, penalty=penalty, **parts)
