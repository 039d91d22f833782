"""A small network, pretrained here to read Latin letters: its source is known exactly."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.decision.glyphs import LATIN, covering, draw, find_fonts, generator
from frostline.backbones.network import Network
from frostline.core.preprocessing import Preprocessing

WIDTHS = (16, 32, 64, 128)
PREPROCESSING = Preprocessing(
    size=32, crop_pct=1.0, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)
_IMAGES, _EPOCHS, _BATCH, _RATE = 24_000, 8, 128, 3e-3


class Block(nn.Module):
    """Two convolutions with a shortcut around the second."""

    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide_out)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide_out)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Halve the map when the stride is 2."""
        x = self.act(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.act(x + self.bn2(self.conv2(x)))
        return out


class GlyphNet(nn.Module):
    """Four blocks for 32-pixel images: 3.6 million multiplications, 300 thousand weights."""

    def __init__(self, n_classes: int = len(LATIN)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()
        )
        self.stage1 = Block(WIDTHS[0], WIDTHS[0], 1)
        self.stage2 = Block(WIDTHS[0], WIDTHS[1], 2)
        self.stage3 = Block(WIDTHS[1], WIDTHS[2], 2)
        self.stage4 = Block(WIDTHS[2], WIDTHS[3], 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(WIDTHS[3], n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of letters."""
        x = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(x)))))
        out: torch.Tensor = self.classifier(self.flatten(self.pool(x)))
        return out


def load(weights: Path) -> Network:
    """Return the pretrained network."""
    net = GlyphNet()
    net.load_state_dict(load_file(weights))
    return Network.load(net.eval(), example=torch.zeros(2, 3, 32, 32), preprocessing=PREPROCESSING)


def pretrain(fonts: Path, weights: Path) -> float:
    """Train on the first half of the fonts; return the accuracy on letters of the other half."""
    faces = covering(find_fonts(fonts))
    source, other = faces[: len(faces) // 2], faces[len(faces) // 2 :]
    x, y = _letters("source", source, _IMAGES)
    x_test, y_test = _letters("source test", other, 3_000)
    torch.manual_seed(0)
    net = GlyphNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-2)
    steps = _EPOCHS * (_IMAGES // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_RATE, total_steps=steps)
    began = time.perf_counter()
    for epoch in range(_EPOCHS):
        net.train()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        for chosen in torch.split(order, _BATCH):
            if len(chosen) < _BATCH:
                continue
            loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen], label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        net.eval()
        with torch.inference_mode():
            right = (net(x_test).argmax(1) == y_test).float().mean().item()
        seconds = time.perf_counter() - began
        print(f"letters, epoch {epoch + 1}: {right:.1%} on new fonts, {seconds:.0f} s")
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
    return float(right)


def _letters(name: str, faces: list[Path], n: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = generator(name)
    labels = rng.integers(0, len(LATIN), size=n)
    which = rng.integers(0, len(faces), size=n)
    images = [
        draw(LATIN[label], faces[face], generator(name, i))
        for i, (label, face) in enumerate(zip(labels, which, strict=True))
    ]
    pixels = torch.from_numpy(PREPROCESSING.normalise(np.stack(images)))
    return pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels)
