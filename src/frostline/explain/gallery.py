"""The pictures that a report shows: plain data, made once, kept with the run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image with what is to be said about it.

    Attributes
    ----------
    path : str
        The image's name in the catalog.
    label : str
        Its class as given.
    prediction : str
        The likeliest class; empty where nothing was predicted.
    confidence : float
        Probability of the prediction, in [0, 1].
    thumbnail : bytes
        A small JPEG.
    heat : bytes
        The same image with what spoke for the prediction drawn over it, as JPEG; empty without one.
    note : str
        A short sentence, for instance why it is shown.
    """

    path: str
    label: str
    prediction: str = ""
    confidence: float = 0.0
    thumbnail: bytes
    heat: bytes = b""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What one depth of the network responds to in the user's own images.

    Attributes
    ----------
    layer : str
        Name of the cut.
    picture : bytes
        A JPEG: the images' patches that a few channels respond to most, a row a channel.
    frozen : bool
        Whether the layer was left as pretrained.
    """

    layer: str
    picture: bytes
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """All pictures of a report.

    Attributes
    ----------
    mistakes : tuple of Tile
        The most confident wrong predictions, the worst first.
    doubtful : tuple of Tile
        Likely label errors, the likeliest first.
    findings : tuple of Tile
        What the audit found: copies, near-duplicates, leaks.
    filters : bytes
        A PNG of the first convolution's filters; empty where there are none to draw.
    depths : tuple of Depth
        By depth, the first layer first.
    """

    mistakes: tuple[Tile, ...] = ()
    doubtful: tuple[Tile, ...] = ()
    findings: tuple[Tile, ...] = ()
    filters: bytes = b""
    depths: tuple[Depth, ...] = field(default=())
