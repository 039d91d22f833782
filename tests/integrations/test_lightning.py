"""Freezing in a training with Lightning; needs Lightning, which is no dependency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frostline.core.errors import CutError, FrozenChangedError, SettingsError

pytestmark = pytest.mark.slow

lightning = pytest.importorskip("lightning.pytorch")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def module(*, meddle: bool = False) -> Any:
    class Classifier(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            images, labels = batch
            self.net.train()
            if meddle:
                with torch.no_grad():
                    self.net.get_parameter("0.0.weight").add_(1.0)
            return nn.functional.cross_entropy(self.net(images), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=0.1, weight_decay=0.1)

    return Classifier()


def fit(classifier: Any, callback: Any, folder: Path) -> None:
    images = torch.randn(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    data = DataLoader(TensorDataset(images, torch.arange(16) % 2), batch_size=8)
    lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    ).fit(classifier, data)


@pytest.mark.parametrize(
    "options", [{"what": "0"}, {"upto": "0", "example": torch.zeros(2, 3, 12, 12)}]
)
def test_frozen_stays_frozen(options: dict[str, Any], tmp_path: Path) -> None:
    from frostline.integrations.lightning import FrostlineFreeze

    classifier = module()
    before = {name: value.clone() for name, value in classifier.net.state_dict().items()}
    callback = FrostlineFreeze(part="net", **options)
    fit(classifier, callback, tmp_path)
    after = classifier.net.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    # statistics of the norm layer included, although the module calls train() in every step
    assert not {name for name in moved if name.startswith("0.")}
    assert {"1.0.weight", "1.1.running_mean", "4.weight"} <= moved
    assert callback.report is not None
    assert callback.report.frozen == ("0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias")


def test_whoever_moves_a_frozen_layer_is_told(tmp_path: Path) -> None:
    from frostline.integrations.lightning import FrostlineFreeze

    with pytest.raises(FrozenChangedError, match=r"0\.0\.weight"):
        fit(module(meddle=True), FrostlineFreeze("0", part="net"), tmp_path)


def test_mistakes(tmp_path: Path) -> None:
    from frostline.integrations.lightning import FrostlineFreeze

    with pytest.raises(SettingsError, match="layers to freeze"):
        FrostlineFreeze()
    with pytest.raises(CutError):
        fit(
            module(),
            FrostlineFreeze(upto="7", part="net", example=torch.zeros(2, 3, 12, 12)),
            tmp_path,
        )
