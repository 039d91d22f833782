"""What an exported model answers, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import EngineError, first_line
from frostline.core.onnx_runtime import failures
from frostline.core.preprocessing import UInt8Array

#: names of the input and the outputs of exported files; the last is not in all of them
INPUT, OUTPUT, UNFAMILIARITY = "image", "probabilities", "unfamiliarity"
#: what a model of numbers has in place of probabilities
VALUES = "values"
#: what a model gives beside them that was opened for it: what its head reads
EMBEDDING = "frostline/embedding"

Embeddings = npt.NDArray[np.float32]


class Answer(NamedTuple):
    """What a model says about one image: probabilities (C,), unfamiliarity, embedding (d,)."""

    row: FloatArray
    unfamiliarity: float | None
    embedding: Embeddings | None = None


@dataclass(frozen=True)
class Answers:
    """What a model says about n images.

    ``probabilities``: shape (n, C); numbers, where a model predicts these. ``unfamiliarity``, shape
    (n,): above 1 an image is unlike those of training; None for a model that does not tell.
    ``embeddings``, shape (n, d): what the head reads; None where nobody asked.
    """

    probabilities: FloatArray
    unfamiliarity: FloatArray | None = None
    embeddings: Embeddings | None = None

    def each(self) -> Iterator[Answer]:
        """Yield what is said of one image after the other."""
        for place, row in enumerate(self.probabilities):
            yield Answer(
                row,
                None if self.unfamiliarity is None else float(self.unfamiliarity[place]),
                None if self.embeddings is None else self.embeddings[place],
            )


def told_by(session: Any) -> str:
    """Return the name of what an open session predicts: probabilities, or numbers."""
    names = [output.name for output in session.get_outputs()]
    return VALUES if VALUES in names else OUTPUT


def answers(session: Any, batch: UInt8Array, *, embeddings: bool = False) -> Answers:
    """Run uint8 images (n, H, W, 3) through an open session.

    Raises EngineError if ONNX Runtime stops halfway.

    ``embeddings``: of a session that was opened with that output.
    """
    names = [*names_of(session), *((EMBEDDING,) if embeddings else ())]
    try:
        found = session.run(names, {INPUT: batch})
    except failures() as error:
        raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
    vectors = np.asarray(found.pop(), dtype=np.float32) if embeddings else None
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(batch)):
        raise EngineError(f"The model gives no embedding for each of {len(batch)} images.")
    return replace(answers_of(found, len(batch)), embeddings=vectors)


def names_of(session: Any) -> list[str]:
    """Return the outputs of an open session that answer: predictions, perhaps unfamiliarity."""
    names = {output.name for output in session.get_outputs()}
    return [told_by(session), *((UNFAMILIARITY,) if UNFAMILIARITY in names else ())]


def answers_of(found: Sequence[Any], n: int) -> Answers:
    """Check what the outputs of :func:`names_of` were for n images.

    Raises EngineError if they are no answers.
    """
    values = [np.asarray(value, dtype=np.float64) for value in found]
    # a file of somebody else may compute anything
    if values[0].ndim != 2 or len(values[0]) != n or not np.isfinite(values[0]).all():
        raise EngineError(f"The model gives no probabilities for each of {n} images.")
    tells = len(values) > 1
    if tells and values[1].shape != (n,):
        raise EngineError(f"The model does not say of each of {n} images how unfamiliar it is.")
    return Answers(values[0], values[1] if tells else None)
