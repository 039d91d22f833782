"""What work costs on the nominal machine; no clock is read, so time never changes a result."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.actions import FreezeLater
from frostline.core.cuts import NetworkSummary, Work

# measured on two CPU cores with EfficientNet-Lite0; for a GPU an order of magnitude
_FORWARD_MACS_PER_SECOND = {"cpu": 50e9, "cuda": 5e12}
_TRAIN_MACS_PER_SECOND = {"cpu": 22e9, "cuda": 1.5e12}
#: how much faster the same number of multiply-accumulates is where layers do nothing depthwise,
#: on one core: ViT-Ti 1.9 and 1.5 times in training and forward, ConvNeXt-atto 1.5 and 1.3,
#: ResNet-18 4.0 and 3.7; a GPU was not measured
_PACE: dict[Work, float] = {"depthwise": 1.0, "products": 1.5, "convolutions": 3.5}
#: a training step is one forward and two backward passes
_PASSES = 3
#: share of the budget that training may use; the rest reads, probes and writes
_TRAINING_SHARE = 0.7
#: share of the budget that a race between options may use; what wins gets the rest
RACE_SHARE = 0.3


@dataclass(frozen=True)
class TrainingCost:
    """Gradient training, counted before it starts.

    ``epochs`` is what the budget pays for, within limits; ``seconds`` its nominal time.
    """

    epochs: int
    seconds: float


@dataclass(frozen=True)
class Span:
    """Which layers train: those after ``freeze_to`` up to ``keep_to``; None is either end.

    ``later`` says what is frozen after a part of the epochs, if anything.
    """

    freeze_to: str | None = None
    keep_to: str | None = None
    later: FreezeLater | None = None


def training_seconds(
    network: NetworkSummary, span: Span, *, n_images: int, epochs: int, device: str
) -> float:
    """Nominal seconds of training the layers of ``span``."""
    later = span.later
    if later is None:
        return n_images * _seconds_an_image(network, span, epochs, device)
    first = later.full_epochs(epochs)
    upper = Span(later.freeze_to, span.keep_to)
    return n_images * (
        _seconds_an_image(network, Span(span.freeze_to, span.keep_to), first, device)
        + _seconds_an_image(network, upper, epochs - first, device)
    )


def _seconds_an_image(network: NetworkSummary, span: Span, epochs: int, device: str) -> float:
    if not epochs:
        return 0.0
    top = network.last if span.keep_to is None else network.cut(span.keep_to)
    frozen = 0 if span.freeze_to is None else network.cut(span.freeze_to).macs_before
    moving = top.macs_before - frozen
    pace = 1.0 if _on_gpu(device) else _PACE[network.work]
    train = epochs * moving * _PASSES / (_rate(_TRAIN_MACS_PER_SECOND, device) * pace)
    # each stored view runs the frozen prefix once
    views = min(epochs, 4) + 1 if span.freeze_to else 0
    return train + views * frozen / (_rate(_FORWARD_MACS_PER_SECOND, device) * pace)


def forward_seconds(network: NetworkSummary, n_images: int, device: str) -> float:
    """Nominal seconds of the frozen features of so many images."""
    pace = 1.0 if _on_gpu(device) else _PACE[network.work]
    return n_images * network.last.macs_before / (_rate(_FORWARD_MACS_PER_SECOND, device) * pace)


def _rate(rates: dict[str, float], device: str) -> float:
    # what nobody has measured counts as a CPU
    return rates["cuda" if _on_gpu(device) else "cpu"]


def _on_gpu(device: str) -> bool:
    return device.startswith("cuda")


def plan_work(
    network: NetworkSummary,
    span: Span,
    *,
    n_images: int,
    refits: float,
    budget: float,
    most_epochs: int,
    device: str,
) -> TrainingCost:
    """Turn a budget into a fixed number of epochs.

    - ``span``: the layers that train.
    - ``n_images``: training images.
    - ``refits``: how often the training runs, in multiples of ``n_images`` (cross-validation
      refits).
    - ``budget``: nominal seconds for everything.
    - ``most_epochs``: never more than this, whatever the budget.
    - ``device``: as PyTorch names it.
    """

    def cost(epochs: int) -> float:
        return refits * training_seconds(
            network, span, n_images=n_images, epochs=epochs, device=device
        )

    epochs = 1
    while epochs < most_epochs and cost(epochs + 1) <= budget * _TRAINING_SHARE:
        epochs += 1
    return TrainingCost(epochs, cost(epochs))
