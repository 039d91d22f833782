"""The ONNX nodes that say which classes an image may be of, and whether to abstain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frostline.onnx_graph.builder import GraphBuilder
from frostline.stats.conformal import PredictionSets
from frostline.stats.decision_rule import LIKELIEST, DecisionRule

#: names of the outputs
SET_95, ABSTAIN = "set_95", "abstain"


@dataclass(frozen=True)
class AnsweringNodes:
    """What an exported file tells beside probabilities; nothing for None.

    ``rule``: which class is answered. ``sets``: which classes an image may be of. ``least``: the
    confidence from which each class is answered; empty where all are.
    """

    rule: DecisionRule = LIKELIEST
    sets: PredictionSets | None = None
    least: tuple[float, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in their order."""
        return (*(() if self.sets is None else (SET_95,)), *((ABSTAIN,) if self.least else ()))


def add_answering(
    graph: GraphBuilder, probabilities: str, n_outputs: int, nodes: AnsweringNodes
) -> None:
    """Add what :class:`AnsweringNodes` says.

    ``probabilities``: name of a float32 tensor, N x C. Adds outputs ``set_95``, bool of shape
    (N, C), and ``abstain``, bool of shape (N,).
    """
    if not nodes.outputs:
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
