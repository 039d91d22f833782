"""The ONNX operator set of an exported file: the one it is written in, or a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.core.errors import EngineError, SettingsError
from frostline.onnx_graph.preprocessing_graph import OPSET

if TYPE_CHECKING:
    import onnx


def check_opset(opset: int | None) -> None:
    """Refuse operator sets that no exported file can have.

    Raises SettingsError if it is older than resizing inside the file needs, or newer than this
    installation knows.
    """
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    if opset is None or OPSET <= opset <= newest:
        return
    if opset < OPSET:
        raise SettingsError(
            f"opset={opset} is too old: resizing images inside the file needs {OPSET}.",
            hint=f"Leave it out, or take one from {OPSET} to {newest}.",
        )
    raise SettingsError(
        f"opset={opset} is newer than this installation of onnx knows ({newest}).",
        hint=f"Take one from {OPSET} to {newest}, or update onnx.",
    )


def converted(graph: onnx.ModelProto, opset: int | None) -> onnx.ModelProto:
    """Return a graph in another operator set; what it gives is checked by the caller.

    Raises EngineError if onnx cannot convert one of its operators.
    """
    from onnx import version_converter

    written = {used.domain: used.version for used in graph.opset_import}[""]
    if opset is None or opset == written:
        return graph
    try:
        return version_converter.convert_version(graph, opset)
    except (RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise EngineError(
            f"onnx cannot write this model in operator set {opset}: {first}",
            hint=f"Leave opset out: {written} works.",
        ) from error
