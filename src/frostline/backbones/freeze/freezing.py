"""Freeze and unfreeze layers so that nothing in them can move: values, statistics, mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from frostline.backbones.fingerprints import fingerprints
from frostline.backbones.freeze.eval_mode import is_locked, lock_eval, requested_mode, unlock
from frostline.backbones.freeze.selecting import Selector, select, select_modules, whole_modules
from frostline.backbones.layer_kinds import has_statistics, is_dropout
from frostline.backbones.network import Network
from frostline.core.errors import CutError, FrozenChangedError


@dataclass(frozen=True)
class FreezeReport:
    """What is frozen and what trains after a call of :func:`freeze` or :func:`unfreeze`.

    Attributes
    ----------
    changed : tuple of str
        Parameters that this call froze or unfroze.
    frozen, trainable : tuple of str
        All parameters of the module, by name.
    held : tuple of str
        Layers with state or randomness of their own that stay in eval mode.
    shared : tuple of str
        Frozen parameters that layers after the cut use too.
    """

    changed: tuple[str, ...]
    frozen: tuple[str, ...]
    trainable: tuple[str, ...]
    held: tuple[str, ...]
    shared: tuple[str, ...]
    _sizes: dict[str, int] = field(repr=False, default_factory=dict)

    @property
    def n_frozen(self) -> int:
        """Number of frozen values."""
        return sum(self._sizes[name] for name in self.frozen)

    @property
    def n_trainable(self) -> int:
        """Number of values that train."""
        return sum(self._sizes[name] for name in self.trainable)

    def __str__(self) -> str:
        lines = []
        for label, names, count in (
            ("frozen", self.frozen, self.n_frozen),
            ("trains", self.trainable, self.n_trainable),
        ):
            layers = list(dict.fromkeys(_layer(name) for name in names))
            lines.append(f"{label}: {count:,} parameters in {_shortened(layers)}")
        if self.held:
            lines.append(f"held in eval mode: {len(self.held)} norm and dropout layers")
        if self.shared:
            lines.append(f"also used after the cut: {_shortened(list(self.shared))}")
        return "\n".join(lines)


def freeze(
    module: nn.Module,
    what: Selector | Sequence[Selector] | None = None,
    *,
    upto: str | None = None,
    example: torch.Tensor | None = None,
) -> FreezeReport:
    """Freeze parameters, and keep their modules in eval mode through every later ``train()``.

    Parameters
    ----------
    module : Module
        Changed in place.
    what : str, compiled regular expression, callable, sequence of these, or None
        Shell patterns (``*``, ``?``, ``[...]``) for names of modules or parameters, where a
        module stands for everything below it; regular expressions for names of parameters;
        rules that get a name and a parameter. None freezes all, unless ``upto`` is given.
    upto : str or None, default=None
        Name of a cut: everything that runs before it is frozen.
    example : Tensor of shape (n, channels, height, width), optional
        For ``upto``: images that the module accepts; not needed for networks of timm.

    Returns
    -------
    FreezeReport

    Raises
    ------
    PatternError
        If a pattern matches nothing.
    CutError
        If there is no such cut, or freezing up to it could not be kept.
    """
    chosen: set[str] = set()
    shared: tuple[str, ...] = ()
    holding: list[nn.Module] = []
    if upto is not None:
        network = Network.load(module, example=example)
        before, shared, holding = _before(network, upto)
        chosen |= before
    if what is not None or upto is None:
        chosen |= select(module, what)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name in chosen:
            parameter.requires_grad_(False)
            # AdamW would still move a parameter whose gradient is zero instead of None
            parameter.grad = None
    named = select_modules(module, what) if what is not None or upto is None else []
    frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
    for child in (*named, *whole_modules(module, frozen), *holding):
        lock_eval(child)
    return _report(module, chosen, shared)


def unfreeze(
    module: nn.Module,
    what: Selector | Sequence[Selector] | None = None,
    *,
    after: str | None = None,
    example: torch.Tensor | None = None,
) -> FreezeReport:
    """Undo :func:`freeze` for the same kinds of selection, or for everything after a cut.

    Layers that were held take the mode of ``module``. An optimiser learns of newly trainable
    parameters through :func:`frostline.nn.add_new_groups`.
    """
    chosen: set[str] = set()
    running: list[nn.Module] = []
    if after is not None:
        network = Network.load(module, example=example)
        before, _, _ = _before(network, after)
        chosen |= {name for name, _ in module.named_parameters()} - before
        running = _modules_of(module, set(network.scopes_after(after)))
    if what is not None or after is None:
        chosen |= select(module, what)
    mode = requested_mode(module)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name in chosen and (parameter.is_floating_point() or parameter.is_complex()):
            parameter.requires_grad_(True)
    named = select_modules(module, what) if what is not None or after is None else []
    trainable = {n for n, p in module.named_parameters() if p.requires_grad}
    loose = {*named, *whole_modules(module, trainable), *running}
    for child in module.modules():
        # a container with something trainable inside must not hold it back
        if child in loose or any(p.requires_grad for p in child.parameters()):
            unlock(child, training=mode)
    return _report(module, chosen, ())


def lock_norms_in_eval(module: nn.Module) -> None:
    """Keep every norm layer at its stored statistics; its weights may still train."""
    for child in module.modules():
        if has_statistics(child):
            lock_eval(child)


def frozen_names(module: nn.Module) -> list[str]:
    """Names of everything in the state dict that training must not change.

    These are the parameters without gradient and the buffers of modules held in eval mode.
    """
    frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
    for path, child in module.named_modules():
        if is_locked(child):
            for name, _ in child.named_buffers(recurse=False):
                frozen.add(f"{path}.{name}" if path else name)
    return [name for name in module.state_dict() if name in frozen]


def frozen_fingerprints(module: nn.Module) -> dict[str, str]:
    """SHA-256 of everything that :func:`frozen_names` lists."""
    names = set(frozen_names(module))
    return {name: digest for name, digest in fingerprints(module).items() if name in names}


def verify_frozen(module: nn.Module, before: dict[str, str]) -> None:
    """Compare frozen tensors with their fingerprints from before.

    Raises
    ------
    FrozenChangedError
        Names the first tensors that are not bit-identical.
    """
    after = fingerprints(module)
    changed = [name for name, digest in before.items() if after.get(name) != digest]
    if changed:
        raise FrozenChangedError(
            f"{len(changed)} frozen tensors changed during training: {', '.join(changed[:5])}."
        )


def _before(network: Network, cut: str) -> tuple[set[str], tuple[str, ...], list[nn.Module]]:
    """Parameters used before a cut, those used after it too, and modules that only run before."""
    if network.acts_by_mode_before(cut):
        raise CutError(
            f"The forward() of {network.name} itself acts by its mode before {cut!r} (dropout "
            "that is no layer), so that part would change with train().",
            hint="Use prefix, suffix = Network.load(module).split(cut) and freeze the prefix.",
        )
    module = network.module
    before, after = network.tensors_before(cut)
    names = _parameters_below(module, before)
    both = names & _parameters_below(module, after)
    own = set(network.scopes_before(cut)) - set(network.scopes_after(cut))
    return names, tuple(sorted(both)), _modules_of(module, own)


def _parameters_below(module: nn.Module, targets: set[str]) -> set[str]:
    below = tuple(f"{target}." for target in targets)
    everything = list(module.named_parameters(remove_duplicate=False))
    ids = {id(p) for name, p in everything if name in targets or name.startswith(below)}
    # by identity: a tied tensor has several names, of which the module reports the first
    return {name for name, p in everything if id(p) in ids}


def _modules_of(module: nn.Module, paths: set[str]) -> list[nn.Module]:
    found = [child for name, child in module.named_modules() if name in paths]
    # a layer that the trace did not look into holds others
    return [inner for child in found for inner in child.modules()]


def _report(module: nn.Module, changed: set[str], shared: tuple[str, ...]) -> FreezeReport:
    parameters = dict(module.named_parameters())
    return FreezeReport(
        changed=tuple(name for name in parameters if name in changed),
        frozen=tuple(name for name, p in parameters.items() if not p.requires_grad),
        trainable=tuple(name for name, p in parameters.items() if p.requires_grad),
        held=tuple(
            path
            for path, child in module.named_modules()
            if is_locked(child)
            and not any(True for _ in child.children())
            and (has_statistics(child) or is_dropout(child))
        ),
        shared=shared,
        _sizes={name: p.numel() for name, p in parameters.items()},
    )


def _layer(name: str) -> str:
    parts = name.split(".")
    numbered = len(parts) > 2 and parts[1].isdigit()
    return ".".join(parts[:2]) if numbered else parts[0]


def _shortened(names: list[str]) -> str:
    if not names:
        return "no layer"
    return ", ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])
