"""The ONNX nodes that say of each of several labels whether it is surely there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostline.onnx_graph.builder import GraphBuilder

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelNodes:
    """From which probability on a label is given, and which answers are open.

    ``given``, shape (C,): from these on it is. ``absent`` and ``present``, shape (C,): confidence
    from which on the label may be absent, and present; -1 where either always may be. ``least``,
    shape (C, 2): confidence from which on absent and present are answered; empty where all are.
    """

    given: tuple[float, ...]
    absent: tuple[float, ...]
    present: tuple[float, ...]
    least: tuple[tuple[float, float], ...] = ()

    @property
    def abstains(self) -> bool:
        """Whether labels may be left without an answer."""
        return bool(self.least)


def add_label_answers(
    graph: GraphBuilder, probabilities: str, nodes: LabelNodes, *, sets: str, abstain: str
) -> None:
    """Add what :class:`LabelNodes` says.

    ``probabilities``: name of a float32 tensor, N x C. ``sets``: name of an output that is added,
    bool of shape (N, C, 2): whether a label may be absent, and present. ``abstain``: of one that is
    added where labels may be left without an answer, bool of shape (N, C).
    """
    here = _from(graph, probabilities, nodes.given)
    gone = graph.add("Not", here)
    may_be = [
        graph.add("Or", _absent_from(graph, probabilities, nodes.absent), gone),
        graph.add("Or", _from(graph, probabilities, nodes.present), here),
    ]
    last = graph.integers(2)
    both = [graph.add("Unsqueeze", one, last) for one in may_be]
    graph.add("Concat", *both, axis=2, output=sets)
    if nodes.least:
        absent, present = zip(*nodes.least, strict=True)
        sure = [
            graph.add("And", gone, _absent_from(graph, probabilities, absent)),
            graph.add("And", here, _from(graph, probabilities, present)),
        ]
        graph.add("Not", graph.add("Or", *sure), output=abstain)


def _from(graph: GraphBuilder, probabilities: str, least: tuple[float, ...]) -> str:
    """Whether probabilities of single precision reach thresholds of double precision."""
    return graph.add(
        "GreaterOrEqual", probabilities, graph.constant(_not_below(np.array(least)), np.float32)
    )


def _absent_from(graph: GraphBuilder, probabilities: str, least: tuple[float, ...]) -> str:
    """Whether one minus a probability does, without the rounding of that difference."""
    most = -_not_below(np.array(least) - 1.0)
    return graph.add("LessOrEqual", probabilities, graph.constant(most, np.float32))


def _not_below(values: npt.NDArray[np.float64]) -> Singles:
    """Return the smallest numbers of single precision that are not below the given ones."""
    rounded = values.astype(np.float32)
    up = np.nextafter(rounded, np.float32(np.inf))
    found: Singles = np.where(rounded.astype(np.float64) < values, up, rounded)
    return found
