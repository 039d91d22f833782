"""Predict with a saved model; needs NumPy, Pillow and ONNX Runtime, never PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from frostline.model.answering import Answering, SharesLike
from frostline.model.embedding import open_with_embedding
from frostline.model.inputs import ImageLike, as_sequence, name_of, to_rgb
from frostline.model.onnx_file import is_onnx_file, open_onnx_file, read_model
from frostline.model.prediction import Computed, Prediction, told
from frostline.model.sessions import Sessions
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import ONNX, checked_file, find_model_folder, load_card
from frostline.onnx_graph.checks import check_ends, check_graph, may_need_others
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.session import Answers, Embeddings, answers

Probabilities = FloatArray

# enough to keep two cores busy, few enough for little memory
_BATCH = 16


class _Options(TypedDict, total=False):
    """What :meth:`Model.load` was asked for; None leaves the choice to the machine."""

    threads: int | None
    workers: int | None
    max_pixels: int
    at_most_wrong: float | None
    shares: SharesLike | None


class Model:
    """A fitted classifier. Made by :meth:`load`.

    Images are decoded and prepared exactly as in training, then run through ``model.onnx``.
    One model may be used by several threads at once.

    Attributes
    ----------
    card : ModelCard
    classes : tuple of str
        In the order of the columns of :meth:`predict_proba`.
    answering : Answering
        How classes, sets and abstentions follow from probabilities.
    folder : Path
        The model folder, or the exported file.
    threads : int
        That compute.
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
        answering: Answering | None = None,
    ) -> None:
        self.folder = folder
        self.card = card
        self.classes = card.classes
        self.answering = Answering(card) if answering is None else answering
        self._file = (
            folder if session is not None else checked_file(folder, ONNX, card.fingerprints.onnx)
        )
        self.threads = threads
        self._workers, self._max_pixels = workers, max_pixels
        self._sessions = Sessions(self._open, session)
        self._embedding = Sessions(self._open_embedding)
        self._asked: _Options = {"threads": threads, "workers": workers, "max_pixels": max_pixels}

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        threads: int | None = None,
        workers: int | None = None,
        max_pixels: int = Settings.max_pixels,
        at_most_wrong: float | None = None,
        shares: SharesLike | None = None,
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
        at_most_wrong : float or None, default=None
            Share of answers that may be wrong, in (0, 1): less sure ones say ``abstain``. None
            takes the bound that the model was fitted with, if any.
        shares : str, mapping of str to float or None, default=None
            Of the classes among the images to come, where they differ from those of training:
            ``{"a": 0.02, "b": 0.98}``, ``"a=0.02,b=0.98"``, or ``"auto"`` to estimate them from
            all images of a call. Probabilities are weighed anew by them.

        Raises
        ------
        SettingsError
            If the model cannot keep the bound, or a share is none of its classes' or out of range.
        RunFolderError
            If there is no finished model, or one of its files is damaged.
        InputError
            If an ONNX file is missing, damaged or none that Frostline exported.
        """
        path, cores = Path(folder), available_cores()
        asked: _Options = {"threads": threads, "workers": workers, "max_pixels": max_pixels}
        asked |= {"at_most_wrong": at_most_wrong, "shares": shares}
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
            answering=Answering(card, at_most_wrong=at_most_wrong, shares=shares),
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
        return [result.label for result in self._readable(images)]

    def predict_proba(self, images: ImageLike | Iterable[ImageLike]) -> Probabilities:
        """Return calibrated probabilities, float64 of shape (n_images, n_outputs).

        Takes and raises what :meth:`predict` does.
        """
        rows = [result.probabilities for result in self._readable(images)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.classes))

    def transform(self, images: ImageLike | Iterable[ImageLike]) -> Embeddings:
        """Return what the model's head reads of images, float32 of shape (n_images, d).

        The features of the chosen depths, pooled, side by side by depth, as they are: nothing is
        scaled or centred. ``head.weight`` and ``head.bias`` of the model's weights give the logits
        of them. Of an average of several networks they are what the head of its frozen leader
        reads.

        Takes what :meth:`predict` does.

        Raises
        ------
        UnreadableImageError
            For the first image that cannot be decoded.
        InputError
            For something that is no image, or an average of networks whose file marks no features.
        """
        found = [one.embedding for one in self._readable(images, embeddings=True)]
        rows = [one for one in found if one is not None]
        if not rows:
            size = self.card.preprocessing.size
            blank = [np.zeros((size, size, 3), dtype=np.uint8)]
            nothing = self.answer_prepared(blank, embeddings=True).embeddings
            return np.zeros((0, 0 if nothing is None else nothing.shape[1]), dtype=np.float32)
        return np.stack(rows)

    def predict_each(
        self, images: ImageLike | Iterable[ImageLike], *, embeddings: bool = False
    ) -> Iterator[Prediction | UnreadableImageError]:
        """Yield a prediction, or the reason why there is none, for every image in order.

        Images are read while others are computed, and only a few are held at a time. Where shares
        of classes are estimated, all are computed before the first prediction.

        Parameters
        ----------
        images : one image or several
            As for :meth:`predict`.
        embeddings : bool, default=False
            Give every prediction its ``embedding``; all else is the same bits.

        Raises
        ------
        InputError
            For something that is no image, or a model that has no embedding.
        """
        computed, answering = self._computed(images, embeddings), self.answering
        if answering.estimates:
            all_of_them = list(computed)
            rows = [one.row for one in all_of_them if isinstance(one, Computed)]
            answering = answering.with_estimated(np.stack(rows)) if rows else answering
            computed = iter(all_of_them)
        for one in computed:
            yield told(one, answering) if isinstance(one, Computed) else one

    def _readable(
        self, images: ImageLike | Iterable[ImageLike], *, embeddings: bool = False
    ) -> Iterator[Prediction]:
        """Yield predictions; raise for the first image that cannot be decoded."""
        for result in self.predict_each(images, embeddings=embeddings):
            if isinstance(result, UnreadableImageError):
                raise result
            yield result

    def _computed(
        self, images: ImageLike | Iterable[ImageLike], embeddings: bool
    ) -> Iterator[Computed | UnreadableImageError]:
        """Yield what the network says of every image in order, or why there is nothing."""
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
                yield from self._run(waiting, embeddings)
                waiting, readable = [], 0
        yield from self._run(waiting, embeddings)

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

    def answer_prepared(self, images: Sequence[UInt8Array], *, embeddings: bool = False) -> Answers:
        """Return all that the model says of n images that :meth:`prepare` returned.

        All images go through the network together, so keep ``n`` small. ``embeddings``: whether
        what its head reads is wanted as well.

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
        sessions = self._embedding if embeddings else self._sessions
        canvas = on_canvas(images, self.card.preprocessing)
        found = answers(sessions.of_this_process(), canvas, embeddings=embeddings)
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
            return open_onnx_file(self._file, threads=self.threads).session
        if may_need_others(self._file):
            check_graph(self._file, read_model(self._file))
        try:
            session = open_session(self._file, threads=self.threads)
        except EngineError as error:
            raise RunFolderError(f"{self._file}: {error.message}", hint=error.hint) from error
        check_ends(self._file, session, len(self.classes))
        return session

    def _open_embedding(self) -> Any:
        """Open the same file with one output more."""
        return open_with_embedding(self._file, len(self.classes), threads=self.threads)

    def _run(
        self, batch: Sequence[tuple[str, UInt8Array | UnreadableImageError]], embeddings: bool
    ) -> Iterator[Computed | UnreadableImageError]:
        readable = [image for _, image in batch if isinstance(image, np.ndarray)]
        answered = self.answer_prepared(readable, embeddings=embeddings).each()
        for name, image in batch:
            if isinstance(image, UnreadableImageError):
                yield image
                continue
            yield Computed(name, *next(answered))


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
