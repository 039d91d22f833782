"""Letters in colour on grounds in colour, put together by the batch: what the ViT learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from benchmarks.decision.glyphs import covering, find_fonts
from benchmarks.vit.network import SIZE

#: side of the stored masks, and of the letters on them
_CANVAS, _LETTER = 96, 52
#: random numbers between two bounds, of a shape
_Between = Callable[..., torch.Tensor]
#: brightness by which letter and ground differ at least
_CONTRAST = 0.35


def masks(glyphs: str, fonts: Sequence[Path]) -> torch.Tensor:
    """Draw every glyph in every font, shape (fonts, glyphs, 96, 96), uint8: ink is 255."""
    drawn = np.zeros((len(fonts), len(glyphs), _CANVAS, _CANVAS), dtype=np.uint8)
    for i, font in enumerate(fonts):
        face = ImageFont.truetype(str(font), _LETTER)
        for j, glyph in enumerate(glyphs):
            canvas = Image.new("L", (_CANVAS, _CANVAS), 0)
            left, top, right, bottom = face.getbbox(glyph)
            middle = ((_CANVAS - left - right) / 2, (_CANVAS - top - bottom) / 2)
            ImageDraw.Draw(canvas).text(middle, glyph, fill=255, font=face)
            drawn[i, j] = np.asarray(canvas)
    return torch.from_numpy(drawn)


def pictures(
    ink: torch.Tensor, random: torch.Generator, variety: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put letters on grounds: masks (n, 96, 96) to pixels (n, 3, 64, 64) between 0 and 1.

    The second result, (n, 1, 64, 64), says where the ink of each picture is.

    Every picture has a size, slant and place of its own, two colours for its ground with blobs or
    stripes between them, and one or two for its letter. ``variety`` is how far all that is on the
    way from upright letters in the middle, white on black, which are learned much sooner.
    """
    n = len(ink)

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=random)

    shape = _moved(ink[:, None].float() / 255, between, variety)
    ground = _mix(_pattern(n, between), between(0, 1, n, 3), between(-0.2, 0.2, n, 3))
    letter = _mix(_blobs(n, 3, between), between(0, 1, n, 3), between(-0.2, 0.2, n, 3))
    # a letter of the ground's brightness could not be read
    gap = letter.mean(dim=(1, 2, 3)) - ground.mean(dim=(1, 2, 3))
    away = torch.where(gap < 0, -1.0, 1.0) * (_CONTRAST - gap.abs()).clamp(min=0)
    letter, ground = letter + away[:, None, None, None], ground - away[:, None, None, None]
    letter, ground = 1 + variety * (letter - 1), variety * ground
    noise = torch.randn(ground.shape, generator=random) * between(0, 0.06, n, 1, 1, 1)
    return (ground + shape * (letter - ground) + noise).clamp(0, 1), shape


def _moved(ink: torch.Tensor, between: _Between, variety: float) -> torch.Tensor:
    n = len(ink)
    angle, slant = between(-0.25, 0.25, n), between(-0.2, 0.2, n)
    # the letter is about two thirds of the picture
    scale = between(0.55, 0.95, n)
    wide, high = scale * between(0.85, 1.15, n), scale
    cos, sin = angle.cos(), angle.sin()
    turned = torch.stack([wide * cos, high * (slant - sin), wide * sin, high * cos], dim=1)
    moved = torch.cat([turned.reshape(n, 2, 2), between(-0.12, 0.12, n, 2, 1)], dim=2)
    # the plain letter fills three quarters of the picture
    moved = torch.lerp(torch.tensor([[0.75, 0.0, 0.0], [0.0, 0.75, 0.0]]), moved, variety)
    grid = functional.affine_grid(moved, [n, 1, SIZE, SIZE], align_corners=False)
    return functional.grid_sample(ink, grid, align_corners=False)


def _pattern(n: int, between: _Between) -> torch.Tensor:
    """Blobs, stripes or nothing, shape (n, 1, 64, 64), about -1 to 1."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    angle, wave = between(0, np.pi, n, 1, 1), between(5, 24, n, 1, 1)
    along = x * angle.cos() + y * angle.sin()
    stripes = (along * 2 * np.pi / wave + between(0, 6.3, n, 1, 1)).sin()[:, None]
    kind = between(0, 3, n, 1, 1, 1)
    return torch.where(kind < 1, _blobs(n, 9, between), torch.where(kind < 2, stripes, 0.0))


def _blobs(n: int, cells: int, between: _Between) -> torch.Tensor:
    coarse = between(-1, 1, n, 1, cells, cells)
    return functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear", align_corners=True)


def _mix(pattern: torch.Tensor, colour: torch.Tensor, towards: torch.Tensor) -> torch.Tensor:
    return colour[:, :, None, None] + pattern * towards[:, :, None, None]


def coloured(fonts: Path, letters: str, *, seen: bool, n: int) -> list[Image.Image]:
    """Draw letters as the transformer learned them, in fonts that it saw or did not see."""
    faces = covering(find_fonts(fonts))
    half = len(faces) // 2
    ink = masks(letters, faces[:half] if seen else faces[half:])
    random = torch.Generator().manual_seed(int(seen))
    kinds = torch.randint(len(letters), (n,), generator=random)
    drawn, _ = pictures(ink[torch.randint(len(ink), (n,), generator=random), kinds], random)
    pixels = (255 * drawn).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(one) for one in pixels]
