"""What estimators for scikit-learn share: images, parameters, the fit and the model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import numpy as np

from frostline.core.aliases import under_current_names
from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.core.extras import needing_extras
from frostline.core.machine import available_cores
from frostline.core.settings import ModelSettings, Settings, setting_names
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.naming import shorten
from frostline.data.sources.image_weights import read_weights
from frostline.data.sources.in_memory import Range, check_range, images_of, range_of, texts
from frostline.data.sources.number_tables import ImageShape, check_image_shape, images_of_rows
from frostline.model.model import Model
from frostline.onnx_graph.session import Embeddings
from frostline.stats.scores import score
from frostline.wording.audit import audit_notes

with needing_extras("An estimator for scikit-learn"):
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import (
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )

if TYPE_CHECKING:
    # PyTorch is loaded by a fit, never to predict
    from frostline.fitting.pipeline import FittedAll
    from frostline.integrations.given_targets import GivenTargets

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
DEFAULTS = {name: getattr(Settings, name) for name in ModelSettings.__annotations__}
#: scores that stand in an estimate, beside accuracy
_TOLD = ("mean_average_precision", "micro_f1", "macro_f1", "qwk", "mae", "r2")

Images = Sequence[Path | ImageRef]


class ImageEstimator(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Fits a pretrained network to images; what it predicts is up to its kinds.

    It transforms images into what its head reads as well.
    """

    threads: int | str
    workers: int | str
    max_pixels: int
    _defaults: ClassVar[Mapping[str, Any]] = DEFAULTS

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
        unknown = next((name for name in given if name not in self._defaults), None)
        if unknown is not None:
            raise TypeError(
                f"{type(self).__name__} takes no {unknown!r}. "
                f"{did_you_mean(unknown, self._defaults)}"
            )
        for name, value in {**self._defaults, **given}.items():
            setattr(self, name, value)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as for every estimator of scikit-learn."""
        super().set_params(**under_current_names(params))
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        # of a pickle that an earlier release wrote
        super().__setstate__({**self._defaults, **under_current_names(state, quiet=True)})

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

    def _images_to_fit(self, X: Any, y: Any) -> Images:
        """Return the images of a fit; there must be something to learn about them."""
        if y is None:
            raise InputError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        return self._images(X, reset=True)

    def _fitted(
        self,
        images: Images,
        given: GivenTargets,
        weights: FloatArray | None,
        groups: Any,
        settings: Mapping[str, Any],
    ) -> None:
        """Fit, and keep what came of it."""
        belongs = None if groups is None else texts(groups, len(images), "groups")
        source = (images, given.labels, belongs, weights)
        found = _fit(source, {**settings, "task": given.task})
        self.plan_ = found.fitted.plan
        self.model_ = found.model
        self.metrics_ = _metrics(found)
        # the model orders its classes by name, scikit-learn by value
        known = found.prepared.catalog.classes
        self._columns = [known.index(name) for name in given.names]
        self._form = given.form

    def _predicted(self, X: Any) -> FloatArray:
        """Return what the model says of images, in the order of the outputs that were given."""
        check_is_fitted(self, "model_")
        images = self._images(X, reset=False)
        if not len(images):
            raise InputError("There is no image to classify.")
        return self._model().predict_proba(images)[:, self._columns]

    def transform(self, X: Any) -> Embeddings:
        """Return what the fitted head reads of images: the features of the chosen depths.

        Pooled, side by side by depth, as they are: nothing is scaled or centred.

        Parameters
        ----------
        X : array or sequence of n images
            As for ``fit``.

        Returns
        -------
        ndarray of shape (n, d), float32
            A DataFrame after ``set_output``; ``get_feature_names_out`` names its columns.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        InputError
            For something that is no image; or if the model is an average of several networks that
            was fitted to fewer than 10 images, which has no features of its own.
        """
        check_is_fitted(self, "model_")
        images = self._images(X, reset=False)
        if not len(images):
            raise InputError("There is no image to transform.")
        return self._model(embeddings=True).transform(images)

    @property
    def _n_features_out(self) -> int:
        # what scikit-learn asks for to name the columns
        return int(self._model(embeddings=True).transform([]).shape[1])

    def _model(self, *, embeddings: bool = False) -> Model:
        cores = available_cores() if self.threads == "auto" else int(self.threads)
        workers = min(cores, 8) if self.workers == "auto" else int(self.workers)
        return self.model_.open(
            threads=_limited(cores) if self.threads == "auto" else cores,
            workers=workers,
            max_pixels=self.max_pixels,
            embeddings=embeddings,
        )

    def _settings(self) -> dict[str, Any]:
        """Parameters that are settings of a fit, under the same names, and the seed."""
        seed = _seed(self.random_state)
        own = inspect.signature(type(self).__init__).parameters
        values = {name: getattr(self, name) for name in setting_names() if name in own}
        # a grid may hold NumPy's numbers
        values = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        if values["threads"] == "auto":
            values["threads"] = _limited(available_cores())
        return values | {"seed": seed}

    def _images(self, X: Any, *, reset: bool) -> Images:
        if self.image_shape is not None:
            X = validate_data(self, X, dtype="numeric", reset=reset)
            shape = check_image_shape(self.image_shape)
            chosen = self._range(X, reset=reset)
            return images_of(images_of_rows(X, shape, pixel_range=chosen, clip=self._clips))
        chosen = self._range(X, reset=reset)
        return images_of(X, pixel_range=chosen, clip=self._clips)

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
        tags.target_tags.required = True
        # features are float32, whatever images are given as
        tags.transformer_tags.preserves_dtype = []
        return tags


def with_every_parameter(kind: type[ImageEstimator]) -> None:
    """Give a constructor the signature with every parameter by name, as scikit-learn asks."""
    constructor: Any = kind.__init__
    *own, _ = inspect.signature(constructor).parameters.values()
    by_name = inspect.Parameter.KEYWORD_ONLY
    settings = [inspect.Parameter(n, by_name, default=v) for n, v in kind._defaults.items()]
    vars(constructor)["__signature__"] = inspect.Signature([*own, *settings])


def weights_of(sample_weight: Any, images: Images) -> FloatArray | None:
    """Return one weight an image; None where all count alike."""
    if sample_weight is None:
        return None
    given = column_or_1d(sample_weight)
    check_consistent_length(images, given)
    return np.array(read_weights("sample_weight", given.tolist(), lambda i: f"image {i}"))


def _fit(source: tuple[Images, Any, Any, Any], settings: Any) -> FittedAll:
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
    inputs, fitted = found.prepared.inputs, found.fitted
    return {
        "n_train": len(found.prepared.split.train),
        "estimate": _estimate(found),
        "frozen_verified": fitted.trained.frozen_verified,
        "engine": inputs.frozen.report.engine,
        "images_computed": inputs.frozen.report.computed,
        "seconds": found.seconds,
        "notes": audit_notes(found.prepared.audit, found.prepared.catalog),
    }


def _estimate(found: FittedAll) -> dict[str, Any] | None:
    """Score training images that did not teach what judged them, where there are any."""
    problem, fitted = found.prepared.inputs.problem, found.fitted
    if not fitted.out_of_fold:
        return None
    judged, target = fitted.out_of_fold[0], problem.target
    truth, prediction = problem.labels[judged.rows], judged.probabilities
    decided = target.decide(prediction, fitted.rule)
    own: dict[str, Any] = {}
    if target.exclusive:
        scores = score(prediction, truth, seed=problem.seed, answers=decided)
        interval = list(scores.accuracy_interval)
        own = {"accuracy": scores.accuracy, "accuracy_interval": interval}
    names, groups = found.prepared.catalog.classes, problem.groups[judged.rows]
    more = target.scores(prediction, truth, names, decided=decided, groups=groups)
    told = [name for one in _TOLD for name in (one, f"{one}_interval")]
    return {
        "method": "leave-one-out"
        if fitted.plan.action.closed_form
        else "part of the training images",
        "n": len(judged.rows),
        **own,
        **{name: more[name] for name in told if name in more},
    }


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _limited(cores: int) -> int:
    """Return ``cores``, or fewer if whoever started this process says so."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(said))) if said.isdigit() else cores
