"""What a candidate needs to know to propose a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from frostline.backbones.families import UNKNOWN, Family
from frostline.core.actions import FreezeLater, Recipe
from frostline.core.cuts import NetworkSummary
from frostline.core.plan import EvidenceSummary, NetworkResult, ResizeResult
from frostline.core.runtime import Device
from frostline.core.settings import EFFORT_SECONDS, MetricName, Settings
from frostline.evidence.evidence import Evidence
from frostline.strategy.cost import RACE_SHARE, Span, TrainingCost, plan_work

#: below this many images, or with smaller batches, batch statistics are too noisy to learn
_FEW_IMAGES = 500
_SMALL_BATCH = 16

#: the rate of fine-tuning networks with BatchNorm, which a family's published one stands for
_USUAL_RATE = 3e-4
#: pretrained transformers are ruined at more times their published rate
_MOST_TIMES = 4.0
#: published warm-ups belong to long trainings; of a short one they may take this share
_LONGEST_WARMUP = 0.25


@dataclass(frozen=True)
class Context:
    """Everything that proposals are made from.

    ``device`` is where training would run; ``refits`` counts how often it runs in multiples of the
    training images (3 when the procedure is cross-validated, else 1); ``flip`` says whether
    mirroring keeps the classes; ``networks`` and ``resizes`` are what was compared before, if any;
    ``can_train`` says whether PyTorch, which trains layers, is installed; ``family`` how networks
    like this one were trained; ``metric`` what choices are made for, where that is not what the
    settings say.
    """

    network: NetworkSummary
    evidence: Evidence
    settings: Settings
    device: Device = "cpu"
    refits: float = 1.0
    flip: bool = True
    networks: tuple[NetworkResult, ...] = ()
    resizes: tuple[ResizeResult, ...] = ()
    can_train: bool = True
    family: Family = UNKNOWN
    metric: MetricName | None = None

    @property
    def summary(self) -> EvidenceSummary:
        return self.evidence.summary

    @property
    def n_images(self) -> int:
        return self.summary.size.n_images

    @property
    def thorough(self) -> bool:
        """Whether there is time for every option, and for judging them on more images."""
        best = EFFORT_SECONDS["best"]
        return self.settings.effort == "best" or self.settings.budget_seconds >= best

    @property
    def class_weights(self) -> Literal["none", "balanced"]:
        return "balanced" if self.settings.class_weight == "balanced" else "none"

    @property
    def _augment(self) -> Literal["light", "standard"]:
        # strong crops lose more of few images than their variety gives
        return "light" if self.summary.size.label == "small" else "standard"

    @property
    def _batch_size(self) -> int:
        asked = self.settings.batch_size
        if asked != "auto":
            return asked
        return 32 if self.n_images >= 256 else 16 if self.n_images >= 64 else 8

    def rate(self, usual: float) -> float:
        """Learning rate for this family, where ``usual`` is that of networks with BatchNorm.

        A published rate belongs to a batch; AdamW wants the square root of a change of batch
        (Malladi et al. 2022, "On the SDEs and scaling rules for adaptive gradient algorithms").
        """
        recipe = self.family.recipe
        if recipe is None:
            return usual
        scale = math.sqrt(self._batch_size / recipe.batch_size)
        return recipe.learning_rate * scale * min(usual / _USUAL_RATE, _MOST_TIMES)

    def decay(self, usual: float) -> float:
        """Factor on the rate from a stage to the one below, where ``usual`` is as in ``rate``.

        Published ones are by block, and a stage may have several.
        """
        recipe = self.family.recipe
        if recipe is None:
            return usual
        cuts = self.network.feature_cuts
        stages = sum(cut.stage_end for cut in cuts)
        return float(recipe.layer_decay ** (len(cuts) / max(1, stages)))

    def work(
        self,
        *,
        freeze_to: str | None,
        keep_to: str | None,
        most_epochs: int,
        later: FreezeLater | None = None,
    ) -> TrainingCost:
        """Epochs that the budget pays for; a number of epochs that was asked for wins."""
        asked = self.settings.epochs
        budget = self.settings.budget_seconds
        if self.settings.strategy == "auto":
            budget *= 1 - RACE_SHARE
        return plan_work(
            self.network,
            Span(freeze_to, keep_to, later),
            n_images=self.n_images,
            refits=self.refits,
            budget=budget if asked == "auto" else float("inf"),
            most_epochs=most_epochs if asked == "auto" else asked,
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
        batch = self._batch_size
        if settings.learning_rate != "auto":
            head_learning_rate *= settings.learning_rate / learning_rate
            learning_rate = settings.learning_rate
        few = self.n_images < _FEW_IMAGES or batch < _SMALL_BATCH
        smoothing = 0.1 if settings.label_smoothing == "auto" else settings.label_smoothing
        recipe = Recipe(
            epochs=work.epochs,
            batch_size=batch,
            learning_rate=learning_rate,
            head_learning_rate=head_learning_rate,
            layer_decay=layer_decay,
            label_smoothing=smoothing,
            class_weights=self.class_weights,
            augment=self._augment if settings.augment == "auto" else settings.augment,
            flip=self.flip,
            norm_mode=(
                "train"
                if self.family.running_statistics and (norm_mode == "train" or not few)
                else "eval"
            ),
            # the rate falls to zero at the end, where the best epoch usually is: a hot start
            # looks worse than the probe for longer than any patience
            patience=work.epochs,
        )
        published = self.family.recipe
        if published is None:
            return recipe
        share = min(_LONGEST_WARMUP, published.warmup_epochs / work.epochs)
        own = {
            "weight_decay": published.weight_decay,
            "drop_path": published.drop_path,
            "warmup_share": max(recipe.warmup_share, share),
        }
        return recipe.model_copy(update=own)
