"""A model that gives what passes at several depths beside its answers, in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.core.errors import EngineError, RunFolderError, first_line
from frostline.core.onnx_runtime import failures, open_session
from frostline.core.preprocessing import UInt8Array
from frostline.core.watched_depth import WatchedDepth
from frostline.model.model import Model
from frostline.model.onnx_file import is_onnx_file, read_model
from frostline.model.sessions import Sessions
from frostline.model_format.drift_file import DRIFT, DriftCard, read_drift_card
from frostline.model_format.model_folder import ONNX
from frostline.onnx_graph.checks import check_graph
from frostline.onnx_graph.depth_outputs import depth_output, with_depth_outputs
from frostline.onnx_graph.prepared import on_canvas
from frostline.onnx_graph.session import INPUT, Answers, answers_of, names_of

Taps = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WatchedAnswers:
    """What a model says about n images, and what passed at its depths: tables (n, d)."""

    answers: Answers
    taps: tuple[Taps, ...]

    def each(self) -> Iterator[tuple[npt.NDArray[np.float64], float | None, list[Taps]]]:
        """Yield probabilities, unfamiliarity and taps of one image after the other."""
        for place, one in enumerate(self.answers.each()):
            yield one.row, one.unfamiliarity, [table[place] for table in self.taps]


class WatchedModel:
    """A model with the outputs that a watch needs; several threads may use one.

    Probabilities are those of :class:`Model` but for rounding: layers whose results are looked at
    are not merged with the next ones.

    ``model``: whose images are prepared, and whose answers are given. ``depths``: what else its
    graph gives.
    """

    def __init__(self, model: Model, depths: Sequence[WatchedDepth], *, threads: int) -> None:
        self.model, self.depths = model, tuple(depths)
        self._threads = threads
        self._sessions = Sessions(self._open)

    def answer_prepared(self, images: Sequence[UInt8Array]) -> WatchedAnswers:
        """Return all that the model says of n images that :meth:`Model.prepare` returned.

        Raises what :meth:`Model.answer_prepared` does.
        """
        session = self._sessions.of_this_process()
        batch = on_canvas(images, self.model.card.preprocessing)
        told = names_of(session)
        wanted = [depth_output(number) for number in range(len(self.depths))]
        try:
            found = session.run([*told, *wanted], {INPUT: batch})
        except failures() as error:
            raise EngineError(f"ONNX Runtime stopped: {first_line(error)}.") from error
        return WatchedAnswers(answers_of(found[: len(told)], len(batch)), tuple(found[len(told) :]))

    def _open(self) -> Any:
        path = self.model.folder / ONNX
        graph = read_model(path)
        check_graph(path, graph)
        try:
            content = with_depth_outputs(graph, self.depths)
        except KeyError as error:
            raise RunFolderError(
                f"{self.model.folder / DRIFT} names {error.args[0]!r}, which {path} does not have.",
                hint="Run 'frostline fit' again to make it.",
            ) from None
        del graph
        return open_session(content, threads=self._threads)


def open_drift_card(model: Model) -> DriftCard:
    """Read what travels with a model so that a stream can be compared with its training.

    Raises RunFolderError if the model is an exported file, its folder has no such file, or that is
    damaged or of another model.
    """
    if is_onnx_file(model.folder):
        raise RunFolderError(
            f"{model.folder} is an exported file, which says nothing about its training images.",
            hint="Give the run or its model folder.",
        )
    return read_drift_card(model.folder / DRIFT, model.folder / ONNX)
