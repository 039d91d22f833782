"""A place in the graph of a model at which images are watched, as data."""

from __future__ import annotations

from frostline.core.audit_record import Count
from frostline.core.cuts import Layout, TokenReading
from frostline.core.json_record import JsonRecord


class WatchedDepth(JsonRecord):
    """A tensor of ``model.onnx`` that is pooled into one vector an image.

    Attributes
    ----------
    name : str
        For people: the cut of the network.
    tensor : str
        In the graph.
    depth : float
        Share of the network's work that lies below, in [0, 1].
    layout : {"NCHW", "NHWC", "NLC", "NC"}
    tokens : TokenReading or None
        How tokens are read; None for maps, and for tokens of which nothing more is known.
    width : int
        Values of an image.
    means : int
        How many of them, from the first, are no spreads over space.
    """

    name: str
    tensor: str
    depth: float
    layout: Layout
    tokens: TokenReading | None = None
    width: Count
    means: Count
