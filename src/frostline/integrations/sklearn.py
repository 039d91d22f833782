"""A scikit-learn estimator: images in, classes out, for pipelines, grids and cross-validation."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from frostline.core.aliases import under_current_names
from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.core.extras import needing_extras
from frostline.core.machine import available_cores
from frostline.core.settings import ModelSettings, Settings, setting_names
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.naming import printable, shorten
from frostline.data.sources.image_weights import read_weights
from frostline.data.sources.in_memory import Range, check_range, images_of, range_of, texts
from frostline.data.sources.number_tables import ImageShape, check_image_shape, images_of_rows
from frostline.model.model import Model
from frostline.stats.scores import score
from frostline.wording.audit import audit_notes

with needing_extras("TransferClassifier"):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        assert_all_finite,
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )

if TYPE_CHECKING:
    # PyTorch is loaded by a fit, never to predict
    from frostline.fitting.pipeline import FittedAll

#: pixel_range that is taken from the images of the fit
FIT = "fit"

#: what people give to a fit, and what there is instead
_HELD_OUT = (
    "A fit takes all images that it is given; judge it by cross_val_score, or by score(X, y) on "
    "others. frostline.fit takes parts: {'train': ..., 'val': ..., 'test': ...}."
)
_INSTEAD = {
    **dict.fromkeys(("sample_weights", "weight", "weights"), "It is called sample_weight."),
    **dict.fromkeys(
        ("eval_set", "validation_data", "validation_split", "X_val", "y_val", "X_test", "y_test"),
        _HELD_OUT,
    ),
}

#: settings that are parameters, with their defaults
_DEFAULTS = {name: getattr(Settings, name) for name in ModelSettings.__annotations__}


class TransferClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
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
        Sorted, as they were given.
    plan_ : Plan
        What was decided and carried out, with evidence and explanation.
    model_ : PackedModel
        The model's files as bytes; ``model_.save(folder)`` writes them for ``frostline predict``,
        ``serve`` or ``frostline.load``.
    metrics_ : dict
        ``n_train``; ``estimate``: accuracy with a 95 % interval on training images that did not
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

    threads: int | str
    workers: int | str
    max_pixels: int

    def __init__(
        self,
        backbone: str | Sequence[str] = Settings.backbone,
        *,
        image_shape: ImageShape | None = None,
        pixel_range: Range | str | None = None,
        random_state: int | np.random.RandomState | None = 0,
        **settings: Unpack[ModelSettings],
    ) -> None:
        self.backbone = backbone
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.random_state = random_state
        given = under_current_names(settings)
        unknown = next((name for name in given if name not in _DEFAULTS), None)
        if unknown is not None:
            raise TypeError(
                f"{type(self).__name__} takes no {unknown!r}. {did_you_mean(unknown, _DEFAULTS)}"
            )
        for name, value in {**_DEFAULTS, **given}.items():
            setattr(self, name, value)

    def set_params(self, **params: Any) -> TransferClassifier:
        """Set parameters by name, as for every estimator of scikit-learn."""
        super().set_params(**under_current_names(params))
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        # of a pickle that an earlier release wrote
        super().__setstate__({**_DEFAULTS, **under_current_names(state, quiet=True)})

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
        y : array-like of shape (n,)
            Classes: numbers or text, at least two, each with at least two images.
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
        seed = _seed(self.random_state)
        settings = self._settings() | {"seed": seed}
        images, labels = self._checked(X, y)
        weights = _weights(sample_weight, images)
        counted = labels if weights is None else labels[weights != 0]
        self.classes_ = np.unique(counted)
        # an image that does not count may be of no class that does
        codes = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        if len(self.classes_) < 2:
            raise InputError(
                f"All images belong to one class, {self.classes_[0]!r}; a classifier needs at "
                "least two classes."
            )
        names = _names(self.classes_)
        belongs = None if groups is None else texts(groups, len(images), "groups")
        found = _fit((images, [names[code] for code in codes], belongs, weights), settings)
        self.plan_ = found.fitted.plan
        self.model_ = found.model
        self.metrics_ = _metrics(found)
        # the model orders its classes by name, scikit-learn by value
        known = found.prepared.catalog.classes
        self._columns = [known.index(name) for name in names]
        return self

    def _refuse(self, unsupported: Mapping[str, Any]) -> None:
        """Say what to do instead of a keyword that a fit does not take."""
        if not unsupported:
            return
        name, parameters = next(iter(unsupported)), self.get_params(deep=False)
        hint = _INSTEAD.get(name) or did_you_mean(name, [*parameters, "groups", "sample_weight"])
        if name in parameters:
            hint = f"It is a parameter: {type(self).__name__}({name}=...)."
        raise SettingsError(
            f"fit takes no {name!r}: it takes X, y, sample_weight and groups.", hint=hint
        )

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class that is answered for every image, shape (n,).

        The likeliest, or by what ``metric`` or ``costs`` want.

        Takes and raises what :meth:`predict_proba` does.
        """
        check_is_fitted(self, "model_")
        card = self._model().card
        # the rule counts classes as the model orders them
        back = np.argsort(self._columns)
        answers = card.decide(self.predict_proba(X)[:, back])
        return np.asarray(self.classes_[back[answers]])

    def predict_proba(self, X: Any) -> FloatArray:
        """Return calibrated probabilities, shape (n, n_outputs), in the order of ``classes_``.

        Runs without PyTorch.

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
        check_is_fitted(self, "model_")
        images = self._images(X, reset=False)
        if not len(images):
            raise InputError("There is no image to classify.")
        return self._model().predict_proba(images)[:, self._columns]

    def _model(self) -> Model:
        cores = available_cores() if self.threads == "auto" else int(self.threads)
        workers = min(cores, 8) if self.workers == "auto" else int(self.workers)
        return self.model_.open(
            threads=_limited(cores) if self.threads == "auto" else cores,
            workers=workers,
            max_pixels=self.max_pixels,
        )

    def _settings(self) -> dict[str, Any]:
        """Parameters that are settings of a fit, under the same names."""
        own = inspect.signature(type(self).__init__).parameters
        values = {name: getattr(self, name) for name in setting_names() if name in own}
        # a grid may hold NumPy's numbers
        values = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        if values["threads"] == "auto":
            values["threads"] = _limited(available_cores())
        return values

    def _checked(self, X: Any, y: Any) -> tuple[Sequence[Path | ImageRef], npt.NDArray[Any]]:
        if self.image_shape is not None:
            X, y = validate_data(self, X, y, dtype="numeric", reset=True)
            images = self._images_of_table(X, reset=True)
        else:
            if y is None:
                raise InputError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None."
                )
            images = self._images(X, reset=True)
            y = column_or_1d(y, warn=True)
            check_consistent_length(images, y)
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        return images, y

    def _images(self, X: Any, *, reset: bool) -> Sequence[Path | ImageRef]:
        if self.image_shape is not None:
            X = validate_data(self, X, dtype="numeric", reset=reset)
            return self._images_of_table(X, reset=reset)
        chosen = self._range(X, reset=reset)
        return images_of(X, pixel_range=chosen, clip=self._clips)

    def _images_of_table(self, X: npt.NDArray[Any], *, reset: bool) -> Sequence[Path | ImageRef]:
        shape = check_image_shape(self.image_shape)
        chosen = self._range(X, reset=reset)
        return images_of(images_of_rows(X, shape, pixel_range=chosen, clip=self._clips))

    @property
    def _clips(self) -> bool:
        return isinstance(self.pixel_range, str)

    def _range(self, X: Any, *, reset: bool) -> Range | None:
        if self.pixel_range is None:
            return None
        if not isinstance(self.pixel_range, str):
            return check_range(self.pixel_range)
        if self.pixel_range != FIT:
            raise SettingsError(
                f"pixel_range cannot be {self.pixel_range!r}: expected two numbers, what is black "
                f"and what is white, or {FIT!r}."
            )
        if reset:
            self.pixel_range_ = range_of(X)
        return self.pixel_range_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tables = self.image_shape is not None
        tags.input_tags.two_d_array = tables
        tags.input_tags.three_d_array = not tables
        tags.input_tags.string = not tables
        return tags


def _signature() -> inspect.Signature:
    """Return the constructor's signature with every parameter by name, as scikit-learn asks."""
    *own, _ = inspect.signature(TransferClassifier.__init__).parameters.values()
    kind = inspect.Parameter.KEYWORD_ONLY
    settings = [inspect.Parameter(n, kind, default=value) for n, value in _DEFAULTS.items()]
    return inspect.Signature([*own, *settings])


vars(TransferClassifier.__init__)["__signature__"] = _signature()


def _weights(sample_weight: Any, images: Sequence[Path | ImageRef]) -> FloatArray | None:
    """Return one weight an image; None where all count alike."""
    if sample_weight is None:
        return None
    given = column_or_1d(sample_weight)
    check_consistent_length(images, given)
    return np.array(read_weights("sample_weight", given.tolist(), lambda i: f"image {i}"))


def _fit(source: tuple[Sequence[Path | ImageRef], Any, Any, Any], settings: Any) -> FittedAll:
    from frostline.fitting.pipeline import fit_all

    images = source[0]
    found = fit_all(source, **settings)
    left_out = found.prepared.catalog.unreadable
    if left_out:
        raise InputError(
            f"{len(left_out):,} of {len(images):,} images cannot be read: "
            f"{shorten([f'{u.path}: {u.reason}' for u in left_out])}.",
            hint="Leave them out of X and y.",
        )
    return found


def _metrics(found: FittedAll) -> dict[str, Any]:
    task, fitted = found.prepared.inputs, found.fitted
    estimate = None
    if fitted.out_of_fold:
        judged = fitted.out_of_fold[0]
        truth = task.problem.labels[judged.rows]
        answers = fitted.rule.decide(judged.probabilities)
        scores = score(judged.probabilities, truth, seed=task.problem.seed, answers=answers)
        closed = fitted.plan.action.closed_form
        estimate = {
            "method": "leave-one-out" if closed else "part of the training images",
            "n": scores.n,
            "accuracy": scores.accuracy,
            "accuracy_interval": list(scores.accuracy_interval),
        }
    return {
        "n_train": len(found.prepared.split.train),
        "estimate": estimate,
        "frozen_verified": fitted.trained.frozen_verified,
        "engine": task.frozen.report.engine,
        "images_computed": task.frozen.report.computed,
        "seconds": found.seconds,
        "notes": audit_notes(found.prepared.audit, found.prepared.catalog),
    }


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _limited(cores: int) -> int:
    """Return ``cores``, or fewer if whoever started this process says so."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(said))) if said.isdigit() else cores


def _names(classes: npt.NDArray[Any]) -> list[str]:
    """Return a different text for every class."""
    names = [printable(text) for text in texts(classes, len(classes), "classes")]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"class {i}" for i in range(len(names))]
