"""The ONNX nodes that say which classes an image may be of, and whether to abstain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.onnx_graph.builder import GraphBuilder
from frostline.onnx_graph.label_graph import LabelNodes, add_label_answers
from frostline.stats.conformal import PredictionSets
from frostline.stats.decision_rule import LIKELIEST, DecisionRule

#: names of the outputs
SET_95, ABSTAIN, INTERVAL = "set_95", "abstain", "interval"


@dataclass(frozen=True)
class AnsweringNodes:
    """What an exported file tells beside probabilities; nothing for None.

    ``rule``: which class is answered. ``sets``: which classes an image may be of. ``least``: the
    confidence from which each class is answered; empty where all are. ``labels``: of several
    labels. ``radii``: of the intervals of numbers, NaN for columns without; empty for no intervals.
    """

    rule: DecisionRule = LIKELIEST
    sets: PredictionSets | None = None
    least: tuple[float, ...] = ()
    labels: LabelNodes | None = None
    radii: tuple[float, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        told = {
            SET_95: self.sets is not None or self.labels is not None,
            ABSTAIN: self.least or (self.labels is not None and self.labels.abstains),
            INTERVAL: self.radii,
        }
        return tuple(name for name, there in told.items() if there)

    def typed(self, n_outputs: int) -> list[tuple[str, bool, list[str | int]]]:
        """Return name, whether of truth values rather than numbers, and shape of every output."""
        each: list[str | int] = ["N", n_outputs]
        shapes: dict[str, list[str | int]] = {
            SET_95: each if self.labels is None else [*each, 2],
            ABSTAIN: ["N"] if self.labels is None else each,
            INTERVAL: [*each, 2],
        }
        return [(name, name != INTERVAL, shapes[name]) for name in self.outputs]


def add_answering(
    graph: GraphBuilder, probabilities: str, n_outputs: int, nodes: AnsweringNodes
) -> None:
    """Add what :class:`AnsweringNodes` says.

    ``probabilities``: name of a float32 tensor, N x C; of numbers where these are predicted. Adds
    outputs ``set_95``, bool of shape (N, C), and ``abstain``, bool of shape (N,); of several labels
    what :func:`add_label_answers` does; of numbers ``interval``, float32 of shape (N, C, 2).
    """
    if nodes.radii:
        radii = graph.constant(nodes.radii, np.float32)
        last = graph.integers(2)
        ends = [graph.add(op, probabilities, radii) for op in ("Sub", "Add")]
        graph.add(
            "Concat", *(graph.add("Unsqueeze", e, last) for e in ends), axis=2, output=INTERVAL
        )
    if nodes.labels is not None:
        add_label_answers(graph, probabilities, nodes.labels, sets=SET_95, abstain=ABSTAIN)
        return
    if nodes.sets is None and not nodes.least:
        return
    scores = probabilities
    if nodes.rule.factors:
        scores = graph.add("Mul", scores, graph.constant(nodes.rule.factors, np.float32))
    if nodes.rule.costs:
        negative = -np.array(nodes.rule.costs)
        scores = graph.add("MatMul", scores, graph.constant(negative, np.float32))
    best = graph.add("ArgMax", scores, axis=1, keepdims=1)
    answer = graph.add("Equal", best, graph.integers(*range(n_outputs)))
    if nodes.sets is not None:
        least = graph.constant(nodes.sets.thresholds, np.float32)
        conforms = graph.add("GreaterOrEqual", probabilities, least)
        graph.add("Or", conforms, answer, output=SET_95)
    if nodes.least:
        # the sign of a difference is exact in single precision
        above = graph.add("Sub", probabilities, graph.constant(nodes.least, np.float32))
        zero = graph.constant(0.0, np.float32)
        own = graph.add("Where", answer, above, zero)
        room = graph.add("ReduceSum", own, graph.integers(1), keepdims=0)
        graph.add("Less", room, zero, output=ABSTAIN)
