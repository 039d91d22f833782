"""Load the weights of a file into a network: by name, with everything left or changed said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from frostline.backbones.fingerprints import classifier_names, versioned, within
from frostline.backbones.load.merged_form import merge_in_place, merged_form
from frostline.backbones.load.position_embeddings import is_of_places, places_of, resampled
from frostline.backbones.load.timm_names import as_timm_reads
from frostline.backbones.load.weight_names import Named, bring_home, modern_dense
from frostline.backbones.load.weights_advice import advice
from frostline.backbones.load.weights_file import read_checkpoint
from frostline.core.errors import BackboneError

#: ends of names that a network works out for itself, or that tools left behind
_DERIVED = (
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
    "attention_bias_idxs",
    "attn_mask",
    "total_ops",
    "total_params",
    "n_averaged",
)
#: beginnings of the names of what pretraining needs and a network of features does not
_PRETEXT = (
    "aux",
    "AuxLogits",
    "classifier",
    "contrast",
    "criterion",
    "decoder",
    "dino_head",
    "fc",
    "head",
    "ibot_head",
    "loss",
    "mask_token",
    "momentum",
    "pre_logits",
    "predict",
    "project",
    "proj_head",
    "prototypes",
    "queue",
)
_SHOWN = 3
_FULL = torch.float32


class MisfitError(BackboneError):
    """Weights that are not those of a network."""


@dataclass(frozen=True)
class _Found:
    """What stands between weights and a network."""

    missing: list[str]
    unknown: list[str]
    misshapen: list[str]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unknown or self.misshapen)


def load_weights_file(net: nn.Module, path: Path) -> tuple[str, ...]:
    """Load a file of weights into a network.

    Raises BackboneError if the file cannot be read as weights, or they are not those of this
    network.

    The result: what was chosen, left or changed, a sentence each.
    """
    what = f"Weights file {path}"
    found = read_checkpoint(path)
    notes = tuple(f"{note}." for note in found.notes)
    if any(name.endswith("/kernel") for name in found.tensors) and hasattr(net, "load_pretrained"):
        return (*notes, *_from_jax(net, path, found.tensors, what))
    return (*notes, *fit_by_name(net, found.tensors, what=what))


def fit_by_name(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> tuple[str, ...]:
    """Load ``state`` by name; only the classifier may be missing, other or of another width.

    Returns
    -------
    tuple of str
        What was not taken from ``state``, or changed: a sentence each.

    Raises
    ------
    BackboneError
        Names how many tensors are missing, unknown, of another shape or not finite, and the
        first of each.
    """
    classifier = classifier_names(net)
    own = net.state_dict()
    needed = [n for n in own if not within(n, classifier) and not _is_derived(n)]
    home = bring_home(state, net, needed, what=what)
    named, found = home, _compare(own, home.tensors, classifier)
    if not found.fits:
        for other in _other_readings(net, home, state):
            second = _compare(own, other.tensors, classifier)
            if second.fits:
                named, found = other, second
                break
    if not found.fits:
        merged = _as_merged(net, state, what)
        if merged is None:
            raise _misfit(net, home.tensors, own, found, classifier, what)
        return merged
    spoilt = [
        n
        for n, t in named.tensors.items()
        if n in own and t.is_floating_point() and not torch.isfinite(t).all()
    ]
    if spoilt:
        raise BackboneError(
            f"{what} is spoilt: {len(spoilt)} of {len(named.tensors)} tensors with NaN or "
            f"infinite values (first: {', '.join(spoilt[:_SHOWN])}).",
            hint="Take an earlier checkpoint: training has diverged before this one was saved.",
        )
    usable = {n: t for n, t in named.tensors.items() if n in own and own[n].shape == t.shape}
    net.load_state_dict(versioned(net, usable), strict=False)
    notes = [f"{what}: {note}" for note in named.notes]
    notes += _said_of_types(usable, what)
    left = [n for n in own if n not in usable and within(n, classifier)]
    if left:
        theirs = [tuple(named.tensors[n].shape) for n in left if n in named.tensors]
        reason = (
            f"has shape {theirs[0]}, not {tuple(own[left[0]].shape)}" if theirs else "is missing"
        )
        notes.append(f"{what}: the classifier ({left[0]} {reason}) was replaced by a new one.")
    unused = [n for n in named.tensors if n not in own and not n.endswith("num_batches_tracked")]
    if dropped := [*unused, *named.outside]:
        notes.append(
            f"{what}: {len(dropped)} tensor{'s' if len(dropped) > 1 else ''} beside the network "
            f"{'were' if len(dropped) > 1 else 'was'} left (first: "
            f"{', '.join(n[:80] for n in dropped[:_SHOWN])})"
        )
    return tuple(note if note.endswith(".") else f"{note}." for note in notes)


def _as_merged(
    net: nn.Module, state: Mapping[str, torch.Tensor], what: str
) -> tuple[str, ...] | None:
    """Load weights of a network whose branches were merged; None if they are no such weights."""
    merged = merged_form(net)
    if merged is None:
        return None
    try:
        notes = fit_by_name(merged, state, what=what)
    except MisfitError:
        return None
    merge_in_place(net)
    net.load_state_dict(merged.state_dict())
    said = "branches of its layers were merged for inference (reparameterised), and stay so"
    return (f"{what}: {said}.", *notes)


def _other_readings(
    net: nn.Module, home: Named, state: Mapping[str, torch.Tensor]
) -> Sequence[Named]:
    """Read the names in other ways, the likeliest first."""
    own = net.state_dict()
    readings = []
    for given in (home.tensors, dict(state)):
        translated = as_timm_reads(net, given)
        if translated is None:
            continue
        notes = list(home.notes)
        changed = places_of(given, translated, own)
        if set(translated) - set(given):
            notes.append("names were translated as timm does for this architecture")
        notes += changed.notes
        if not changed.others:
            readings.append(Named(translated, home.outside, tuple(notes)))
    fitted, notes_of_places = resampled(home.tensors, own)
    if notes_of_places:
        readings.append(Named(fitted, home.outside, (*home.notes, *notes_of_places)))
    dense = modern_dense(home.tensors)
    if dense.keys() != home.tensors.keys():
        said = "names of an old DenseNet of torchvision were brought to those of today"
        readings.append(Named(dense, home.outside, (*home.notes, said)))
    return readings


def _compare(
    own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], classifier: tuple[str, ...]
) -> _Found:
    return _Found(
        missing=[
            n for n in own if n not in state and not within(n, classifier) and not _is_derived(n)
        ],
        unknown=[
            n
            for n in state
            if n not in own and not within(n, classifier) and not _is_beside(n, own)
        ],
        misshapen=[
            n
            for n in own
            if n in state
            and own[n].shape != state[n].shape
            and not within(n, classifier)
            and not _is_derived(n)
        ],
    )


def _is_derived(name: str) -> bool:
    return name.rpartition(".")[2] in _DERIVED


def _is_beside(name: str, own: Collection[str]) -> bool:
    """Whether a tensor belongs to no network of features: counters, and parts for pretraining."""
    top = name.partition(".")[0]
    pretext = top.startswith(_PRETEXT) and not any(n.startswith(f"{top}.") for n in own)
    return pretext or _is_derived(name)


def _misfit(
    net: nn.Module,
    state: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    found: _Found,
    classifier: tuple[str, ...],
    what: str,
) -> MisfitError:
    counted = (
        (found.missing, f"of {len(own)} tensors missing"),
        (found.unknown, f"of {len(state)} tensors in the file unknown"),
        (found.misshapen, f"of {len(own)} tensors of another shape"),
    )
    problems = [
        f"{len(names)} {label} (first: {_listed(names, own, state)})"
        for names, label in counted
        if names
    ]
    config = getattr(net, "pretrained_cfg", None) or {}
    architecture = str(config.get("architecture") or "")
    hint = advice(state, architecture=architecture, classifier=classifier)
    if not (found.missing or found.unknown) and all(map(is_of_places, found.misshapen)):
        hint = (
            "Only embeddings of positions differ, in a way that cannot be resampled: give the size "
            "of the square images that they were trained on as --input-size."
        )
    return MisfitError(
        f"{what} does not fit the architecture{f' {architecture}' if architecture else ''}: "
        f"{'; '.join(problems)}.",
        hint=hint,
    )


def _listed(
    names: list[str], own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> str:
    """Name the first three tensors, with both shapes where they differ."""
    shown = []
    for name in names[:_SHOWN]:
        if name in own and name in state and own[name].shape != state[name].shape:
            name += f" {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        shown.append(name)
    return ", ".join(shown)


def _said_of_types(state: Mapping[str, torch.Tensor], what: str) -> list[str]:
    kinds = sorted(
        {
            str(t.dtype).removeprefix("torch.")
            for t in state.values()
            if t.is_floating_point() and t.dtype != _FULL
        }
    )
    return [f"{what}: numbers kept as {', '.join(kinds)} were read as float32"] if kinds else []


def _from_jax(
    net: nn.Module, path: Path, theirs: Mapping[str, torch.Tensor], what: str
) -> tuple[str, ...]:
    """Let timm read weights of Google's JAX code, whose layers have another form."""
    load = net.load_pretrained
    try:
        load(str(path))  # type: ignore[operator]
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as e:
        raise BackboneError(
            f"{what} has the names of JAX, but not those of this architecture ({e}).",
            hint="Give the architecture that these weights were trained with as the backbone.",
        ) from e
    if spoilt := [n for n, t in net.state_dict().items() if not torch.isfinite(t).all()]:
        raise BackboneError(f"{what} is spoilt: NaN or infinite values in {spoilt[0]}.")
    own = net.state_dict()
    places = next((t for n, t in theirs.items() if n.endswith("pos_embedding")), None)
    _, moved = resampled({} if places is None else {"pos_embed": places}, own)
    said = ("names and layers of JAX were translated as timm does", *moved)
    return tuple(f"{what}: {one}." for one in said)
