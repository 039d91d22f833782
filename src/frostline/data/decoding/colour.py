"""Colours mean what their profile says: every picture becomes sRGB, as the network learned it."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from frostline.data.decoding.damage import DamageError

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

#: profiles of printers have half a megabyte; larger ones are left unread
_PROFILE_BYTES = 4 * 2**20
#: values of each channel at which a profile is compared with sRGB, and how far it may lie from it
_GRID, _NEAR = 9, 3
#: modes by the colour space that a profile names
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(image: Image.Image) -> Image.Image:
    """Return an image of mode RGB in sRGB.

    Raises DamageError if there is a profile, and this Pillow was built without LittleCMS.

    ``image``: of any mode that converts to RGB. Without a profile, or with one that cannot be used,
    it is taken for sRGB, as every viewer does.
    """
    profile = image.info.get("icc_profile")
    if not profile or not isinstance(profile, bytes) or len(profile) > _PROFILE_BYTES:
        return image.convert("RGB")
    found = _transform(profile)
    if found is None:
        return image.convert("RGB")
    mode, transform = found
    # the colour axis of a grey picture with a profile for RGB lies within RGB
    source = image if image.mode == mode else image.convert(mode)
    return transform.apply(source)


@lru_cache(maxsize=32)
def _transform(profile: bytes) -> tuple[str, ImageCmsTransform] | None:
    """Return mode and transform of a profile; None if it is sRGB or of no use."""
    try:
        from PIL import ImageCms
    except ImportError:
        raise DamageError("a colour profile, and Pillow was built without LittleCMS") from None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(opened.profile.xcolor_space.strip())
        if mode is None:
            return None
        # with a cache LittleCMS keeps the last pixel in the transform, which threads would share
        transform = ImageCms.buildTransform(
            opened, ImageCms.createProfile("sRGB"), mode, "RGB", flags=ImageCms.Flags.NOCACHE
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if _is_srgb(mode, transform) else (mode, transform)


def _is_srgb(mode: str, transform: ImageCmsTransform) -> bool:
    """Whether a transform changes no colour by more than what is lost in rounding."""
    if mode == "CMYK":
        return False
    steps = np.rint(np.linspace(0, 255, _GRID)).astype(np.uint8)
    if mode == "L":
        colours = np.arange(256, dtype=np.uint8)[None]
    else:
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(np.ascontiguousarray(colours))
    after = np.asarray(transform.apply(before), dtype=int)
    return bool(np.abs(after - np.asarray(before.convert("RGB"), dtype=int)).max() <= _NEAR)
