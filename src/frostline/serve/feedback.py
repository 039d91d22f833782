"""What people say of answers, on its way into a folder."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from frostline.model.prediction import Prediction
from frostline.run.feedback_log import FeedbackEntry, FeedbackFullError, FeedbackLog, Picture
from frostline.serve.corrections import Correction
from frostline.serve.limits import Limits
from frostline.serve.problem_details import RequestError

#: endings by how files begin, for those who look at them; programs know files by their content
_ENDINGS = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"RIFF", ".webp"),
    (b"II*", ".tif"),
    (b"MM\0*", ".tif"),
)


class Feedback:
    """Keeps feedback in a folder, up to the bounds of the service.

    Raises InputError if the folder cannot be written.

    - ``folder``: made where it is missing.
    - ``keeps_images``: whether the picture that a person sent is kept beside what they said.
    """

    def __init__(self, folder: Path, limits: Limits, *, keeps_images: bool = False) -> None:
        self.keeps_images = keeps_images
        self.max_entries = limits.max_feedback
        self._log = FeedbackLog(
            folder, max_entries=limits.max_feedback, max_bytes=limits.max_feedback_bytes
        )

    def __len__(self) -> int:
        """Entries that are kept now."""
        return len(self._log)

    def entry(
        self, digest: str, prediction: Prediction, correction: Correction, *, model: str
    ) -> FeedbackEntry:
        """Return what is to be kept of one answer and its correction."""
        sure = prediction.confidence
        return FeedbackEntry(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            model=model,
            digest=digest,
            predicted=prediction.label,
            label=correction.label,
            wrong=correction.wrong,
            confidence=None if math.isnan(sure) else sure,
        )

    def keep(self, entry: FeedbackEntry, content: bytes) -> FeedbackEntry:
        """Write an entry to the disk and return it as it was written.

        Raises RequestError with status 507 if no more is kept.
        """
        picture = Picture(content, _ending(content)) if self.keeps_images else None
        try:
            return self._log.append(entry, picture)
        except FeedbackFullError as error:
            raise RequestError(
                507,
                "feedback_full",
                name="feedback",
                what=error.message.rstrip("."),
                expected="room for one more: the operator takes what is there and moves it away",
            ) from None


def _ending(content: bytes) -> str:
    return next((ending for start, ending in _ENDINGS if content.startswith(start)), ".image")
