"""Open a model so that it gives what its head reads as well; its file stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frostline.core.errors import EngineError, InputError
from frostline.core.onnx_runtime import open_session
from frostline.model.onnx_file import read_model
from frostline.onnx_graph.checks import check_ends, check_graph
from frostline.onnx_graph.embedding_output import add_embedding_output


def open_with_embedding(path: Path, n_outputs: int, *, threads: int) -> Any:
    """Open an ONNX file of ours with one output more, which is added in memory.

    Raises InputError if the file is none of ours or gives no embedding.

    ``n_outputs``: of its predictions, as its card says.
    """
    model = read_model(path)
    check_graph(path, model)
    if not add_embedding_output(model):
        raise InputError(
            f"{path} gives no embedding: it averages several networks, and marks the features of "
            "none of them.",
            hint="Ask for predictions alone, or fit with strategy 'head'.",
        )
    content = model.SerializeToString()
    # it may be as large as all weights
    del model
    try:
        session = open_session(content, threads=threads)
    except EngineError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from error
    check_ends(path, session, n_outputs)
    return session
