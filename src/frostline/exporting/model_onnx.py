"""From a fitted classifier to one ONNX file: any uint8 image in, probabilities out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from frostline.backbones.heads.fitted_classifier import FittedClassifier
from frostline.core.arrays import FloatArray
from frostline.core.errors import EngineError
from frostline.core.files import replacing
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import Preprocessing, UInt8Array
from frostline.onnx_graph.answering_graph import AnsweringNodes, add_answering
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.embedding_output import FEATURES, LOGITS
from frostline.onnx_graph.ood_graph import add_ood_score
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.preprocessing_graph import add_link, add_preprocessing
from frostline.onnx_graph.session import INPUT, OUTPUT, UNFAMILIARITY, VALUES, Answers, answers
from frostline.stats.ood import OODScorer
from frostline.targets.links import LINKS, Link

#: difference of a probability that is always accepted between the classifier and the exported file,
#: for images that have the network's size already
TOLERANCE = 1e-4
#: roundings of float32, one after the other, that deep networks add up to
_ROUNDINGS = 256
#: beyond this a difference is a fault of the export, whatever the size of the logits
MOST_TOLERANCE = 1e-2
#: a model whose file is further off than this is not delivered, even if it names the same classes
MOST_DELIVERED = 5e-2
#: largest accepted difference of an unfamiliarity, as a share of it
UNFAMILIARITY_TOLERANCE = 5e-3

NOTHING = AnsweringNodes()
#: normalised images in the file
PREPARED = "before/normalised"


class ExportDifferenceError(EngineError):
    """An exported file that computes other probabilities than the classifier it is of.

    ``difference``: largest absolute one of a probability. ``same_classes``: whether the likeliest
    class is the same for every image.
    """

    def __init__(self, difference: float, accepted: float, *, same_classes: bool) -> None:
        super().__init__(
            f"The exported model differs from the fitted one by {difference:.2g} in a "
            f"probability; at most {accepted:.0e} is accepted.",
            hint="Please report the backbone's name.",
        )
        self.difference = difference
        self.same_classes = same_classes


def export_onnx(
    classifier: FittedClassifier,
    preprocessing: Preprocessing,
    temperature: float,
    path: Path,
    *,
    classes: Sequence[str] = (),
    ood_scorer: OODScorer | None = None,
    link: Link = "softmax",
    answering: AnsweringNodes = NOTHING,
) -> None:
    """Write a classifier as one self-contained ONNX file.

    Input ``image``: uint8 RGB, H x W x 3 or N x H x W x 3, any H and W. Output
    ``probabilities``: float32, N x C (N is 1 for a single image). Where it is known what is
    familiar, a second output ``unfamiliarity``: float32, N; above 1 an image is unlike those of
    training, and the probabilities are the same bits with it or without. Where the model tells,
    ``set_95``: bool, N x C, the classes that an image may be of; and ``abstain``: bool, N, whether
    the answer is too unsure for the bound that was asked for. Of several labels ``set_95`` is
    N x C x 2, whether each may be absent and present, both where too few images tell; ``abstain``
    is N x C. Of numbers there is ``interval``: float32, N x C x 2, lower and upper ends, NaN for
    columns of which too few were left out. Resizing, cropping, normalising, temperature and
    softmax are part of the graph. The metadata of the file hold
    ``classes`` and ``preprocessing`` as JSON.

    Resizing differs from Pillow's by one grey level at few pixels, so probabilities for raw images
    may differ from :class:`~frostline.model.model.Model` by some ten-thousandths. Raises
    EngineError if the network has an operation that ONNX lacks, is too large for one file, has
    another number of outputs than there are ``classes``, or a head that ``ood_scorer`` does not
    fit.

    - ``temperature``: positive; logits are divided by it.
    - ``path``: replaced when the export has succeeded.
    - ``classes``: names of the C classes, for the metadata.
    - ``ood_scorer``: on the input of the frozen leader's head.
    - ``link``: what turns outputs into predictions; without one there are no probabilities, and the
      output is called ``values``.
    - ``answering``: what else is told.
    """
    before, after = GraphBuilder("before"), GraphBuilder("after")
    add_preprocessing(before, INPUT, preprocessing, PREPARED)
    _check_head(classifier, ood_scorer)
    model = classifier.onnx_body(
        preprocessing.size,
        source=PREPARED,
        logits=LOGITS,
        head_input=None if ood_scorer is None else FEATURES,
    )
    output = VALUES if link == "identity" else OUTPUT
    add_link(after, link, LOGITS, temperature, output)
    if ood_scorer is not None:
        add_ood_score(after, FEATURES, ood_scorer, UNFAMILIARITY)

    graph = model.graph
    n_outputs = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    if classes and n_outputs != len(classes):
        raise EngineError(f"The network has {n_outputs} outputs for {len(classes)} classes.")
    add_answering(after, output, n_outputs, answering)
    network = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.name = "frostline"
    graph.node.extend([*before.nodes, *network, *after.nodes])
    graph.initializer.extend([*before.constants, *after.constants])
    # no declared rank: that is how one graph takes both one image and a batch
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, None))
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", n_outputs]))
    if ood_scorer is not None:
        graph.output.append(helper.make_tensor_value_info(UNFAMILIARITY, TensorProto.FLOAT, ["N"]))
    for name, truth, shape in answering.typed(n_outputs):
        kind = TensorProto.BOOL if truth else TensorProto.FLOAT
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    helper.set_model_props(
        model,
        {
            "classes": json.dumps(list(classes), ensure_ascii=False),
            "preprocessing": preprocessing.model_dump_json(),
        },
    )
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def verify_onnx(
    path: Path,
    classifier: FittedClassifier,
    preprocessing: Preprocessing,
    temperature: float,
    images: UInt8Array,
    *,
    ood_scorer: OODScorer | None = None,
    threads: int = 1,
    link: Link = "softmax",
) -> float:
    """Compare an exported file with the classifier that it is of.

    Raises ExportDifferenceError if the difference is larger; EngineError if an unfamiliarity
    differs by more than half a percent, or the file cannot be run.

    ``classifier``, ``preprocessing``, ``temperature``, ``ood_scorer`` and ``link``: as given to
    :func:`export_onnx`. ``images``, shape (n, size, size, 3): prepared images; at least two show
    that the batch is free. The result: largest absolute difference of a probability, at most what
    :func:`tolerance_for` allows.
    """
    # closed before the classifier is asked: both hold the network's weights
    given = answers(open_session(path, threads=threads), on_canvas(images, preprocessing))
    found = given.probabilities
    _check_head(classifier, ood_scorer)
    right = classifier.reference(images, preprocessing, head_input=ood_scorer is not None)
    expected = LINKS[link](right.logits, temperature)
    if ood_scorer is not None and right.head_input is not None:
        _compare(given, ood_scorer.scores(right.head_input))
    if found.shape != expected.shape:
        raise EngineError(
            f"The exported model gives {found.shape} probabilities, the fitted one "
            f"{expected.shape}."
        )
    difference = float(np.abs(found - expected).max(initial=0.0))
    largest = float(np.abs(right.logits).max(initial=0.0))
    accepted = tolerance_for(largest, temperature)
    if link == "identity":
        # numbers have any size: what counts is how far off they are for it
        accepted *= max(1.0, largest)
    # written so that NaN fails as well
    if not difference <= accepted:
        same = bool((found.argmax(axis=1) == expected.argmax(axis=1)).all())
        raise ExportDifferenceError(difference, accepted, same_classes=same)
    return difference


def tolerance_for(largest_logit: float, temperature: float) -> float:
    """Return how far two right computations of a probability in float32 may lie apart.

    A logit z is a sum whose terms are rounded: after k roundings it is off by up to k times eps
    times ``|z|``, with eps = 2^-23. Softmax passes on at most half of a change of z / T, as each
    row of its Jacobian, diag(p) - p p^T, adds up to 2 p (1 - p) <= 1/2. So a probability is off by
    up to k eps ``|z|`` / (2 T), with k = 256 for the chains of layers in use.

    ``largest_logit``: largest absolute one, before the temperature. ``temperature``: positive. The
    result: between :data:`TOLERANCE` and :data:`MOST_TOLERANCE`.
    """
    eps = float(np.finfo(np.float32).eps)
    bound = _ROUNDINGS * eps * largest_logit / (2 * temperature)
    return min(max(TOLERANCE, bound), MOST_TOLERANCE) if np.isfinite(bound) else MOST_TOLERANCE


def _check_head(classifier: FittedClassifier, ood_scorer: OODScorer | None) -> None:
    """Refuse a score for another width than that of the head."""
    if ood_scorer is None:
        return
    weight, _ = classifier.frozen_leader.head_weights()
    if weight.shape[1] != ood_scorer.width:
        raise EngineError("What is familiar does not fit the head of this network.")


def _compare(given: Answers, expected: FloatArray) -> None:
    """Raise if the exported file finds other images unfamiliar than the classifier does."""
    found = given.unfamiliarity
    if found is None or found.shape != expected.shape:
        raise EngineError("The exported model does not say how unfamiliar images are.")
    off = float((np.abs(found - expected) / np.maximum(expected, 0.1)).max(initial=0.0))
    if not off <= UNFAMILIARITY_TOLERANCE:
        raise EngineError(
            f"The exported model differs from the fitted one by {off:.2g} of an unfamiliarity; at "
            f"most {UNFAMILIARITY_TOLERANCE:.0e} is accepted.",
            hint="Please report the backbone's name.",
        )
