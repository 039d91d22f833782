"""Give a frozen network the norm statistics of other images, and leave every weight as it is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from frostline.backbones.frozen_network import FrozenNetwork, Statistics
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import FloatArray, UInt8Array
from frostline.core.runtime import Runtime
from frostline.onnx_graph.network_graph import IMAGES, NetworkGraph


def with_statistics_of_images(
    network: FrozenNetwork, batches: Iterable[UInt8Array], runtime: Runtime
) -> FrozenNetwork:
    """Return a copy whose BatchNorm layers carry the statistics of these images (AdaBN).

    Every layer is normalised by its own batch while the averages over all batches are taken, so one
    pass sets all layers (Li et al., arXiv 1603.04779).

    ``batches``: prepared images (n, size, size, 3), at least two a batch. The result has a
    ``weights_id`` of its own.
    """
    graph = network.graph_without_weights()
    if graph is not None:
        statistics, count = _measured(graph, network, batches, runtime)
        return network.with_statistics(statistics, count)
    from frostline.backbones.batchnorm_statistics import with_statistics_of
    from frostline.backbones.run_module import to_input
    from frostline.backbones.trainable import trainable

    loaded = trainable(network)
    return with_statistics_of(loaded, (to_input(b, network.preprocessing) for b in batches))


def _measured(
    graph: NetworkGraph, network: FrozenNetwork, batches: Iterable[UInt8Array], runtime: Runtime
) -> tuple[Statistics, int]:
    model = graph.batch_statistics(network.preprocessing)
    session = open_session(model, threads=runtime.threads, log_level=4)
    outputs = [output.name for output in session.get_outputs()]
    totals: dict[str, FloatArray] = {}
    count = 0
    for count, batch in enumerate(batches, start=1):
        runtime.cancel.check()
        for name, value in zip(outputs, session.run(outputs, {IMAGES: batch}), strict=True):
            # a running average in single precision, as PyTorch keeps it
            before = totals.get(name, np.zeros_like(value))
            totals[name] = before + (value - before) / np.float32(count)
    return {
        norm.name: (totals[f"mean/{norm.name}"], totals[f"var/{norm.name}"]) for norm in graph.norms
    }, count
