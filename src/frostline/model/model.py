"""Predict with a saved model; needs NumPy, Pillow and ONNX Runtime, never PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from frostline.core.arrays import FloatArray
from frostline.core.errors import EngineError, InputError, RunFolderError, UnreadableImageError
from frostline.core.machine import available_cores
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import UInt8Array
from frostline.core.settings import Settings
from frostline.data.decoding.read_ahead import read_in_order
from frostline.model.inputs import ImageLike, as_sequence, name_of, to_rgb
from frostline.model.onnx_file import is_onnx_file, open_onnx_file, read_model
from frostline.model.sessions import Sessions
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import ONNX, checked_file, find_model_folder, load_card
from frostline.onnx_graph.checks import check_ends, check_graph, may_need_others
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.session import Answers, answers

Probabilities = FloatArray

# enough to keep two cores busy, few enough for little memory
_BATCH = 16


class _Options(TypedDict):
    """What :meth:`Model.load` was asked for; None leaves the choice to the machine."""

    threads: int | None
    workers: int | None
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes
    ----------
    name : str
        The image's path as given, or ``"image 3"`` by its place when it had none.
    label : str
        The class that is answered: the likeliest, or the one that the model's rule names.
    confidence : float
        Its probability, in [0, 1].
    probabilities : ndarray of shape (C,), float64
        For all classes, in the model's order.
    classes : tuple of str
    unfamiliarity : float or None
        How unlike the images of training it is, from 0 to 1000: 95 % of images like those stay at
        or below 1. None for a model that does not tell.
    """

    name: str
    label: str
    confidence: float
    probabilities: Probabilities
    classes: tuple[str, ...]
    unfamiliarity: float | None = None

    @property
    def unknown(self) -> bool | None:
        """Whether the image is unlike everything in training; None where the model does not tell.

        Then the label is the nearest of the known classes, and its probability means nothing.
        """
        return None if self.unfamiliarity is None else self.unfamiliarity > 1.0

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the ``k`` likeliest classes with their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(0, k)]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


class Model:
    """A fitted classifier. Made by :meth:`load`.

    Images are decoded and prepared exactly as in training, then run through ``model.onnx``.
    One model may be used by several threads at once.

    Attributes
    ----------
    card : ModelCard
    classes : tuple of str
        In the order of the columns of :meth:`predict_proba`.
    folder : Path
        The model folder, or the exported file.
    """

    def __init__(
        self,
        folder: Path,
        card: ModelCard,
        *,
        threads: int,
        workers: int,
        max_pixels: int,
        session: Any = None,
    ) -> None:
        self.folder = folder
        self.card = card
        self.classes = card.classes
        self._file = (
            folder if session is not None else checked_file(folder, ONNX, card.fingerprints.onnx)
        )
        self._threads, self._workers, self._max_pixels = threads, workers, max_pixels
        self._sessions = Sessions(self._open, session)
        self._asked: _Options = {"threads": threads, "workers": workers, "max_pixels": max_pixels}

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        threads: int | None = None,
        workers: int | None = None,
        max_pixels: int = Settings.max_pixels,
    ) -> Model:
        """Load the model of a run folder, a model folder itself, or an exported ONNX file.

        Parameters
        ----------
        folder : str or Path
        threads : int or None, default=None
            Threads that compute; every core this process may use when None.
        workers : int or None, default=None
            Threads that decode images; 0 decodes in the calling thread, None takes the cores.
        max_pixels : int, default=100_000_000
            Larger images count as unreadable.

        Raises
        ------
        RunFolderError
            If there is no finished model, or one of its files is damaged.
        InputError
            If an ONNX file is missing, damaged or none that Frostline exported.
        """
        path, cores = Path(folder), available_cores()
        asked: _Options = {"threads": threads, "workers": workers, "max_pixels": max_pixels}
        threads = threads or cores
        session = None
        if is_onnx_file(path):
            opened = open_onnx_file(path, threads=threads)
            found, card, session = path, opened.card, opened.session
        else:
            found = find_model_folder(path)
            card = load_card(found)
        model = cls(
            found,
            card,
            threads=threads,
            workers=min(cores, 8) if workers is None else workers,
            max_pixels=max_pixels,
            session=session,
        )
        model._asked = asked
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy, pickle and send a model as its place and the options it was loaded with."""
        # the other process may work elsewhere
        place = str(self.folder.absolute())
        return _loaded_again, (place, self._asked, self.card.fingerprints.weights)

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r}, {len(self.classes)} classes, {self.card.backbone})"

    def predict(self, images: ImageLike | Iterable[ImageLike]) -> list[str]:
        """Return the class that is answered for every image.

        That is the likeliest one, unless the model was fitted for another metric than accuracy: its
        ``card.rule`` says how the answer follows from the probabilities then.

        Parameters
        ----------
        images : one image or several
            Each a path, the bytes of a file, a Pillow image, or a uint8 array of shape
            (H, W, 3) or (H, W). An array of shape (N, H, W, 3) is N images.

        Raises
        ------
        UnreadableImageError
            For the first image that cannot be decoded.
        InputError
            For something that is no image.
        """
        decided = self.card.decide(self.predict_proba(images))
        return self.card.target.said(decided, self.classes)

    def predict_proba(self, images: ImageLike | Iterable[ImageLike]) -> Probabilities:
        """Return calibrated probabilities, float64 of shape (n_images, n_outputs).

        Takes and raises what :meth:`predict` does.
        """
        rows = []
        for result in self.predict_each(images):
            if isinstance(result, UnreadableImageError):
                raise result
            rows.append(result.probabilities)
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes))

    def predict_each(
        self, images: ImageLike | Iterable[ImageLike]
    ) -> Iterator[Prediction | UnreadableImageError]:
        """Yield a prediction, or the reason why there is none, for every image in order.

        Images are read while others are computed, and only a few are held at a time.

        Raises
        ------
        InputError
            For something that is no image.
        """
        numbered = list(enumerate(as_sequence(images)))

        def load(item: tuple[int, ImageLike]) -> UInt8Array:
            index, image = item
            return self.prepare(image, name=name_of(image, index))

        waiting: list[tuple[str, UInt8Array | UnreadableImageError]] = []
        readable = 0
        loaded = read_in_order(numbered, load, workers=self._workers)
        for (index, image), result in zip(numbered, loaded, strict=True):
            waiting.append((name_of(image, index), result))
            readable += isinstance(result, np.ndarray)
            # images that cannot be read must not change which others share a batch: the last
            # bits of a result may turn on that
            if readable in (0, _BATCH):
                yield from self._answer(waiting)
                waiting, readable = [], 0
        yield from self._answer(waiting)

    def prepare(self, image: ImageLike, *, name: str) -> UInt8Array:
        """Decode, resize and crop one image as in training.

        Parameters
        ----------
        image : path, bytes, Pillow image or uint8 array
        name : str
            What to call it in errors.

        Returns
        -------
        ndarray of shape (size, size, 3), uint8

        Raises
        ------
        UnreadableImageError
            If it cannot be decoded or has too many pixels.
        InputError
            For something that is no image.
        """
        return self.prepare_with_size(image, name=name)[0]

    def prepare_with_size(
        self, image: ImageLike, *, name: str
    ) -> tuple[UInt8Array, tuple[int, int]]:
        """Return what :meth:`prepare` does, and width and height that the image had decoded."""
        preprocessing = self.card.preprocessing
        rgb = to_rgb(
            image,
            name=name,
            max_pixels=self._max_pixels,
            at_least=preprocessing.decode_at_least,
            rules=preprocessing.reading,
        )
        return preprocessing.apply(rgb), rgb.size

    def predict_prepared(self, images: Sequence[UInt8Array]) -> Probabilities:
        """Return calibrated probabilities, shape (n, C), of what :meth:`prepare` returned.

        Takes and raises what :meth:`answer_prepared` does.
        """
        return self.answer_prepared(images).probabilities

    def answer_prepared(self, images: Sequence[UInt8Array]) -> Answers:
        """Return all that the model says of n images that :meth:`prepare` returned.

        All images go through the network together, so keep ``n`` small.

        Raises
        ------
        EngineError
            If ONNX Runtime cannot run the model.
        InputError
            If the file needs other files, or has other inputs and outputs than ours.
        RunFolderError
            If the model and its card disagree.
        """
        if not len(images):
            nothing = None if self.card.familiar is None else np.zeros(0)
            return Answers(np.zeros((0, len(self.classes))), nothing)
        session = self._sessions.of_this_process()
        found = answers(session, on_canvas(images, self.card.preprocessing))
        shape = found.probabilities.shape
        if shape != (len(images), len(self.classes)):
            raise RunFolderError(
                f"{self._file} gives {shape[1]} probabilities an image, but {self.folder} "
                f"names {len(self.classes)} classes."
            )
        if found.unfamiliarity is None and self.card.familiar is not None:
            raise RunFolderError(
                f"{self._file} does not say how unfamiliar an image is, but {self.folder} "
                "promises that."
            )
        return found

    def _open(self) -> Any:
        """Open ``model.onnx``, which may come from anybody, as carefully as an exported file."""
        if is_onnx_file(self._file) and self._file == self.folder:
            # opened by another process before
            return open_onnx_file(self._file, threads=self._threads).session
        if may_need_others(self._file):
            check_graph(self._file, read_model(self._file))
        try:
            session = open_session(self._file, threads=self._threads)
        except EngineError as error:
            raise RunFolderError(f"{self._file}: {error.message}", hint=error.hint) from error
        check_ends(self._file, session, len(self.classes))
        return session

    def _answer(
        self, batch: Sequence[tuple[str, UInt8Array | UnreadableImageError]]
    ) -> Iterator[Prediction | UnreadableImageError]:
        readable = [image for _, image in batch if isinstance(image, np.ndarray)]
        answered = self.answer_prepared(readable).each()
        for name, image in batch:
            if isinstance(image, UnreadableImageError):
                yield image
                continue
            row, score = next(answered)
            decided, target = self.card.decide(row[None]), self.card.target
            label = target.said(decided, self.classes)[0]
            sure = target.sureness(row[None], decided)
            confidence = float("nan") if sure is None else float(sure[0])
            yield Prediction(name, label, confidence, row, self.classes, score)


load = Model.load


def _loaded_again(folder: str, options: _Options, weights: str) -> Model:
    """Load a model that was copied or came from another process."""
    try:
        model = Model.load(folder, **options)
    except (RunFolderError, InputError) as error:
        raise RunFolderError(
            f"A copy of a model holds the place of its files alone, and there: {error.message}",
            hint=error.hint or "Put the files back, or load the model from where they are now.",
        ) from None
    if model.card.fingerprints.weights != weights:
        raise RunFolderError(
            f"{folder} holds another model by now than the one that was copied.",
            hint="Load it again, and copy that.",
        )
    return model
