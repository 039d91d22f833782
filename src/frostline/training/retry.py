"""A training that learned nothing runs once more, a tenth as fast.

A rate that is too high can silence the last rectified layer in a few steps. Then nothing moves any
more, and the classifier names the shares of the classes whatever it sees.
"""

from __future__ import annotations

import numpy as np

from frostline.core.actions import LayerTraining, Recipe
from frostline.core.arrays import FloatArray, Truth
from frostline.training.losses import judged_loss, mean_nll, uninformed
from frostline.training.result import Trained
from frostline.training.train_val_split import TrainValSplit

SLOWER = 0.1
#: who names the shares of the classes has a loss of 1, in these units
_NOTHING = 0.97
#: fewer epochs say nothing: they may just be too few
_ENOUGH_EPOCHS = 5


def made_no_progress(trained: Trained, recipe: Recipe, parts: TrainValSplit) -> bool:
    """Whether neither training nor validation loss ever fell below that of naming shares.

    ``trained``: by gradients. ``recipe``: how it was trained. ``parts``: what it was trained on.
    """
    losses = [e["train_loss"] for e in trained.history if e["train_loss"] is not None]
    if len(losses) < _ENOUGH_EPOCHS:
        return False
    target, truth = parts.target, parts.train_labels
    if not target.exclusive:
        return _no_better_than_means(trained, min(losses), parts)
    weights = target.output_weights(truth, recipe.class_weights)
    shares = target.matrix(truth).weighted_sum(
        np.ones(len(truth)) if parts.train_weights is None else parts.train_weights
    )
    if weights is not None:
        shares *= weights
    shares /= shares.sum()
    if min(losses) <= _NOTHING * _entropy(shares):
        return False
    if not len(parts.validation):
        return True
    named = np.tile(np.log(np.maximum(shares, 1e-12)), (len(parts.validation), 1))
    return _best(trained) > _NOTHING * mean_nll(
        named, parts.validation_labels, weights, parts.validation_weights
    )


def _no_better_than_means(trained: Trained, lowest: float, parts: TrainValSplit) -> bool:
    """The same for several labels or numbers: no better than their shares or means."""
    loss, truth = parts.target.loss, parts.train_labels
    named = uninformed(loss, truth, parts.train_weights)

    def of_named(truth: Truth, weights: FloatArray | None) -> float:
        return judged_loss(loss, np.tile(named, (len(truth), 1)), truth, by_image=weights)

    if lowest <= _NOTHING * of_named(truth, parts.train_weights):
        return False
    if not len(parts.validation):
        return True
    return _best(trained) > _NOTHING * of_named(parts.validation_labels, parts.validation_weights)


def slower(action: LayerTraining) -> LayerTraining:
    """Return the action with a tenth of its rates."""
    rates = {
        name: SLOWER * getattr(action.recipe, name)
        for name in ("learning_rate", "head_learning_rate")
    }
    return action.model_copy(update={"recipe": action.recipe.model_copy(update=rates)})


def better(first: Trained, second: Trained, *, rate: float) -> Trained:
    """Return the one with the lower loss, with a note on the first one's rate."""
    chosen = second if _best(second) < _best(first) else first
    helped = "which helped" if chosen is second else "which did not help"
    chosen.notes.append(
        f"With a rate of {rate:g} the training learned nothing, so it ran again with "
        f"{SLOWER * rate:g}, {helped}."
    )
    return chosen


def _best(trained: Trained) -> float:
    """The lowest loss on validation images; of the last epoch in training, where there are none."""
    found = [e["val_nll"] for e in trained.history if e["val_nll"] is not None]
    if found:
        return float(min(found))
    losses = [e["train_loss"] for e in trained.history if e["train_loss"] is not None]
    return float(losses[-1])


def _entropy(shares: FloatArray) -> float:
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())
