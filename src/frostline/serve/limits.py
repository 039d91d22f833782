"""What one request, and all of them together, may ask of the service."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from frostline.core.errors import SettingsError

Count = Annotated[int, Field(ge=1, le=100_000)]
Bytes = Annotated[int, Field(ge=1_000, le=2**40)]


class Limits(BaseModel):
    """Bounds of the service. Whatever lies beyond is refused with a reason, as early as possible.

    Attributes
    ----------
    max_files : int, default=100
        Images in one request.
    max_bytes : int, default=20_000_000
        Bytes of one file.
    max_request_bytes : int, default=100_000_000
        Bytes of one request.
    max_held_bytes : int, default=500_000_000
        Bytes of uploads that all requests together may hold in memory.
    max_pixels : int, default=64_000_000
        Larger images are refused from their header, before they are decoded.
    max_seconds : float, default=30
        For a request to arrive and be answered.
    max_queue : int, default=256
        Images, and requests, that may wait or be worked on at a time.
    max_explanations : int, default=4
        Heat maps that may wait or be worked on at a time; each costs 145 predictions.
    max_feedback : int, default=10_000
        Entries of feedback that are kept.
    max_feedback_bytes : int, default=1_000_000_000
        Bytes of these and their pictures.
    batch : int, default=8
        Images that go through the network together. More take more memory and, on a CPU, no less
        time.
    wait_ms : float, default=2
        How long the first image of a batch waits for others, in milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_files: Count = 100
    max_bytes: Bytes = 20_000_000
    max_request_bytes: Bytes = 100_000_000
    max_held_bytes: Bytes = 500_000_000
    max_pixels: Annotated[int, Field(ge=1_000, le=2_000_000_000)] = 64_000_000
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    max_queue: Count = 256
    max_explanations: Count = 4
    max_feedback: Count = 10_000
    max_feedback_bytes: Bytes = 1_000_000_000
    batch: Annotated[int, Field(ge=1, le=256)] = 8
    wait_ms: Annotated[float, Field(ge=0, le=1000)] = 2.0

    @model_validator(mode="after")
    def _fit_together(self) -> Limits:
        for larger, smaller in _NESTED:
            if getattr(self, larger) < getattr(self, smaller):
                raise ValueError(
                    f"{larger}={getattr(self, larger)} must be at least "
                    f"{smaller}={getattr(self, smaller)}"
                )
        return self


#: each first one holds at least one of the second
_NESTED = (
    ("max_request_bytes", "max_bytes"),
    ("max_held_bytes", "max_request_bytes"),
    ("max_queue", "max_files"),
)


def make_limits(**values: Any) -> Limits:
    """Build :class:`Limits` from what was chosen; None stands for the default.

    A default that is too small for something chosen grows with it: who allows larger files also
    allows larger requests. Raises SettingsError for a value outside its range, or two that
    contradict each other.
    """
    chosen = {name: value for name, value in values.items() if value is not None}
    for larger, smaller in _NESTED:
        default = Limits.model_fields[larger].default
        if larger not in chosen and chosen.get(smaller, 0) > default:
            chosen[larger] = chosen[smaller]
    try:
        return Limits(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        detail = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(f"The limit {detail}.") from None
        raise SettingsError(
            f"The limit {first['loc'][0]} cannot be {first['input']!r}: "
            f"{detail[0].lower()}{detail[1:]}."
        ) from None
