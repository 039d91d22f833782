"""Load an image whole or not at all, whatever others have told Pillow to put up with."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace

from PIL import ImageFile, Jpeg2KImagePlugin

#: what Pillow runs to load most formats, for which nobody's wish to have half an image counts
_strict_load = FunctionType(
    ImageFile.ImageFile.load.__code__,
    {**vars(ImageFile), "LOAD_TRUNCATED_IMAGES": False},
    closure=ImageFile.ImageFile.load.__closure__,
)
#: the same for JPEG 2000, whose plugin calls that by name
_strict_jpeg2000 = FunctionType(
    Jpeg2KImagePlugin.Jpeg2KImageFile.load.__code__,
    {
        **vars(Jpeg2KImagePlugin),
        "ImageFile": SimpleNamespace(ImageFile=SimpleNamespace(load=_strict_load)),
    },
    closure=Jpeg2KImagePlugin.Jpeg2KImageFile.load.__closure__,
)


def load_whole(image: ImageFile.ImageFile) -> None:
    """Load an image; one that is cut off or broken raises as if nobody had asked for less.

    ``ImageFile.LOAD_TRUNCATED_IMAGES``, which any library may set for the whole process, fills up
    with grey what is missing, and hides what is broken. It is not changed here: other threads may
    rely on it.
    """
    if not ImageFile.LOAD_TRUNCATED_IMAGES:
        image.load()
        return
    # so the JPEG plugin believes that it has made up an end already
    image._ended = True  # type: ignore[attr-defined]
    if type(image).load is ImageFile.ImageFile.load or _reads_in_pieces(image):
        _strict_load(image)
    elif image.format == "JPEG2000":
        _strict_jpeg2000(image)
    else:
        # these decode the whole file before they ask Pillow for anything
        image.load()


def _reads_in_pieces(image: ImageFile.ImageFile) -> bool:
    """Whether a plugin with a way of its own ends in Pillow's way, with nothing done before."""
    return image.format == "TIFF" and not getattr(image, "use_load_libtiff", False)
