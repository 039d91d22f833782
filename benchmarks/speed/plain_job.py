"""A careful plain loop: frozen body under no_grad, channels_last, ten epochs of the head."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.speed.rows import SIZE, Clock, job, report

EPOCHS = 10
_REPEATS = 3
_BATCH = 32
_MANY_STEPS = 500


class Images(Dataset):  # type: ignore[type-arg]
    """Files and labels."""

    def __init__(self, rows: list[tuple[str, str]], classes: list[str], *, augmented: bool) -> None:
        self.rows, self.classes = rows, classes
        views = (
            [transforms.RandomResizedCrop(SIZE, (0.35, 1.0)), transforms.RandomHorizontalFlip()]
            if augmented
            else [transforms.Resize(256), transforms.CenterCrop(SIZE)]
        )
        half = (0.5, 0.5, 0.5)
        self.views = transforms.Compose(
            [*views, transforms.ToTensor(), transforms.Normalize(half, half)]
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        path, label = self.rows[i]
        image = Image.open(Path(path)).convert("RGB")
        return self.views(image), self.classes.index(label)


def main() -> None:
    """Train the head, or time single epochs of the head, of the top half and of everything."""
    given = job()
    torch.manual_seed(given.seed)
    train, test, classes = given.split()
    net = given.network(len(classes)).to(memory_format=torch.channels_last)
    learn = _loader(Images(train, classes, augmented=True), given.threads, shuffle=True)
    if given.epochs_of:
        kinds = {"head": 0, "top half": 3, "full": None}
        report(epochs={name: _times(net, learn, k) for name, k in kinds.items()})
        return
    # few steps need a higher rate
    rate = 1e-3 if EPOCHS * len(learn) > _MANY_STEPS else 1e-2
    optimizer = torch.optim.AdamW(net.classifier.parameters(), lr=rate)
    for _ in range(EPOCHS):
        _epoch(net, learn, optimizer, frozen_blocks=len(net.blocks), frozen_head=True)
    judge = _loader(Images(test, classes, augmented=False), given.threads, shuffle=False)
    net.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in judge:
            found = net(images.contiguous(memory_format=torch.channels_last))
            right += int((found.argmax(1) == labels).sum())
    report(accuracy=right / len(test))


def _loader(images: Images, workers: int, *, shuffle: bool) -> DataLoader:  # type: ignore[type-arg]
    return DataLoader(images, _BATCH, shuffle=shuffle, num_workers=workers)


def _times(net: nn.Module, loader: DataLoader, kind: int | None) -> list[float]:  # type: ignore[type-arg]
    clock = Clock()
    frozen = {0: len(net.blocks), 3: 4, None: 0}[kind]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    for _ in range(_REPEATS):
        with clock:
            _epoch(net, loader, optimizer, frozen_blocks=frozen, frozen_head=kind == 0)
    return clock.seconds


def _epoch(
    net: nn.Module,
    loader: DataLoader,  # type: ignore[type-arg]
    optimizer: torch.optim.Optimizer,
    *,
    frozen_blocks: int,
    frozen_head: bool,
) -> None:
    """One epoch; what is frozen runs in eval mode and without a graph."""
    net.train()
    frozen = [net.conv_stem, net.bn1, *net.blocks[:frozen_blocks]] if frozen_blocks else []
    if frozen_head:
        frozen += [net.conv_head, net.bn2]
    for part in frozen:
        part.eval()
    for images, labels in loader:
        x = images.contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(not frozen):
            x = net.bn1(net.conv_stem(x))
            x = net.blocks[:frozen_blocks](x)
        with torch.set_grad_enabled(not frozen_head):
            x = net.blocks[frozen_blocks:](x)
            x = net.bn2(net.conv_head(x))
        loss = nn.functional.cross_entropy(net.forward_head(x), labels)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()


if __name__ == "__main__":
    main()
