"""Base of what is written as JSON and read again, perhaps by another version."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class JsonRecord(BaseModel):
    """Frozen values with fixed names in JSON; what a newer version added is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types: what was set, under the names that files have."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
