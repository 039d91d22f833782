"""Export a finished run: one call for every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from frostline.core.errors import SettingsError, did_you_mean
from frostline.core.extras import require_extra
from frostline.exporting.exported import Exported
from frostline.exporting.onnx_target import export_onnx_file
from frostline.exporting.opset import check_opset
from frostline.exporting.origin import Origin
from frostline.exporting.placing import check_free
from frostline.exporting.samples import LIMIT, Samples, find_samples

#: images of a check; calibration takes more
_CHECKED = 32
_WIDTHS = ("int8",)


def _torch(origin: Origin, path: Path, samples: Samples | None, *, overwrite: bool) -> Exported:
    from frostline.exporting.pytorch.torch_target import export_torch_file

    return export_torch_file(origin, path, samples=samples, overwrite=overwrite)


def _hub(origin: Origin, path: Path, samples: Samples | None, *, overwrite: bool) -> Exported:
    from frostline.exporting.pytorch.hub_target import export_hub_folder

    del overwrite
    return export_hub_folder(origin, path, samples=samples)


_ONNX = "onnx"
TARGETS: dict[str, Callable[..., Exported]] = {
    _ONNX: export_onnx_file,
    "torch": _torch,
    "hub": _hub,
}


def export(
    run: str | Path,
    path: str | Path,
    *,
    to: str = "onnx",
    quantize: str | None = None,
    opset: int | None = None,
    images: str | Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a finished run as files that others can use, and check them against the model.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run; for ``onnx`` also a file that was exported before.
    path : str or Path
        Where to write: a file, for ``hub`` a folder.
    to : {"onnx", "torch", "hub"}, default="onnx"
        ``onnx``: one file that takes any RGB image and gives calibrated probabilities, or numbers.
        ``torch``: weights for timm or torchvision where these have such a network, else a program
        of ``torch.export``. ``hub``: a folder ready to publish.
    quantize : {"int8"} or None, default=None
        Make an ONNX file about three times smaller.
    opset : int or None, default=None
        Operator set of an ONNX file, from 19 to what the installed onnx knows; None takes 19.
    images : str, Path or None, default=None
        Images for checks and for ``quantize``; by default those that the run was judged on.
    overwrite : bool, default=False
        Replace an earlier export.

    Returns
    -------
    Exported

    Raises
    ------
    SettingsError
        If there is no such target or operator set, or it cannot be quantised; MissingExtraError
        where PyTorch is needed and not installed.
    RunFolderError, InputError
        If there is no finished run, the target exists, or images are needed and not found.
    EngineError
        If the export does not give what the model does; then nothing was written.
    """
    if to not in TARGETS:
        raise SettingsError(
            f"There is no export {to!r}.",
            hint=did_you_mean(to, TARGETS) or f"Exports: {', '.join(TARGETS)}.",
        )
    if quantize is not None and quantize not in _WIDTHS:
        raise SettingsError(
            f"There is no quantize={quantize!r}.",
            hint=did_you_mean(quantize, _WIDTHS) or f"Only {_WIDTHS[0]!r} is possible.",
        )
    for name, value in (("quantize", quantize), ("opset", opset)):
        if value is not None and to != _ONNX:
            raise SettingsError(
                f"{name}={value!r} belongs to to='onnx', not to {to!r}.",
                hint="Export an ONNX file, or leave it out.",
            )
    if to != _ONNX:
        require_extra("train", f"An export to {to!r}")
    check_opset(opset)
    origin, target = Origin.open(run), Path(path)
    check_free(target, overwrite=overwrite, source=origin.given)
    samples = find_samples(
        origin.model,
        origin.given,
        images=None if images is None else Path(images),
        limit=LIMIT if quantize else _CHECKED,
    )
    if to == _ONNX:
        return export_onnx_file(
            origin, target, samples=samples, quantise=quantize is not None, opset=opset
        )
    return TARGETS[to](origin, target, samples, overwrite=overwrite)
