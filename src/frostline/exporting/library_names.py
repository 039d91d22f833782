"""Libraries whose own networks a model's weights may be written for."""

from __future__ import annotations

TIMM, TORCHVISION = "timm", "torchvision"
