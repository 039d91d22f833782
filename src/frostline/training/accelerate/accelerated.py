"""All accelerations of training at once, and the switch that turns them off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from frostline.backbones.network import Network
from frostline.core.malloc import malloc_retain
from frostline.training.accelerate.depthwise import fast_depthwise_backward
from frostline.training.accelerate.norm_folding import folded_norms

#: set to 1, layers train as PyTorch runs them: to find out whether an acceleration is at fault
SWITCH = "FROSTLINE_PLAIN"


@contextmanager
def accelerated(network: Network, classifier: nn.Module) -> Iterator[bool]:
    """Train faster inside; weights and state dict stay as they are.

    Convolutions carry the norm layers behind them that are frozen, wide depthwise kernels get
    their gradients in pieces, and glibc keeps what a step frees. Nothing of it is done, and False
    given, where the environment says ``FROSTLINE_PLAIN=1``.

    ``network``: whose frozen norm layers are folded. ``classifier``: what trains, layers of the
    network among it.
    """
    if os.environ.get(SWITCH) == "1":
        yield False
        return
    with ExitStack() as stack:
        stack.enter_context(malloc_retain())
        stack.enter_context(folded_norms(network))
        stack.enter_context(fast_depthwise_backward(classifier))
        yield True
