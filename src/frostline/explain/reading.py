"""A classifier, divided where its maps end: what finds them, and what is read from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from frostline.backbones.graph.cuts import Layout
from frostline.backbones.heads.classifiers import BlendClassifier, Classifier, TapsClassifier

Maps = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Reading:
    """The two halves of a classifier; ``logits(behind(maps))`` are its logits.

    Attributes
    ----------
    cuts : tuple of str
        Where the maps are taken, by depth.
    layouts : tuple of str
        How each map is laid out once ``behind`` has been applied.
    graph : Module
        Normalised images (n, 3, size, size) to one map, or to a tuple of them.
    behind : callable
        What runs on the maps before they are pooled: a new block, or nothing.
    logits : callable
        Pooling (mean and spread over space) and a linear head: maps to (n, C).
    """

    cuts: tuple[str, ...]
    layouts: tuple[Layout, ...]
    graph: nn.Module
    behind: Callable[[Maps], Maps]
    logits: Callable[[Maps], torch.Tensor]

    @property
    def in_space(self) -> bool:
        """Whether every map has its values side by side in space."""
        return all(layout in ("NCHW", "NHWC") for layout in self.layouts)

    def maps(self, images: torch.Tensor) -> Maps:
        """Return the maps at the cuts."""
        found = self.graph(images)
        return (found,) if isinstance(found, torch.Tensor) else tuple(found)


def read_in_parts(module: nn.Module) -> Reading | None:
    """Divide a classifier that Frostline has built; None for any other module."""
    if isinstance(module, TapsClassifier):
        body, head = module.body, module.head
        return Reading(
            cuts=tuple(body.slices),
            layouts=body.layouts,
            graph=body.graph,
            behind=lambda maps: maps,
            logits=lambda maps: head(body.pool(maps)),
        )
    if isinstance(module, Classifier):
        return Reading(
            cuts=(module.cut_name,),
            layouts=(module.layout,),
            graph=module.kept,
            behind=lambda maps: (module.new(maps[0]),),
            logits=lambda maps: module.read(maps[0]),
        )
    return None


def lead(module: nn.Module) -> nn.Module:
    """Return the first member of a blend, which is the one that led; otherwise the module."""
    return module.members[0] if isinstance(module, BlendClassifier) else module


def own_names(module: nn.Module, names: Collection[str]) -> set[str]:
    """Names of the lead's tensors as its network calls them, out of those of the module."""
    before = "members.0." if isinstance(module, BlendClassifier) else ""
    mine = {name.removeprefix(before) for name in names if name.startswith(before)}
    return {name.removeprefix("body.graph.").removeprefix("kept.") for name in mine}


def divides(module: nn.Module) -> bool:
    """Whether a classifier, or every member of a blend, reads from maps in space."""
    if isinstance(module, BlendClassifier):
        return all(divides(member) for member in module.members)
    reading = read_in_parts(module)
    return reading is not None and reading.in_space
