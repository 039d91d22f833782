"""What fastai's ``fine_tune`` does by default, in a loop of our own, as a rival on equal images.

One epoch with the body frozen (its BatchNorm layers learn all the same), then every layer at
rates from ``base / 100`` to ``base`` (``base`` halved), one-cycle schedule, Adam with decoupled
weight decay 0.01, batches of 64, and fastai's two-layer head on mean and maximum.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frostline.data.decoding.views import training_view
from frostline.fitting.procedure import Task

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_BASE, _DECAY, _BATCH = 2e-3, 1e-2, 64
_WARM = 0.3


class FastaiHead(nn.Module):
    """Mean and maximum over space, two linear layers with BatchNorm and dropout."""

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(2 * channels),
            nn.Dropout(0.25),
            nn.Linear(2 * channels, 512, bias=False),
            nn.ReLU(),
            nn.BatchNorm1d(512),
            nn.Dropout(0.5),
            nn.Linear(512, n_classes, bias=False),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits for feature maps."""
        pooled = torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)
        logits: torch.Tensor = self.layers(pooled)
        return logits


def fine_tune(task: Task, rows: IntArray, test: IntArray, *, epochs: int, flip: bool) -> BoolArray:
    """Train on ``rows`` for 1 + ``epochs`` epochs; return which of ``test`` are right."""
    seed = task.settings.seed
    torch.manual_seed(seed)
    network = task.store.network.copy()
    body = network.feature_module.to(memory_format=torch.channels_last)
    head = FastaiHead(network.last.channels, task.problem.target.n_outputs)
    tensors = list(body.parameters())
    norms = {
        p
        for m in body.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
        for p in m.parameters(recurse=False)
    }
    half = len(tensors) // 2
    groups = [tensors[:half], tensors[half:], list(head.parameters())]
    loader = _Views(task, rows, flip)
    # frozen: everything but BatchNorm and head
    for p in tensors:
        p.requires_grad_(p in norms)
    _one_cycle(body, head, groups, [_BASE] * 3, loader, epochs=1, first=1)
    for p in tensors:
        p.requires_grad_(True)
    base = _BASE / 2
    rates = [base / 100, base / 10, base]
    _one_cycle(body, head, groups, rates, loader, epochs=epochs, first=2)
    body.eval()
    head.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(test), 64):
            part = test[start : start + 64]
            pixels = network.preprocessing.normalise(task.store.pixels(part))
            found.append(head(body(torch.from_numpy(pixels))).argmax(1).numpy())
    return np.asarray(np.concatenate(found) == task.problem.labels[test], dtype=np.bool_)


class _Views:
    """Augmented batches; the last one is dropped, as fastai does."""

    def __init__(self, task: Task, rows: IntArray, flip: bool) -> None:
        self.task, self.rows, self.flip = task, rows, flip
        self.size = min(_BATCH, len(rows))

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.rows) // self.size

    def epoch(self, number: int) -> list[IntArray]:
        """Rows of every batch of an epoch."""
        order = np.random.default_rng([self.task.settings.seed, number]).permutation(self.rows)
        return [order[i * self.size : (i + 1) * self.size] for i in range(self.steps)]

    def tensor(self, rows: IntArray, number: int) -> torch.Tensor:
        """Normalised views of some rows."""
        store = self.task.store
        views = [
            training_view(
                store.pictures.resized(store.catalog.digests[row]),
                store.network.preprocessing,
                level="standard",
                flip=self.flip,
                seed=self.task.settings.seed,
                epoch=number,
                key=store.catalog.digests[row],
            )
            for row in rows
        ]
        return torch.from_numpy(store.network.preprocessing.normalise(np.stack(views)))


def _one_cycle(
    body: nn.Module,
    head: nn.Module,
    groups: list[list[nn.Parameter]],
    rates: list[float],
    loader: _Views,
    *,
    epochs: int,
    first: int,
) -> None:
    optimizer = torch.optim.AdamW(
        [{"params": p, "lr": r, "top": r} for p, r in zip(groups, rates, strict=True)],
        betas=(0.95, 0.99),
        eps=1e-5,
        weight_decay=_DECAY,
    )
    total = epochs * loader.steps
    step = 0
    for epoch in range(epochs):
        body.train()
        head.train()
        for rows in loader.epoch(first + epoch):
            share = step / max(1, total)
            up = share < _WARM
            if up:
                rate = _between(1 / 25, 1.0, share / _WARM)
            else:
                rate = _between(1.0, 1e-5, (share - _WARM) / (1 - _WARM))
            place = share / _WARM if up else (share - _WARM) / (1 - _WARM)
            momentum = _between(0.95, 0.85, place) if up else _between(0.85, 0.95, place)
            for group in optimizer.param_groups:
                group["lr"] = group["top"] * rate
                group["betas"] = (momentum, 0.99)
            logits = head(body(loader.tensor(rows, first + epoch)))
            labels = torch.from_numpy(loader.task.problem.labels[rows])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(nn.functional.cross_entropy(logits, labels))
            optimizer.step()
            step += 1


def _between(start: float, stop: float, share: float) -> float:
    return stop + (start - stop) * (1 + math.cos(math.pi * share)) / 2
