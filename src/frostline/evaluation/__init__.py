"""Metrics with intervals, and calibration."""

from frostline.evaluation.calibration import fit_temperature, softmax
from frostline.evaluation.intervals import paired_difference, stratified_bootstrap, wilson
from frostline.evaluation.scores import Scores, score

__all__ = [
    "Scores",
    "fit_temperature",
    "paired_difference",
    "score",
    "softmax",
    "stratified_bootstrap",
    "wilson",
]
