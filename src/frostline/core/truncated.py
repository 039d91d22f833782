"""A list that may have been cut, with how many items it had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

T = TypeVar("T")


class Truncated(BaseModel, Generic[T]):
    """The first items of a list, and how many it had.

    In JSON it is a plain list as long as nothing is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    items: tuple[T, ...] = ()
    total: int = 0

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        return {"items": value, "total": len(value)} if isinstance(value, list | tuple) else value

    @model_serializer
    def _plainly(self) -> dict[str, Any] | list[Any]:
        if self.total == len(self.items):
            return list(self.items)
        return {"items": list(self.items), "total": self.total}

    @classmethod
    def of(cls, items: Iterable[T]) -> Truncated[T]:
        """Return all items."""
        kept = tuple(items)
        # every item is of its type already
        return cls.model_construct(items=kept, total=len(kept))

    @property
    def missing(self) -> int:
        """How many items were cut off."""
        return self.total - len(self.items)

    def cut(self, most: int) -> Self:
        """Return at most ``most`` of the items."""
        return self.model_copy(update={"items": self.items[:most]})

    def __reduce__(self) -> tuple[Any, ...]:
        # a class with its items' type filled in has no name that another process finds
        return _restored, (self.items, self.total)


def _restored(items: tuple[Any, ...], total: int) -> Truncated[Any]:
    return Truncated.model_construct(items=items, total=total)
