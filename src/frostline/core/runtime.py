"""How to compute, and who is told: one value that goes with the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from frostline.core.cancel import CancelToken
from frostline.core.errors import SettingsError
from frostline.core.machine import available_cores
from frostline.core.progress import NullProgress, TypedProgress
from frostline.core.settings import ActivationDtype, Settings

#: as PyTorch names it: "cpu", "cuda", "cuda:1", "mps"
Device = str
Precision = Literal["fp32", "bf16"]

#: more decoders only wait for each other
_MOST_WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How to compute: never what is learned.

    Attributes
    ----------
    device : str, default="cpu"
        As PyTorch names it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : {"fp32", "bf16"}, default="fp32"
    threads : int, default=1
        Threads that compute. Another number may change the last digits of a result.
    workers : int, default=0
        Threads that decode images; never changes a result.
    activation_dtype : {"float16", "uint8"}, default="float16"
        How stored activations are kept.
    max_pixels : int, default=100_000_000
        Larger images are refused.
    progress : TypedProgress
        Who is told about long work.
    cancel : CancelToken
        What long loops ask.
    reasons : mapping of str to str
        Why what was left to us became what it is, for the record.
    """

    device: Device = "cpu"
    precision: Precision = "fp32"
    threads: int = 1
    workers: int = 0
    activation_dtype: ActivationDtype = "float16"
    max_pixels: int = 100_000_000
    progress: TypedProgress = field(default_factory=NullProgress)
    cancel: CancelToken = field(default_factory=CancelToken)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        accelerators: Sequence[str] = (),
        progress: TypedProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> Runtime:
        """Turn every "auto" that depends on the machine into a value.

        Parameters
        ----------
        settings : Settings
        accelerators : sequence of str
            Devices besides the CPU that are usable, such as ``"cuda:0"``; found out by the caller,
            who may import torch.
        progress : TypedProgress or None, default=None
        cancel : CancelToken or None, default=None

        Raises
        ------
        SettingsError
            If a device was asked for that is not there.
        """
        cuda = any(name.startswith("cuda") for name in accelerators)
        usable = ("auto", "cpu", *accelerators, *(("cuda",) if cuda else ()))
        if settings.device not in usable:
            kind = "CUDA device" if settings.device == "cuda" else "device of that name"
            raise SettingsError(
                f"device={settings.device!r} was asked for, but no usable {kind} was found.",
                hint=f"Use device={' or '.join(map(repr, usable))}.",
            )
        cores = available_cores()
        reasons: dict[str, str] = {}
        if settings.device == "auto":
            reasons["device"] = "a CUDA device was found" if cuda else "no CUDA device was found"
        if settings.threads == "auto":
            reasons["threads"] = f"{cores} cores may be used"
        if settings.workers == "auto":
            reasons["workers"] = f"one decoder for each of {cores} cores, at most {_MOST_WORKERS}"
        if settings.precision == "auto":
            reasons["precision"] = "fp32 unless asked otherwise"
        return cls(
            device=("cuda" if cuda else "cpu") if settings.device == "auto" else settings.device,
            precision="bf16" if settings.precision == "bf16" else "fp32",
            threads=cores if settings.threads == "auto" else settings.threads,
            workers=min(cores, _MOST_WORKERS) if settings.workers == "auto" else settings.workers,
            activation_dtype=settings.activation_dtype,
            max_pixels=settings.max_pixels,
            progress=progress or NullProgress(),
            cancel=cancel or CancelToken(),
            reasons=reasons,
        )

    @property
    def numerics_id(self) -> str:
        """What the last digits of PyTorch's results turn on, besides the images."""
        return f"{self.threads} threads" if self.device == "cpu" else self.device

    def quiet(self) -> Runtime:
        """Return the same runtime without progress bars and notes."""
        return replace(self, progress=NullProgress())
