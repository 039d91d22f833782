"""Estimators for scikit-learn: images in, classes, labels or numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError
from frostline.core.extras import needing_extras
from frostline.core.settings import ModelSettings, Settings
from frostline.core.task import TaskSetting
from frostline.data.sources.in_memory import Range
from frostline.data.sources.number_tables import ImageShape
from frostline.integrations.given_targets import Form, classes_given, marks_of, numbers_given
from frostline.integrations.image_estimator import (
    DEFAULTS,
    ImageEstimator,
    weights_of,
    with_every_parameter,
)

with needing_extras("An estimator for scikit-learn"):
    from sklearn.base import ClassifierMixin, RegressorMixin
    from sklearn.utils.validation import check_is_fitted

#: settings that are for classes alone
_OF_CLASSES = ("metric", "costs", "at_most_wrong", "label_smoothing", "class_weight")


class TransferClassifier(ClassifierMixin, ImageEstimator):  # type: ignore[misc]
    """Classify images with a pretrained network, fitted as ``frostline fit`` does.

    Fits to all images that it is given and holds none out: judge it by ``cross_val_score`` or on
    images of your own. Frozen features are stored by content, so fits of a grid search on the
    same images compute them once.

    ``X`` is an array of shape (n, H, W, 3), (n, H, W, 1) or (n, H, W), uint8; or a sequence of
    paths, Pillow images or arrays, of any sizes. Whatever would have to be guessed is refused:
    floats without a ``pixel_range``, channels first, tables of numbers without an
    ``image_shape``, generators.

    Parameters
    ----------
    backbone : str or list of str, default="efficientnet_lite0"
        Any name that ``frostline models`` lists; several are compared.
    task : {"auto", "single", "multilabel", "ordinal"}, default="auto"
        What ``y`` says. "auto": several labels an image where ``y`` is a matrix of 0 and 1 or
        holds lists, else one class. "ordinal": grades, which are numbers, or names whose order is
        evident, or ordered categories of pandas.
    image_shape : (H, W), (H, W, 3), "tiles" or None, default=None
        Accept tables (n, d) of numbers: each row is an image of this shape, flattened; or, with
        "tiles", a picture with a grey tile for every number. None refuses tables.
    pixel_range : (float, float), "fit" or None, default=None
        What is black and what is white in arrays, such as ``(0, 1)``; values outside are
        refused. "fit" takes the lowest and the highest value of the fit, and clips later ones.
        None accepts uint8 alone.
    random_state : int, RandomState instance or None, default=0
        Same number, same result.
    **settings
        Every setting of a fit that is about the model and the machine, with the same default and
        meaning: ``strategy``, ``effort``, ``epochs``, ``class_weight`` ...; see :class:`Settings`.
        ``threads="auto"`` takes the cores, or what ``OMP_NUM_THREADS`` says, as joblib sets it for
        its workers.

    Attributes
    ----------
    classes_ : ndarray of shape (n_outputs,)
        Sorted, as they were given; of a matrix its columns: their names in a DataFrame, else their
        positions.
    plan_ : Plan
        What was decided and carried out, with evidence and explanation.
    model_ : PackedModel
        The model's files as bytes; ``model_.save(folder)`` writes them for ``frostline predict``,
        ``serve`` or ``frostline.load``.
    metrics_ : dict
        ``n_train``; ``estimate``: accuracy, for several labels mean average precision and F1, for
        grades QWK and MAE as well, with 95 % intervals, on training images that did not
        teach the weights that judged them (``method`` says how), or None where there are none.
        The plan was chosen by such scores, so it is a little too good; then ``frozen_verified``,
        ``engine``, ``images_computed`` (0: all came from the store), ``seconds`` by phase, and
        ``notes`` on what was noticed among images and classes.
    n_features_in_ : int
        Columns of the table, where tables are accepted.
    pixel_range_ : (float, float)
        With ``pixel_range="fit"``.

    Examples
    --------
    >>> from frostline import TransferClassifier
    >>> classifier = TransferClassifier(effort="fast")
    >>> classifier.fit(images, labels).predict(more_images)  # doctest: +SKIP
    """

    _form: Form

    def __init__(
        self,
        backbone: str | Sequence[str] = Settings.backbone,
        *,
        task: TaskSetting = "auto",
        image_shape: ImageShape | None = None,
        pixel_range: Range | str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        **settings: Unpack[ModelSettings],
    ) -> None:
        self.task = task
        super().__init__(
            backbone,
            image_shape=image_shape,
            pixel_range=pixel_range,
            random_state=random_state,
            **settings,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickles of earlier releases are of one class an image
        super().__setstate__({"task": "auto", "_form": "one", **state})

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        **unsupported: Any,
    ) -> TransferClassifier:
        """Fit to all images.

        Parameters
        ----------
        X : array or sequence of n images
        y : array-like of shape (n,) or (n, n_outputs), or sequence of n lists
            Classes or grades: numbers or text, at least two, each with at least two images.
            Several labels: a matrix of 0 and 1, with NaN where it is not known, or a list, tuple
            or set of labels for every image, perhaps empty; None where nothing is known of it.
        sample_weight : array-like of shape (n,) or None, default=None
            How much each image counts in the fit and in all choices, at least 0; one with 0 is no
            image. None counts all alike.
        groups : array-like of shape (n,) or None, default=None
            Images of one group are never split apart where training holds images out.
        **unsupported
            Refused, with what to do instead: a parameter of the estimator, say.

        Returns
        -------
        TransferClassifier
            Itself.

        Raises
        ------
        InputError (a ValueError)
            If something is no image or cannot be read, there are too few, or a weight is no
            finite number of at least 0.
        SettingsError (a ValueError)
            If a parameter is out of range, or at odds with another one.
        """
        self._refuse(unsupported)
        settings = self._settings()
        images = self._images_to_fit(X, y)
        weights = weights_of(sample_weight, images)
        given = classes_given(y, images, weights, task=self.task)
        self.classes_ = given.classes
        self._dtype = given.dtype
        self._fitted(images, given, weights, groups, settings)
        return self

    def predict(self, X: Any) -> Any:
        """Return what is answered for every image.

        Takes and raises what :meth:`predict_proba` does.

        Returns
        -------
        ndarray of shape (n,), ndarray of shape (n, n_outputs), or list of n lists
            The likeliest class, or by what ``metric`` or ``costs`` want. Of several labels those
            that reach their thresholds, as a matrix of 0 and 1 or as lists, whichever the fit was
            given.
        """
        decided = self._decided(X)
        if self._form == "one":
            # the rule counts classes as the model orders them
            return np.asarray(self.classes_[np.argsort(self._columns)[decided.astype(np.int64)]])
        if self._form == "matrix":
            return decided.astype(self._dtype)
        return [self.classes_[row > 0].tolist() for row in decided]

    def _decided(self, X: Any) -> npt.NDArray[Any]:
        """Return classes (n,) as the model counts them, or labels (n, k) as they were given."""
        check_is_fitted(self, "model_")
        card, back = self._model().card, np.argsort(self._columns)
        found = card.decide(self._predicted(X)[:, back])
        return found if found.ndim == 1 else found[:, self._columns]

    def predict_proba(self, X: Any) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_outputs), in the order of ``classes_``.

        Of several labels each has a probability of its own, so that rows do not sum to 1. Runs
        without PyTorch.

        Parameters
        ----------
        X : array or sequence of n images

        Raises
        ------
        InputError (a ValueError)
            If something is no image.
        UnreadableImageError (a ValueError)
            For the first image that cannot be decoded.
        """
        return self._predicted(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of images that are answered rightly.

        Of several labels all must be right; what is unknown in ``y`` is left out.

        Takes and raises what :meth:`predict_proba` does.
        """
        if getattr(self, "_form", "one") == "one":
            return float(super().score(X, y, sample_weight))
        decided = self._decided(X)
        truth = marks_of(y, self.classes_, self._form)
        if len(truth) != len(decided):
            raise InputError(f"There are {len(decided):,} images, but {len(truth):,} rows of y.")
        right = ((decided == truth) | np.isnan(truth)).all(axis=1)
        return float(np.average(right, weights=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TransferRegressor(RegressorMixin, ImageEstimator):  # type: ignore[misc]
    """Predict numbers of images with a pretrained network, fitted as ``frostline fit`` does.

    Takes the same images as :class:`TransferClassifier`, under the same rules, and has the same
    parameters but for ``task`` and those that are for classes alone: ``metric``, ``costs``,
    ``at_most_wrong``, ``label_smoothing`` and ``class_weight``. ``score`` is R2.

    Parameters
    ----------
    backbone : str or list of str, default="efficientnet_lite0"
        Any name that ``frostline models`` lists; several are compared.
    image_shape : (H, W), (H, W, 3), "tiles" or None, default=None
        Accept tables (n, d) of numbers, see :class:`TransferClassifier`.
    pixel_range : (float, float), "fit" or None, default=None
        What is black and what is white in arrays.
    random_state : int, RandomState instance or None, default=0
        Same number, same result.
    **settings
        Every other setting of a fit that is about the model and the machine.

    Attributes
    ----------
    plan_, model_, metrics_, n_features_in_, pixel_range_
        As of :class:`TransferClassifier`; ``metrics_["estimate"]`` has ``r2`` and ``mae``.

    Examples
    --------
    >>> from frostline import TransferRegressor
    >>> regressor = TransferRegressor(effort="fast")
    >>> regressor.fit(images, angles).predict(more_images)  # doctest: +SKIP
    """

    _defaults: ClassVar[Mapping[str, Any]] = {
        name: value for name, value in DEFAULTS.items() if name not in _OF_CLASSES
    }

    def __init__(
        self,
        backbone: str | Sequence[str] = Settings.backbone,
        *,
        image_shape: ImageShape | None = None,
        pixel_range: Range | str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        **settings: Unpack[ModelSettings],
    ) -> None:
        super().__init__(
            backbone,
            image_shape=image_shape,
            pixel_range=pixel_range,
            random_state=random_state,
            **settings,
        )

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        **unsupported: Any,
    ) -> TransferRegressor:
        """Fit to all images.

        Parameters
        ----------
        X : array or sequence of n images
        y : array-like of shape (n,) or (n, n_outputs)
            Numbers; among several columns NaN where one is not known.
        sample_weight, groups, **unsupported
            As for :meth:`TransferClassifier.fit`.

        Returns
        -------
        TransferRegressor
            Itself.

        Raises
        ------
        InputError (a ValueError)
            If something is no image or cannot be read, a column is constant, or there are too few.
        SettingsError (a ValueError)
            If a parameter is out of range, or at odds with another one.
        """
        self._refuse(unsupported)
        settings = self._settings()
        images = self._images_to_fit(X, y)
        if len(images) < 2:
            raise InputError("There is only one sample; numbers are learned from at least two.")
        given = numbers_given(y, images)
        self._fitted(images, given, weights_of(sample_weight, images), groups, settings)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the numbers of every image, float64 of the shape that ``y`` had.

        Takes and raises what :meth:`TransferClassifier.predict_proba` does.
        """
        found = self._predicted(X)
        return found[:, 0] if self._form == "one" else found

    def predict_interval(self, X: Any) -> tuple[FloatArray, FloatArray]:
        """Return the numbers of every image, and intervals that hold the true ones of 90 %.

        The level is that of new images on average, for each column by itself
        (:mod:`frostline.stats.number_intervals`). Takes and raises what
        :meth:`TransferClassifier.predict_proba` does.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            What :meth:`predict` returns.
        ndarray of shape (n, 2) or (n, 2, n_outputs)
            Lower and upper ends, as MAPIE returns them; NaN for a column with fewer than 9 cases
            that say how far off it is.

        Raises
        ------
        InputError (a ValueError)
            If the model knows no intervals: it was made by an earlier version, or no image was
            left out of its training.
        """
        numbers = self.predict(X)
        intervals = self._model().card.intervals
        if intervals is None:
            raise InputError(
                "The model does not know how far off its numbers are.",
                hint="Fit it again with this version.",
            )
        reach = intervals.reach[self._columns]
        ends = np.stack([numbers.reshape(len(numbers), -1) + way * reach for way in (-1, 1)], 1)
        return numbers, ends[:, :, 0] if self._form == "one" else ends

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


with_every_parameter(TransferClassifier)
with_every_parameter(TransferRegressor)
