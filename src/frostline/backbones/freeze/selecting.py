"""Choose parameters by name, pattern or rule; what matches nothing is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn

from frostline.core.errors import PatternError, did_you_mean

#: a shell pattern, a compiled regular expression, or a rule on a parameter's name and itself
Selector = str | re.Pattern[str] | Callable[[str, nn.Parameter], bool]


def select(module: nn.Module, what: Selector | Sequence[Selector] | None) -> set[str]:
    """Return the names of the chosen parameters.

    Raises PatternError if one of them chooses nothing; guesses what was meant.

    ``what``: shell patterns (``*``, ``?``, ``[...]``) match names of modules or parameters, where a
    module stands for everything below it; regular expressions are searched for in parameter names;
    callables get a name and a parameter. None chooses all.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    if what is None:
        return set(parameters)
    if isinstance(what, Sequence) and not isinstance(what, str):
        several: Sequence[Selector] = what
    else:
        several = [what]
    chosen: set[str] = set()
    for one in several:
        chosen |= _matches(module, parameters, one)
    return chosen


def select_modules(
    module: nn.Module, what: Selector | Sequence[Selector] | None
) -> list[nn.Module]:
    """Return the modules that names in ``what`` mean, with everything in them.

    These have perhaps no parameters, but statistics or a mode: None means all.
    """
    if what is None:
        return list(module.modules())
    names = [what] if isinstance(what, str) else what if isinstance(what, Sequence) else []
    patterns = [name for name in names if isinstance(name, str)]
    found: dict[nn.Module, None] = {}
    for path, child in module.named_modules(remove_duplicate=False):
        if path and any(fnmatchcase(path, pattern) for pattern in patterns):
            found.update(dict.fromkeys(child.modules()))
    return list(found)


def whole_modules(module: nn.Module, parameters: set[str]) -> Iterator[nn.Module]:
    """Modules all of whose parameters are listed, and parameterless ones among such siblings."""
    listed = {id(p) for n, p in module.named_parameters(remove_duplicate=False) if n in parameters}
    for path, child in module.named_modules():
        own = [id(p) for p in child.parameters()]
        while not own and path:
            # a layer without parameters goes with the module around it
            path = path.rpartition(".")[0]
            own = [id(p) for p in module.get_submodule(path).parameters()]
        if own and all(one in listed for one in own):
            yield child


def _matches(module: nn.Module, parameters: dict[str, nn.Parameter], one: Selector) -> set[str]:
    if isinstance(one, re.Pattern):
        found = {name for name in parameters if one.search(name)}
        if not found:
            raise PatternError(f"The regular expression {one.pattern!r} matches no parameter.")
        return found
    if not isinstance(one, str):
        found = {name for name, parameter in parameters.items() if one(name, parameter)}
        if not found:
            raise PatternError("The rule that was given chooses no parameter.")
        return found
    modules = [name for name, _ in module.named_modules(remove_duplicate=False) if name]
    below = tuple(f"{name}." for name in modules if fnmatchcase(name, one))
    found = {name for name in parameters if fnmatchcase(name, one) or name.startswith(below)}
    if not found and not below:
        raise PatternError(
            f"The pattern {one!r} matches no layer.",
            hint=did_you_mean(one, modules) or f"Top layers: {_top(modules)}.",
        )
    return found


def _top(modules: list[str]) -> str:
    return ", ".join(name for name in modules if "." not in name)
