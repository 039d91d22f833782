"""Sets of labels and intervals of numbers are the same in Python and in an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from frostline.core.errors import SettingsError
from frostline.exporting.save_model import _answering
from frostline.model.answering import Answering
from frostline.model.prediction import Computed, told
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import load_card
from frostline.onnx_graph.answering_graph import add_answering
from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.preprocessing_graph import OPSET
from frostline.stats.abstention import fit_abstention
from frostline.stats.conformal import TooFewCases
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.number_intervals import NumberIntervals
from frostline.stats.presence import fit_presence, two_answers
from tests.model.test_answering import FOLDER

RNG = np.random.default_rng(0)


def card_of(**changes: Any) -> ModelCard:
    plain = {"sets": None, "abstention": None, "shares": (), "at_most_wrong": None}
    return load_card(FOLDER).model_copy(update={**plain, "rule": LIKELIEST, **changes})


def labels_card(*, at_most_wrong: float | None = None) -> ModelCard:
    """Three labels: two of which much is known, and one that too few images have."""
    alone = np.arange(400)
    truth = RNG.random((400, 2)) < (0.3, 0.5)
    shares = 1 / (1 + np.exp(1 - 4.0 * truth + 1.5 * RNG.normal(size=truth.shape)))
    sets, abstention = [], []
    for own, known in zip(shares.T, truth.T.astype(np.int64), strict=True):
        both = two_answers(own)
        sets.append(fit_presence(both, known, alone, scoring="cross"))
        answers = (own >= 0.4).astype(np.int64)
        abstention.append(fit_abstention(both, known, alone, answers))
    return card_of(
        task="multilabel",
        rule=DecisionRule(thresholds=(0.4, 0.4, 0.3)),
        label_sets=(*sets, None),
        label_abstention=(*abstention, None),
        at_most_wrong=at_most_wrong,
    )


def run_graph(card: ModelCard, predictions: np.ndarray[Any, Any]) -> dict[str, Any]:
    builder, nodes = GraphBuilder("after"), _answering(card)
    add_answering(builder, "told", 3, nodes)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.BOOL if truth else TensorProto.FLOAT, shape)
        for name, truth, shape in nodes.typed(3)
    ]
    source = helper.make_tensor_value_info("told", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(builder.nodes, "g", [source], outputs, builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(model.SerializeToString())
    values = session.run(None, {"told": predictions.astype(np.float32)})
    return dict(zip(nodes.outputs, values, strict=True))


def test_labels_have_the_same_sets_and_abstentions_in_the_graph_to_the_last_bit() -> None:
    card = labels_card(at_most_wrong=0.05)
    answering = Answering(card)
    least = answering._labels.least
    assert least is not None
    known = [one for one in card.label_sets if one is not None]
    # where thresholds lie, and one step to either side
    places = [*least[:2].ravel(), *(t for one in known for t in one.thresholds)]
    edges = np.array([*places, *(1 - t for t in places), 0.0, 0.3, 0.4, 1.0], np.float32)
    near = [np.nextafter(edges, np.float32(side)) for side in (-9, 9)]
    some = np.concatenate([edges, *near, RNG.random(300).astype(np.float32)])
    some = np.clip(some, 0, 1)
    table = np.stack([some, some[::-1], some], axis=1).astype(np.float64)
    given, found = run_graph(card, table), answering.of(table)
    assert given["set_95"].shape == (len(table), 3, 2)
    for label, one in enumerate(found.labels[:2]):
        assert one.sets is not None
        assert given["set_95"][:, label].tolist() == one.sets.tolist()
    for label, one in enumerate(found.labels):
        assert one.abstain is not None
        assert given["abstain"][:, label].tolist() == one.abstain.tolist()
    assert found.labels[2].sets is None
    assert given["set_95"][:, 2].all()
    assert given["abstain"][:, 2].all()
    assert 0.0 < given["abstain"][:, 0].mean() < 1.0


def test_a_prediction_names_what_is_open_and_what_is_unsure() -> None:
    answering = Answering(labels_card(at_most_wrong=0.05))
    one = told(Computed("a", np.array([0.999, 0.0001, 0.2]), None), answering)
    classes = answering.classes
    assert one.labels == (classes[0],)
    assert one.set_95 == {classes[0]: "present", classes[1]: "absent", classes[2]: None}
    assert one.abstain == (classes[2],)
    unsure = told(Computed("b", np.array([0.5, 0.5, 0.2]), None), answering)
    assert unsure.set_95 == {classes[0]: "either", classes[1]: "either", classes[2]: None}
    assert unsure.abstain == classes
    free = told(Computed("c", np.array([0.5, 0.5, 0.2]), None), Answering(labels_card()))
    assert free.abstain is None


def test_a_bound_that_no_label_can_keep_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be kept for any label"):
        Answering(labels_card(), at_most_wrong=0.0001)
    with pytest.raises(SettingsError, match="between 0 and 1"):
        Answering(labels_card(), at_most_wrong=1.5)


def test_numbers_have_intervals_in_both_and_none_where_too_few_tell() -> None:
    radii = (0.5, TooFewCases(9, 4), 100.0)
    intervals = NumberIntervals(radii, "cross", (40, 4, 40), (40, 4, 40))
    card = card_of(task="regression", intervals=intervals)
    assert ModelCard.model_validate_json(card.to_json()).intervals == intervals
    table = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 1e6]])
    given, found = run_graph(card, table), Answering(card).of(table)
    assert given["interval"].shape == (2, 3, 2)
    assert found.intervals is not None
    np.testing.assert_array_equal(given["interval"], found.intervals.astype(np.float32))
    with pytest.raises(SettingsError, match="not for numbers"):
        Answering(card, at_most_wrong=0.1)
    one = told(Computed("a", table[0], None), Answering(card))
    assert one.interval == ((0.5, 1.5), None, (-97.0, 103.0))


def test_cards_with_sets_of_other_labels_are_refused() -> None:
    card = labels_card()
    values = {**card.model_dump(), "label_sets": card.label_sets[:2]}
    with pytest.raises(ValueError, match="of 2 labels, not 3"):
        ModelCard.model_validate(values)
