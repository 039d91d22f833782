"""A machine that has too little memory or disk: one message instead of a traceback."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from frostline.core.errors import FrostlineError, ShortageError, lacks_memory

#: the disk is full, a quota is used up, a file may not grow, or nothing may be written
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_GOES_ON = "the same command goes on from there."


@contextmanager
def clear_shortages() -> Iterator[None]:
    """Turn what Python and libraries raise for lack of memory or disk into one clear error.

    Raises ShortageError.
    """
    try:
        yield
    except FrostlineError:
        raise
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise _too_little_memory() from error
        if error.errno not in _DISK:
            raise
        where = "A file" if error.filename is None else str(error.filename)
        raise ShortageError(
            f"{where} cannot be written: {error.strerror}.",
            hint=f"What was done is kept: free some space, and {_GOES_ON}",
        ) from error
    except (MemoryError, RuntimeError, ImportError) as error:
        if not lacks_memory(error):
            raise
        raise _too_little_memory() from error


def _too_little_memory() -> ShortageError:
    return ShortageError(
        "There is not enough memory.",
        hint="Close other programs, or try a smaller --batch-size, --input-size or --backbone; "
        f"what was done is kept, and {_GOES_ON}",
    )
