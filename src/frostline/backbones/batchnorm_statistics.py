"""Give a network the norm statistics of other images, and leave every weight as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.network import Network


def with_statistics_of(network: Network, batches: Iterable[torch.Tensor]) -> Network:
    """Return a copy whose BatchNorm layers carry the statistics of these images (AdaBN).

    Every layer is normalised by its own batch while the averages over all batches are taken, so
    one pass sets all layers (Li et al., arXiv 1603.04779). Undoes what a sensor, contrast or
    noise does to all images alike; it also takes away what the old averages knew.

    ``network``: left as it is. ``batches``, shape (n, 3, size, size): normalised images; at least
    two images a batch. The result: with a ``weights_id`` of its own. Without BatchNorm it equals
    the given one.
    """
    adapted = network.copy()
    norms = [
        layer
        for layer in adapted.feature_module.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None
    ]
    with estimating(norms), torch.no_grad():
        for batch in batches:
            adapted.feature_module(batch)
    adapted.weights_id = fingerprint(adapted.feature_module)
    return adapted


@contextlib.contextmanager
def estimating(norms: Sequence[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Forget the statistics of BatchNorm layers and take plain averages over what runs inside."""
    kept = [(layer.momentum, layer.training) for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        # None: a plain average over all batches
        layer.momentum = None
        layer.train()
    try:
        yield
    finally:
        for layer, (momentum, training) in zip(norms, kept, strict=True):
            layer.momentum = momentum
            layer.train(training)
