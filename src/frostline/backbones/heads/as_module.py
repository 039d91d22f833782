"""From a fitted classifier to the module of PyTorch with the same tensors, once it is needed."""

from __future__ import annotations

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.heads.classifiers import taps_classifier
from frostline.backbones.heads.fitted_classifier import FittedClassifier
from frostline.backbones.heads.linear_on_taps import LinearOnTaps


def as_module(classifier: FittedClassifier) -> Classifier:
    """Return the classifier as a module, in the mode it is in; one that is a module is its own."""
    if isinstance(classifier, Classifier):
        return classifier
    if isinstance(classifier, LinearOnTaps):
        return taps_classifier(
            classifier.network,
            classifier.cuts,
            classifier.weight,
            classifier.bias,
            classifier.head_kernel(),
        )
    raise TypeError(f"no classifier: {type(classifier)}")
