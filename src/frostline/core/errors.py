"""The exceptions that Frostline raises on purpose, and how they become exit codes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from enum import StrEnum

#: exit code of a command that did its work and whose answer is no: the model is worse than allowed
ANSWER_IS_NO = 3


class FrostlineError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    message : str
        What was wrong: names the thing, what was found and what was expected.
    hint : str, default=""
        What to do about it, one sentence.

    Attributes
    ----------
    exit_code : int
        2 for bad input or settings, 1 for a fault of Frostline itself.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(FrostlineError, ValueError):
    """Images, folders or tables that cannot be used as they are."""


class SettingsError(FrostlineError, ValueError):
    """A setting outside its range, unknown, or at odds with another one."""


class MissingExtraError(SettingsError, ImportError):
    """Something that was asked for needs an extra of Frostline that is not installed."""


class BackboneError(FrostlineError, ValueError):
    """A network or its weights that cannot be found or do not fit."""


class CutError(BackboneError):
    """A cut that does not exist, or a network that cannot be cut there."""


class ImageSizeError(BackboneError):
    """Images of a size that a network does not take; ``sizes`` near it, in pixels, do."""

    def __init__(self, message: str, *, hint: str = "", sizes: tuple[int, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.sizes = sizes


class PatternError(BackboneError):
    """A layer pattern that matches nothing."""


class PlanError(FrostlineError, ValueError):
    """A plan that cannot be carried out on this network and these classes."""


class RunFolderError(FrostlineError, ValueError):
    """A run folder that is finished, foreign, unwritable or not a run folder."""


class ImageFault(StrEnum):
    """What is wrong with an image file, for programs."""

    TOO_MANY_PIXELS = "too_many_pixels"
    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    DAMAGED = "damaged"


class UnreadableImageError(FrostlineError, ValueError):
    """One image that cannot be decoded; ``reason`` is short, free of paths, and for people."""

    def __init__(self, path: str, reason: str, fault: ImageFault = ImageFault.DAMAGED) -> None:
        super().__init__(f"{path}: {reason}.")
        self.path = path
        self.reason = reason
        self.fault = fault

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[str, str, ImageFault]]:
        # other processes hand it back
        return type(self), (self.path, self.reason, self.fault)


class TooLargeImageError(UnreadableImageError):
    """One image with more pixels than the limit, which can be raised."""


class FrozenChangedError(FrostlineError, RuntimeError):
    """Something that was declared frozen is not bit-identical after training."""

    exit_code = 1


class EngineError(FrostlineError, RuntimeError):
    """An engine whose numbers do not agree with PyTorch, or that cannot run."""

    exit_code = 1


class StoreError(FrostlineError, RuntimeError):
    """A stored record that is damaged or cannot be written."""

    exit_code = 1


class ShortageError(FrostlineError, RuntimeError):
    """A machine that has too little memory or disk."""

    exit_code = 1


def did_you_mean(name: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Return ``"Did you mean 'x'?"`` when names in ``known`` are close, else ``""``."""
    close = difflib.get_close_matches(name, dict.fromkeys(known), n=limit, cutoff=0.6)
    if not close:
        return ""
    return "Did you mean " + " or ".join(repr(c) for c in close) + "?"


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says, without its full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def last_line(error: BaseException) -> str:
    """Return the last line of what a library says, without its full stop."""
    lines = str(error).strip().splitlines()
    return (lines[-1] if lines else type(error).__name__).strip().rstrip(".")


#: how PyTorch, oneDNN, ONNX Runtime and C++ say that memory is lacking
_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|failed to allocate memory|bad_alloc"
    r"|can't start new thread|cannot allocate memory|could not (create|execute) a primitive\s*$",
    re.IGNORECASE,
)


#: how the loader of libraries says it, where it may not say why
_UNMAPPED = re.compile(r"failed to map segment from shared object(?!.*not permitted)", re.I | re.S)


def lacks_memory(error: BaseException) -> bool:
    """Return whether a library gave up for lack of memory, not over what it was asked to do.

    A library that is imported late may find no room for itself; some packages then say only that
    they seem to be broken, and the reason stands in the error before.
    """
    if isinstance(error, ImportError):
        before = error.__cause__
        unmapped = _UNMAPPED.search(str(error)) is not None
        return unmapped or (before is not None and lacks_memory(before))
    said = isinstance(error, RuntimeError) and _MEMORY.search(str(error)) is not None
    return said or isinstance(error, MemoryError)
