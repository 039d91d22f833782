"""Metrics with intervals, and calibration."""

from frostline.evaluation.calibration import fit_temperature, softmax
from frostline.evaluation.intervals import paired_difference, stratified_bootstrap, wilson
from frostline.evaluation.reliability import Bin, reliability
from frostline.evaluation.scores import Scores, score

__all__ = [
    "Bin",
    "Scores",
    "fit_temperature",
    "paired_difference",
    "reliability",
    "score",
    "softmax",
    "stratified_bootstrap",
    "wilson",
]
