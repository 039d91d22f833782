"""Which layers lie between two steps of a network, by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

# a shortcut's statistics repeat those of the branch beside it, at the scale of another stage
_SHORTCUTS = ("downsample", "shortcut")


def is_shortcut(path: str) -> bool:
    """Whether a layer lies on a branch beside the main path."""
    return any(part in path for part in _SHORTCUTS)


def layers_between(
    scopes: Sequence[Sequence[str]], stages: Collection[str], start: int, stop: int
) -> list[str]:
    """Name the layers of some steps, as few names as say it exactly.

    - ``scopes``: the modules that each step lies in, the outermost first.
    - ``stages``: names of the stages.
    """
    outside = {path for step in (*scopes[:start], *scopes[stop:]) for path in step}
    names: dict[str, None] = {}
    for step in scopes[start:stop]:
        # the outermost module, from its stage down, that lies wholly inside
        paths = [p for p in step if at_or_below(p, stages) and p not in outside]
        if paths:
            names[paths[0]] = None
    return list(names)


def among(names: Iterable[str], layers: Iterable[str]) -> list[str]:
    """Return the names of modules or tensors that are, or lie in, some layers."""
    inside = set(layers)
    return [name for name in names if at_or_below(name, inside)]


def at_or_below(path: str, tops: Iterable[str]) -> bool:
    """Whether a path is one of some modules, or lies in one."""
    return any(path == top or path.startswith(f"{top}.") for top in tops)
