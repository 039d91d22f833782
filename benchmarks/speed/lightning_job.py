"""Lightning's ``BackboneFinetuning``: the head for one epoch, then everything for four."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import BackboneFinetuning
from torch import nn

from benchmarks.speed.plain_job import Images, _loader
from benchmarks.speed.rows import job, report

_FROZEN, EPOCHS = 1, 5


class Classifier(LightningModule):
    """A body and a head, as the callback wants them."""

    def __init__(self, net: nn.Module, n_classes: int) -> None:
        super().__init__()
        net.reset_classifier(0)
        self.backbone = net
        self.head = nn.Linear(net.num_features, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.backbone(x))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Cross-entropy."""
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The callback adds the body's parameters later."""
        return torch.optim.AdamW(self.head.parameters(), lr=1e-3)


def main() -> None:
    """Train and judge."""
    given = job()
    seed_everything(given.seed)
    train, test, classes = given.split()
    module = Classifier(given.network(len(classes)), len(classes))
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[BackboneFinetuning(unfreeze_backbone_at_epoch=_FROZEN, verbose=False)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(
        module, _loader(Images(train, classes, augmented=True), given.threads, shuffle=True)
    )
    module.eval()
    right = 0
    judge = _loader(Images(test, classes, augmented=False), given.threads, shuffle=False)
    with torch.inference_mode():
        for images, labels in judge:
            right += int((module(images).argmax(1) == labels).sum())
    report(accuracy=right / len(test))


if __name__ == "__main__":
    main()
