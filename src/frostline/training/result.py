"""What training hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frostline.backbones.heads.fitted_classifier import FittedClassifier
from frostline.core.actions import Action
from frostline.core.arrays import FloatArray, IntArray
from frostline.targets.protocol import Target

if TYPE_CHECKING:
    from frostline.backbones.heads.classifier import Classifier


@dataclass
class Trained:
    """A trained classifier, and what is known about it from training rows alone.

    Attributes
    ----------
    action : Action
        What was carried out.
    target : Target
        What its outputs mean.
    classifier : FittedClassifier
        Images to logits (n, C). Where layers were trained a module of PyTorch, in eval mode and on
        the CPU.
    out_of_fold_logits : ndarray of shape (k, C), float64
        Logits for images that the weights behind them were not trained on: leave-one-out or
        out-of-fold for a head, the validation part for gradient training.
    out_of_fold_rows : ndarray of shape (k,), int64
        The catalog rows that ``out_of_fold_logits`` belong to.
    frozen_verified : bool
        Fingerprints of everything frozen were equal before and after.
    history : list of dict
        One entry an epoch (``epoch`` 0 is the state before the first step): ``epoch``,
        ``stage``, ``train_loss``, ``val_nll``, ``val_accuracy``, ``learning_rate`` (of the
        head, at the last step) and ``seconds``. Losses are in nats per image.
    epochs_done : int
        0 for a closed-form head.
    best_epoch : int
        The epoch whose weights were kept.
    alpha : float or None
        Penalty of a closed-form head or of the probe that initialised the head.
    frozen, trained, new_layers : list of str
        Names of tensors of ``classifier``: those that had to stay bit-identical (running
        statistics of norm layers held in eval mode included), those that were pretrained and
        could move, and those that were added.
    notes : list of str
        What a person should know about how it went.
    members : list of Trained
        What a blend averages; empty for everything else.
    """

    action: Action
    target: Target
    classifier: FittedClassifier
    out_of_fold_logits: FloatArray
    out_of_fold_rows: IntArray
    frozen_verified: bool
    history: list[dict[str, Any]] = field(default_factory=list)
    epochs_done: int = 0
    best_epoch: int = 0
    alpha: float | None = None
    frozen: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    new_layers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    members: list[Trained] = field(default_factory=list)

    @property
    def module(self) -> Classifier:
        """The classifier as a module of PyTorch."""
        from frostline.backbones.heads.as_module import as_module

        return as_module(self.classifier)

    @property
    def frozen_leader(self) -> Trained:
        """What belongs to :attr:`FittedClassifier.frozen_leader`."""
        wanted = self.classifier.frozen_leader
        return next(one for one in (self, *self.members) if one.classifier is wanted)
