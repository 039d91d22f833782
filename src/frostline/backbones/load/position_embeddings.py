"""Embeddings of positions, which belong to one image size, brought to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table_levit
from torch.nn import functional

#: pieces of the names of tensors that there is one of for every place in the image
_PLACES = ("pos_embed", "rel_pos", "relative_position", "position", "attention_bias", "pos_emb")
_PATCHES = ("patch_embed.proj.weight", "conv_proj.weight")
#: tokens before those of the image: none, the class, with distillation, with registers
_EXTRA_TOKENS = (0, 1, 2, 4, 5, 8, 9)


@dataclass(frozen=True)
class Changed:
    """Tensors whose shape a translation changed.

    ``notes``: what became of embeddings of positions. ``others``: tensors of any other kind: their
    change is no matter of image size.
    """

    notes: tuple[str, ...]
    others: tuple[str, ...]


def places_of(
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
) -> Changed:
    """Say which tensors changed their shape between two readings of the same weights."""
    notes, others = [], []
    # what only moved to the name of another, as the downsampling of Swin, has kept its shape
    moved = {id(tensor) for tensor in before.values()}
    for name, tensor in after.items():
        old = before.get(name)
        if old is None or name not in own or old.numel() == tensor.numel() or id(tensor) in moved:
            continue
        if is_of_places(name):
            notes.append(_said(name, old, tensor, own))
        else:
            others.append(name)
    return Changed(_together(notes), tuple(others))


def resampled(
    state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Bring absolute embeddings of positions to the network's size; say what was changed."""
    found, notes = dict(state), []
    for name, mine in own.items():
        old = state.get(name)
        if old is None or old.shape == mine.shape or not is_of_places(name):
            continue
        other = _resampled(old, mine)
        if other is not None:
            found[name] = other
            notes.append(_said(name, old, mine, own))
    return found, _together(notes)


def is_of_places(name: str) -> bool:
    """Whether a tensor has one entry for every place in the image, by its name."""
    return any(piece in name for piece in _PLACES)


def _resampled(old: torch.Tensor, mine: torch.Tensor) -> torch.Tensor | None:
    """Return embeddings in the form of ``mine``; None if they are no maps of the image."""
    if old.ndim == mine.ndim == 4 and old.shape[:2] == mine.shape[:2]:
        return _resized(old, mine.shape[2:])
    if old.ndim == mine.ndim == 4 and old.shape[::3] == mine.shape[::3]:
        if any(t.shape[1] != t.shape[2] for t in (old, mine)):
            # not places side by side, but windows of them
            return None
        return _resized(old.permute(0, 3, 1, 2), mine.shape[1:3]).permute(0, 2, 3, 1)
    if old.ndim == mine.ndim == 2 and len(old) == len(mine):
        # a bias for every head and distance
        if not all(_is_square(t.shape[1]) for t in (old, mine)):
            return None
        table: torch.Tensor = resize_rel_pos_bias_table_levit(old.T, mine.T.shape)
        return table.T.contiguous()
    if old.ndim != 3 or mine.ndim != 3 or old.shape[::2] != mine.shape[::2]:
        return None
    extra = _extra_tokens(old.shape[1], mine.shape[1])
    if extra is None:
        return None
    side = math.isqrt(mine.shape[1] - extra)
    resized: torch.Tensor = resample_abs_pos_embed(old, (side, side), num_prefix_tokens=extra)
    return resized


def _resized(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    height, width = size
    return functional.interpolate(
        maps.float(), size=(height, width), mode="bicubic", antialias=True
    )


def _extra_tokens(old: int, new: int) -> int | None:
    for extra in _EXTRA_TOKENS:
        if min(old, new) > extra and all(_is_square(n - extra) for n in (old, new)):
            return extra
    return None


def _is_square(n: int) -> bool:
    return math.isqrt(n) ** 2 == n


def _said(name: str, old: torch.Tensor, new: torch.Tensor, own: Mapping[str, torch.Tensor]) -> str:
    patch = next((own[n].shape[-1] for n in own if n.endswith(_PATCHES)), 0)
    extra = _extra_tokens(old.shape[1], new.shape[1]) if old.ndim == new.ndim == 3 else None
    if not patch or extra is None:
        return f"{name} {tuple(old.shape)} was resampled to {tuple(new.shape)}"
    sides = [math.isqrt(t.shape[1] - extra) * patch for t in (old, new)]
    return (
        f"{name} is that of images of {sides[0]} px and was resampled for {sides[1]} px "
        f"(--input-size {sides[0]} takes it as it is)"
    )


def _together(notes: list[str]) -> tuple[str, ...]:
    # a network has one table in every block
    if len(notes) < 3:
        return tuple(notes)
    return (f"{notes[0]}, and {len(notes) - 1} more like it",)
