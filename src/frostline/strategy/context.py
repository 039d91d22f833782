"""What a candidate needs to know to propose a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from frostline.core.actions import Recipe
from frostline.core.cuts import NetworkSummary
from frostline.core.plan import EvidenceSummary, NetworkResult
from frostline.core.runtime import Device
from frostline.core.settings import Settings
from frostline.evidence.evidence import Evidence
from frostline.strategy.cost import RACE_SHARE, TrainingCost, plan_work

#: below this many images, or with smaller batches, batch statistics are too noisy to learn
_FEW_IMAGES = 500
_SMALL_BATCH = 16


@dataclass(frozen=True)
class Context:
    """Everything that proposals are made from.

    ``device`` is where training would run; ``refits`` counts how often it runs in multiples of the
    training images (3 when the procedure is cross-validated, else 1); ``flip`` says whether
    mirroring keeps the classes; ``networks`` are those that were compared before, if any;
    ``can_train`` says whether PyTorch, which trains layers, is installed.
    """

    network: NetworkSummary
    evidence: Evidence
    settings: Settings
    device: Device = "cpu"
    refits: float = 1.0
    flip: bool = True
    networks: tuple[NetworkResult, ...] = ()
    can_train: bool = True

    @property
    def summary(self) -> EvidenceSummary:
        return self.evidence.summary

    @property
    def n_images(self) -> int:
        return self.summary.size.n_images

    @property
    def class_weights(self) -> Literal["none", "balanced"]:
        return "balanced" if self.settings.class_weight == "balanced" else "none"

    @property
    def _augment(self) -> Literal["light", "standard"]:
        # strong crops lose more of few images than their variety gives
        return "light" if self.summary.size.label == "small" else "standard"

    def work(self, *, freeze_to: str | None, keep_to: str | None, most_epochs: int) -> TrainingCost:
        """Epochs that the budget pays for; a number of epochs that was asked for wins."""
        asked = self.settings.epochs
        budget = self.settings.budget_seconds
        if self.settings.strategy == "auto":
            budget *= 1 - RACE_SHARE
        return plan_work(
            self.network,
            n_images=self.n_images,
            refits=self.refits,
            budget=budget if asked == "auto" else float("inf"),
            most_epochs=most_epochs if asked == "auto" else asked,
            freeze_to=freeze_to,
            keep_to=keep_to,
            device=self.device,
        )

    def recipe(
        self,
        work: TrainingCost,
        *,
        learning_rate: float,
        head_learning_rate: float,
        layer_decay: float = 1.0,
        norm_mode: Literal["auto", "train"] = "auto",
    ) -> Recipe:
        """Fill in everything about training that the settings leave to us."""
        settings = self.settings
        batch = settings.batch_size
        if batch == "auto":
            batch = 32 if self.n_images >= 256 else 16 if self.n_images >= 64 else 8
        if settings.learning_rate != "auto":
            head_learning_rate *= settings.learning_rate / learning_rate
            learning_rate = settings.learning_rate
        few = self.n_images < _FEW_IMAGES or batch < _SMALL_BATCH
        smoothing = 0.1 if settings.label_smoothing == "auto" else settings.label_smoothing
        return Recipe(
            epochs=work.epochs,
            batch_size=batch,
            learning_rate=learning_rate,
            head_learning_rate=head_learning_rate,
            layer_decay=layer_decay,
            label_smoothing=smoothing,
            class_weights=self.class_weights,
            augment=self._augment if settings.augment == "auto" else settings.augment,
            flip=self.flip,
            norm_mode="train" if norm_mode == "train" or not few else "eval",
            # the rate falls to zero at the end, where the best epoch usually is: a hot start
            # looks worse than the probe for longer than any patience
            patience=work.epochs,
        )
