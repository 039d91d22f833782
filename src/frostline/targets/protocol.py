"""What every kind of target answers; everything else asks it instead of assuming classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy.typing as npt

from frostline.core.arrays import BoolArray, FloatArray, IntArray, Truth
from frostline.core.task import Task
from frostline.stats.balanced_gains import BalancedGains
from frostline.stats.decision_rule import LIKELIEST, DecisionRule
from frostline.stats.metrics import Metric
from frostline.stats.probe_accuracy import LeftOutFit, LOOAccuracy
from frostline.stats.score_contributions import Answered, Contributions, OutputContributions
from frostline.stats.second_stage import StageKind
from frostline.stats.sigmoids import Rescaling
from frostline.stats.stacked_head import Fit, Folds, StackedHead
from frostline.stats.target_matrix import TargetMatrix
from frostline.targets.links import Link

Weighting = Literal["none", "balanced"]
#: truth about some images, and the weights of these
Shares = tuple[Truth, FloatArray | None]


class Target(Protocol):
    """One kind of thing to predict. Stateless: it knows its outputs, no image.

    ``truth`` is always what :meth:`encode` returned for n images: classes (n,) where every image
    has exactly one, else values (n, k) with NaN for what nobody knows. ``outputs`` of shape (n, k)
    are what a model computed for them, and ``prediction`` what :meth:`link` made of that.
    """

    @property
    def task(self) -> Task:
        """The word for it in settings and files."""
        ...

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a model, k."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether every image has exactly one of the classes, so that truth is (n,)."""
        ...

    @property
    def compared(self) -> bool:
        """Whether a kernel, which compares images with each other, may help to tell."""
        ...

    @property
    def loss(self) -> str:
        """Name of the loss that gradient training lowers."""
        ...

    @property
    def link_name(self) -> Link:
        """What :meth:`link` is, for graphs that do the same."""
        ...

    def encode(self, labels: npt.ArrayLike) -> Truth:
        """Return labels as they are kept, shape (n,) or (n, k).

        Raises InputError if they are none of this target's.
        """
        ...

    def check(self, truth: Truth, names: Sequence[str], *, where: str) -> None:
        """Make sure that the truth about the images to learn from tells something.

        Raises InputError. ``names``: of the outputs. ``where``: the images, in words.
        """
        ...

    def metric(self, asked: Metric | None) -> Metric:
        """Return what predictions are to make as high as possible, where ``asked`` was named.

        None for what this target is judged by.

        Raises SettingsError if that is no metric of this target.
        """
        ...

    def matrix(self, truth: Truth) -> TargetMatrix:
        """Return what closed-form fits aim at, shape (n, k)."""
        ...

    def output_weights(self, truth: Truth, weighting: Weighting) -> FloatArray | None:
        """Return one weight an output, shape (k,); None where all images count alike."""
        ...

    def row_weights(self, truth: Truth, weights: FloatArray | None) -> FloatArray | None:
        """Return one weight an image out of :meth:`output_weights`."""
        ...

    def link(self, outputs: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
        """Turn outputs into predictions of shape (n, k)."""
        ...

    def units(self, truth: Truth) -> Rescaling | None:
        """Return what turns numbers of mean 0 and spread 1 into those of the truth.

        Layers train on the former. None where truth has no unit.
        """
        ...

    def calibrate(
        self, outputs: npt.ArrayLike, truth: npt.ArrayLike, weights: FloatArray | None = None
    ) -> float:
        """Return the temperature that suits held-out images best; ``weights``: of each, (n,)."""
        ...

    def rescaling(
        self, outputs: npt.ArrayLike, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        """Return what a head's outputs need before :meth:`link`, by held-out images.

        It becomes part of the head. None where closed-form outputs are linked as they are.
        """
        ...

    def contributions(
        self, outputs: FloatArray, truth: Truth, rescaling: Rescaling | None
    ) -> FloatArray | BoolArray:
        """Return what outputs contribute to the score of each image, shape (n,).

        ``rescaling``: of the fit behind them, as :meth:`rescaling` gives it.
        """
        ...

    def stage(self, asked: StageKind) -> StageKind:
        """Return which correction a head gets where a plan names one."""
        ...

    def stages(self) -> Sequence[StageKind]:
        """Return the corrections that a stacked head may choose from, the simplest first."""
        ...

    def stacked_head(
        self,
        fits: Sequence[Fit],
        columns: Sequence[slice],
        truth: Truth,
        folds: Folds,
        *,
        prior: FloatArray,
        groups: IntArray,
        weights: FloatArray | None = None,
        kinds: Sequence[StageKind] | None = None,
    ) -> StackedHead:
        """Add up fits, see :func:`frostline.stats.stacked_head.stacked_head`."""
        ...

    def rule(
        self, metric: Metric, prediction: FloatArray, truth: Truth, shares: Shares
    ) -> DecisionRule:
        """Return how decisions follow from predictions, by those for images that did not teach.

        ``shares``: what the fit learned from, and how much each image of it weighed.
        """
        ...

    def touch_up(
        self, logits: FloatArray, truth: Truth, weights: FloatArray | None = None
    ) -> Rescaling | None:
        """Return what trained logits need, by held-out images; None where a temperature does.

        Outputs of which these images tell little stay as they are.
        """
        ...

    def decide(self, prediction: FloatArray, rule: DecisionRule = LIKELIEST) -> Truth:
        """Return what a prediction comes down to, encoded as the truth is."""
        ...

    def right(self, prediction: FloatArray, truth: Truth) -> BoolArray:
        """Return which images are predicted rightly, shape (n,)."""
        ...

    def agrees(self, decided: Truth, truth: Truth) -> BoolArray:
        """Return for which images a decision is the truth, shape (n,)."""
        ...

    def certainty(self, prediction: FloatArray, truth: Truth) -> FloatArray:
        """Return how likely the prediction makes the truth, shape (n,), in [0, 1]."""
        ...

    def accuracy(self, prediction: FloatArray, truth: Truth) -> float:
        """Return what people know this kind by, 1 at best: accuracy, mean precision, R2.

        ``prediction``: outputs do as well.
        """
        ...

    def left_out_scores(
        self, fit: LeftOutFit, truth: Truth, groups: npt.ArrayLike | None = None
    ) -> LOOAccuracy:
        """Score the leave-out outputs of a fit by what people know this kind by."""
        ...

    def counts(self, truth: Truth) -> IntArray:
        """Return how many images each output has something to learn from, shape (k,)."""
        ...

    def strata(self, truth: Truth) -> IntArray:
        """Return numbers of shape (n,); samples keep the share of each."""
        ...

    def said(self, truth: Truth, names: Sequence[str]) -> list[str]:
        """Return what is true of each image, or was decided, as text; unknown is ``?``."""
        ...

    def in_words(self, truth: Truth, names: Sequence[str]) -> list[str]:
        """Return the same for people, who do not know the order of the outputs."""
        ...

    def read(self, said: Sequence[str], names: Sequence[str]) -> Truth:
        """Return what :meth:`said` has said, encoded; -1 or NaN for any other text."""
        ...

    def labels_of(self, decided: Truth, names: Sequence[str]) -> list[tuple[str, ...]] | None:
        """Return the labels of each image; None where it has one class, or numbers."""
        ...

    def sureness(self, prediction: FloatArray, decided: Truth) -> FloatArray | None:
        """Return how sure each decision is, shape (n,); None where that is no probability."""
        ...

    def scores(
        self,
        prediction: FloatArray,
        truth: Truth,
        names: Sequence[str],
        *,
        decided: Truth,
        groups: IntArray,
    ) -> dict[str, Any]:
        """Return what this kind is scored by beside accuracy, as JSON types by name."""
        ...

    def contradicting(self, truth: Truth, copies: Sequence[Sequence[int]]) -> list[bool]:
        """Return which sets of copies of one image cannot all be right about it.

        ``copies``: rows of the truth, one list a set. What is unknown contradicts nothing.
        """
        ...

    def split_by(self, truth: Truth) -> Truth:
        """Return what splits spread evenly: numbers (n,), or labels (n, m) of 0, 1 and NaN."""
        ...

    def chance(self, truth: Truth) -> float:
        """Return what the best guess without an image reaches."""
        ...

    def comparable(self, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        """Return the outputs by which models with these and those outputs can be compared.

        Raises InputError if there are none.
        """
        ...

    def score_contributions(self, answered: Answered, truth: Truth) -> list[Contributions]:
        """Return what images contribute to every score there is; the one that counts first."""
        ...

    def output_contributions(
        self, answered: Answered, truth: Truth, names: Sequence[str]
    ) -> list[OutputContributions]:
        """Return the same of every output, with a score that suits one of them."""
        ...

    def image_contributions(self, answered: Answered, truth: Truth) -> Contributions:
        """Return a score that every image has for itself, so that any of them can be averaged."""
        ...

    def balanced_gains(
        self, outputs: FloatArray, truth: Truth, shares: FloatArray
    ) -> BalancedGains:
        """Judge outputs of a closed-form fit so that all classes, or both answers, count alike.

        ``shares``, shape (k,) or (n, k): of each output among the images that the fit learned from.
        """
        ...
