"""Asking work to end, from wherever somebody has had enough of it."""

from __future__ import annotations


class Cancelled(KeyboardInterrupt):
    """Work ended because it was asked to; what was done is kept.

    A ``KeyboardInterrupt``, so that nothing takes it for a fault of one image or one option.

    ``signal``: the signal that asked, where one did.
    """

    def __init__(self, signal: int | None = None) -> None:
        super().__init__("The work was cancelled.")
        self.signal = signal


class CancelToken:
    """Carries the wish that work end: one side cancels, long loops ask.

    Safe to use from several threads, and from a signal handler.

    Examples
    --------
    >>> import frostline, threading
    >>> cancel = frostline.CancelToken()
    >>> threading.Timer(600, cancel.cancel).start()  # doctest: +SKIP
    >>> frostline.fit("photos", "run", cancel=cancel)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        # no lock: a second signal may strike while the first one is being handled
        self._asked = False
        self._signal: int | None = None

    def cancel(self, signal: int | None = None) -> None:
        """Ask the work to end at its next chance."""
        self._signal = signal
        self._asked = True

    def check(self) -> None:
        """End here if somebody asked.

        Raises Cancelled.
        """
        if self._asked:
            raise Cancelled(self._signal)
