"""The epochs: steps, validation, the best state so far, early stopping, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from frostline.backbones.freeze.param_groups import optimizer_state, restore_optimizer
from frostline.compute.engines.torch_runtime import Compute
from frostline.core.actions import Recipe
from frostline.core.arrays import FloatArray
from frostline.core.rng import keyed_number
from frostline.core.runtime import Runtime
from frostline.training.assembly import Assembly, TrainableSuffix
from frostline.training.checkpoints import Checkpoints, TrainingState
from frostline.training.loaders import Batches
from frostline.training.losses import judged_loss, training_loss
from frostline.training.mixing import Mixed, mixed
from frostline.training.schedule import rate_factor, set_rates, warmup_steps
from frostline.training.train_val_split import TrainValSplit

#: gradients are scaled down to this norm
MAX_GRADIENT = 1.0

#: how far from the start to the trained weights an interpolation may end
_SHARES = (0.25, 0.5, 0.75)

# the name under which the best epoch's validation logits lie among its tensors
_LOGITS = "validation logits"


@dataclass(frozen=True)
class Stage:
    """Epochs with one set of trainable layers and one source of batches.

    - ``label``: what the progress bar says.
    - ``name``: what the history says.
    - ``patience``: epochs without a better one after which the stage ends.
    - ``above``: from those batches to logits.
    - ``groups``: optimiser groups.
    - ``earlier``, ``later``: epochs of other stages that share its learning rate's course; with
      earlier ones it goes on from their last state and optimiser, not from the best state.
    - ``enter``: called before its first epoch, with the weights that it starts from in place.
    """

    label: str
    name: str
    epochs: int
    patience: int
    batches: Batches
    above: TrainableSuffix
    groups: list[dict[str, Any]]
    earlier: int = 0
    later: int = 0
    enter: Callable[[], None] | None = None

    @property
    def steps(self) -> int:
        """Steps of the learning rate's course."""
        return (self.earlier + self.epochs + self.later) * self.batches.steps


class Loop:
    """Runs stages of epochs on one assembly.

    Parameters
    ----------
    weights : array of shape (C,) or None
        Class weights.
    state : TrainingState
        A fresh one, or where an earlier run stopped.
    """

    def __init__(
        self,
        assembly: Assembly,
        parts: TrainValSplit,
        recipe: Recipe,
        *,
        weights: FloatArray | None,
        seed: int,
        compute: Compute,
        checkpoints: Checkpoints | None,
        state: TrainingState,
    ) -> None:
        self._assembly = assembly
        self._parts = parts
        self._recipe = recipe
        self._weights = weights
        self._seed = seed
        self._compute = compute
        self._checkpoints = checkpoints
        self.state = state
        # taken before the first step; an earlier run is resumed from the same pretrained weights
        self._pretrained = (
            {
                name: parameter.detach().clone()
                for name, parameter in assembly.classifier.named_parameters()
                if name.startswith("kept.") and parameter.requires_grad
            }
            if recipe.anchor
            else {}
        )
        self._loss = training_loss(
            parts.target.loss,
            weights,
            label_smoothing=recipe.label_smoothing,
            device=compute.device,
        )

    def begin(self, stage: Stage) -> None:
        """Judge the state before the first step; it is the first candidate for the best."""
        start = time.perf_counter()
        self._judge(stage, train_loss=None, rate=None, start=start)
        if self._recipe.interpolate:
            self.state.start = dict(self.state.last)
        self._save(optimizer=None)

    def run(self, stages: Sequence[Stage], runtime: Runtime) -> None:
        """Run all epochs that are left, then put the best epoch's weights back."""
        first = 1
        for number, stage in enumerate(stages):
            if number >= self.state.stage and not self.state.finished:
                self._run_stage(number, stage, first, runtime)
            first += stage.epochs
        if self._recipe.interpolate and not self.state.finished:
            # what runs on stored activations does not see the layers below change
            self._interpolate(next(stage for stage in reversed(stages) if not stage.earlier))
        self.state.finished = True
        self._assembly.load_state(self.state.best)
        self._save(optimizer=None)

    def _interpolate(self, stage: Stage) -> None:
        """Keep the best point on the line from the start to the best epoch, if it is better."""
        if not len(self._parts.validation_labels) or self.state.best_epoch == 0:
            return
        start, end = self.state.start, self.state.best
        kept = None
        for share in _SHARES:
            point = {
                name: torch.lerp(start[name], end[name], share)
                if end[name].is_floating_point()
                else end[name]
                for name in start
            }
            self._assembly.load_state(point)
            logits = self._validation_logits(stage)
            nll = self._validation_nll(logits)
            if nll is not None and self.state.best_nll is not None and nll < self.state.best_nll:
                self.state.best_nll = nll
                self.state.best = {**point, _LOGITS: torch.from_numpy(logits)}
                kept = share
        if kept is not None:
            self.state.notes.append(
                f"The model lies {kept:.0%} of the way from the start to the trained weights."
            )

    @property
    def best_logits(self) -> FloatArray:
        """Validation logits of the best epoch, shape (m, C)."""
        logits: FloatArray = self.state.best[_LOGITS].double().cpu().numpy()
        return logits

    def _run_stage(self, number: int, stage: Stage, first: int, runtime: Runtime) -> None:
        """Run the epochs ``first`` to ``first + stage.epochs - 1``, or those that are left."""
        state = self.state
        optimizer = torch.optim.AdamW(stage.groups)
        begins = state.stage < number
        if begins:
            state.stage, state.epoch = number, first - 1
        if begins and not stage.earlier:
            # training starts from the best there is
            self._assembly.load_state(state.best)
        else:
            self._assembly.load_state(state.last)
            restore_optimizer(optimizer, state.optimizer)
        if stage.enter is not None:
            stage.enter()
        steps = stage.batches.steps
        with runtime.progress.task(stage.label, stage.epochs * steps) as bar:

            def step_done() -> None:
                bar.advance()
                runtime.cancel.check()

            bar.advance((state.epoch - first + 1) * steps)
            while state.epoch < first + stage.epochs - 1:
                if state.epoch - max(state.best_epoch, first - 1) >= stage.patience:
                    break
                if not self._run_epoch(stage, optimizer, state.epoch - first + 1, step_done):
                    break
                self._save(optimizer)

    def _run_epoch(
        self,
        stage: Stage,
        optimizer: torch.optim.Optimizer,
        done: int,
        step_done: Callable[[], None],
    ) -> bool:
        """Train and judge one epoch; return whether the loss stayed finite."""
        state = self.state
        start = time.perf_counter()
        epoch = state.epoch + 1
        total = stage.steps
        warmup = warmup_steps(total, self._recipe.warmup_share)
        torch.manual_seed(keyed_number("dropout", self._seed, epoch))
        self._assembly.classifier.train()
        stage.above.train()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        loss_sum, seen, factor = 0.0, 0, 1.0
        step = (stage.earlier + done) * stage.batches.steps
        for inputs, labels in stage.batches.training(epoch):
            factor = rate_factor(step, total=total, warmup=warmup)
            set_rates(optimizer, factor)
            batch = mixed(inputs, labels, self._recipe, seed=self._seed, epoch=epoch, step=step)
            loss = self._step(stage.above, batch, parameters, optimizer)
            loss_sum += loss * len(labels)
            seen += len(labels)
            step += 1
            step_done()
            if not math.isfinite(loss):
                state.notes.append(
                    f"Training was stopped in epoch {epoch}: its loss was not finite. "
                    "A smaller learning rate may help."
                )
                self._assembly.load_state(state.last)
                return False
        state.epoch = epoch
        rate = max(group["full_lr"] for group in optimizer.param_groups) * factor
        self._judge(stage, train_loss=loss_sum / seen, rate=rate, start=start)
        return True

    def _step(
        self,
        above: nn.Module,
        batch: Mixed,
        parameters: list[nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> float:
        with self._compute.autocast():
            logits = above(batch.inputs)
        loss = batch.loss(self._loss, logits.float())
        value = float(loss.detach())
        if not math.isfinite(value):
            return value
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
        optimizer.step()
        if self._recipe.anchor:
            self._pull_back(optimizer)
        return value

    def _pull_back(self, optimizer: torch.optim.Optimizer) -> None:
        """Move pretrained layers a little towards where they began."""
        with torch.no_grad():
            for group in optimizer.param_groups:
                share = min(1.0, group["lr"] * self._recipe.anchor)
                for name, parameter in zip(group["param_names"], group["params"], strict=True):
                    start = self._pretrained.get(name)
                    if start is not None:
                        parameter.lerp_(start, share)

    def _judge(
        self, stage: Stage, *, train_loss: float | None, rate: float | None, start: float
    ) -> None:
        """Validate the current weights, note them in the history, keep them if they are best."""
        state, labels = self.state, self._parts.validation_labels
        logits = self._validation_logits(stage)
        nll = accuracy = None
        if len(labels):
            nll = self._validation_nll(logits)
            accuracy = self._parts.target.accuracy(logits, labels)
        state.last = _copies(self._assembly.changing())
        state.history.append(
            {
                "epoch": state.epoch,
                "stage": stage.name if train_loss is not None else "start",
                "train_loss": train_loss,
                "val_nll": nll,
                "val_accuracy": accuracy,
                "learning_rate": rate,
                "seconds": time.perf_counter() - start,
            }
        )
        better = nll is not None and (state.best_nll is None or nll < state.best_nll)
        if better or not len(labels) or not state.best:
            state.best_epoch, state.best_nll = state.epoch, nll
            state.best = {**state.last, _LOGITS: torch.from_numpy(logits)}

    def _validation_logits(self, stage: Stage) -> FloatArray:
        self._assembly.classifier.eval()
        stage.above.eval()
        found = [np.zeros((0, self._parts.target.n_outputs))]
        with torch.no_grad():
            for inputs in stage.batches.validation():
                with self._compute.autocast():
                    logits = stage.above(inputs)
                found.append(logits.double().cpu().numpy())
        return np.concatenate(found)

    def _validation_nll(self, logits: FloatArray) -> float | None:
        """Negative log-likelihood at the best temperature; None if it is not finite.

        A classifier gets its temperature after training, so confidence that this undoes must
        not decide which epoch is best.
        """
        if not np.isfinite(logits).all():
            return None
        labels = self._parts.validation_labels
        by_image = self._parts.validation_weights
        temperature = self._parts.target.calibrate(logits, labels, by_image)
        loss = self._parts.target.loss
        nll = judged_loss(loss, logits / temperature, labels, self._weights, by_image)
        return nll if math.isfinite(nll) else None

    def _save(self, optimizer: torch.optim.Optimizer | None) -> None:
        self.state.optimizer = {} if optimizer is None else optimizer_state(optimizer)
        if self._checkpoints is not None:
            self._checkpoints.save(self.state)


def _copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
