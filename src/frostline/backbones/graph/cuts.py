"""Find the places where exactly one tensor passes, and name them after modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from torch import fx, nn

from frostline.backbones.freeze.eval_mode import original_class
from frostline.backbones.graph.measuring import Step
from frostline.backbones.graph.passing import leaves_alone, passes_on
from frostline.backbones.graph.tracing import is_effect
from frostline.backbones.graph.window_fields import field_of
from frostline.backbones.layer_kinds import has_statistics
from frostline.core.cuts import Cut, Layout

#: a top-level module with more than this share of all MACs is the trunk: its children are stages
_TRUNK_SHARE = 0.6
#: a container with less of them than this is a stem or a head, and no rival of the trunk
_NOTABLE_SHARE = 0.1

#: what a network's own classifier reads, as timm calls it
PRE_LOGITS = "pre_logits"


@dataclass(frozen=True, kw_only=True)
class TracedCut(Cut):
    """A cut of a traced network.

    ``overwritten``: whether a later operation changes the passing tensor in place. ``node``: what
    gives the passing tensor.
    """

    overwritten: bool
    node: fx.Node

    def plain(self) -> Cut:
        """Return the same without the graph."""
        return Cut(**{field.name: getattr(self, field.name) for field in fields(Cut)})


def find_cuts(
    net: nn.Module,
    steps: Sequence[Step],
    *,
    sides: tuple[int, int],
    parameters: Callable[[Iterable[str]], int],
    everywhere: bool = False,
    pre_logits: fx.Node | None = None,
) -> list[TracedCut]:
    """Return the cuts in order of depth; the network's output is none, unless it is a vector.

    - ``steps``: the image-dependent steps, in order of execution.
    - ``sides``: height and width of the images, which tell how maps are laid out.
    - ``parameters``: number of parameters behind some targets of the graph, each counted once.
    - ``everywhere``: True returns every place where one tensor passes; False only ends of stages
      and blocks.
    - ``pre_logits``: what the classifier reads, which is a stage of its own; None for none. It is
      a cut even where the network ends with it.
    """
    single = _single_tensor_positions(steps)
    last_use = {path: i for i, step in enumerate(steps) for path in step.scopes}
    stages = stage_paths(net, steps)
    total = sum(step.macs for step in steps)
    everything = parameters({target for step in steps for target in step.tensors})
    found: list[TracedCut] = []
    macs = 0
    used: set[str] = set()
    inner: dict[str, int] = {}
    for position, step in enumerate(steps):
        macs += step.macs
        used |= step.tensors
        shape = step.shape
        alone = position in single or (step.node is pre_logits and _ends(step))
        if not alone or shape is None or not 1 <= len(shape) <= 3:
            continue
        ended = [path for path in step.scopes if last_use[path] == position]
        if step.node is pre_logits:
            named = [PRE_LOGITS]
        elif everywhere:
            named = ended[:1] or [_inner_name(step, inner)]
        else:
            named = [p for p in ended if p in stages] or [
                p for p in ended if _known(net, p, stages)
            ]
            if passes_on(net, step.node):
                named = [p for p in named if not leaves_alone(net.get_submodule(p))]
                if not named and found and _alike(net, steps, found[-1].position, position):
                    found[-1] = _also_called(found[-1], ended)
        if not named:
            continue
        layout = _layout(shape, sides)
        before = parameters(used)
        cut = TracedCut(
            name=named[0],
            aliases=tuple(path for path in ended if path != named[0]),
            index=len(found),
            position=position,
            shape=shape,
            layout=layout,
            channels=shape[0] if layout == "NCHW" else shape[-1],
            macs_before=macs,
            macs_after=total - macs,
            parameters_before=before,
            parameters_after=everything - before,
            stage_end=named[0] in stages or step.node is pre_logits,
            receptive_field=_receptive_field(step, layout, sides),
            overwritten=step.overwritten,
            node=step.node,
        )
        if not everywhere and found and _same_place(found[-1], cut):
            previous = found.pop()
            between = [step.node for step in steps[previous.position + 1 : position + 1]]
            if all(passes_on(net, node) for node in between):
                # the earlier name says it; in train mode dropout makes the two differ
                if _alike(net, steps, previous.position, position):
                    previous = _also_called(previous, (cut.name, *cut.aliases))
                cut = replace(previous, stage_end=previous.stage_end or cut.stage_end)
            elif previous.stage_end and not cut.stage_end and not _batch_norm(net, between):
                # a norm layer that begins the next stage is no end of this one
                cut = previous
            else:
                # nothing is multiplied between the two, so the later one stands for both
                cut = replace(
                    cut, index=previous.index, stage_end=previous.stage_end or cut.stage_end
                )
        found.append(cut)
    return found


def _ends(step: Step) -> bool:
    return all(user.op == "output" for user in step.node.users)


def _alike(net: nn.Module, steps: Sequence[Step], start: int, stop: int) -> bool:
    """Whether the value after one step is that after a later one, in train mode too."""
    return all(passes_on(net, step.node, always=True) for step in steps[start + 1 : stop + 1])


def _also_called(cut: TracedCut, names: Iterable[str]) -> TracedCut:
    return replace(cut, aliases=tuple(dict.fromkeys((*cut.aliases, *names))))


def _batch_norm(net: nn.Module, nodes: Iterable[fx.Node]) -> bool:
    modules = (net.get_submodule(str(n.target)) for n in nodes if n.op == "call_module")
    return any(has_statistics(layer) for module in modules for layer in module.modules())


def _same_place(previous: Cut, cut: Cut) -> bool:
    """Whether no work lies between two cuts, and the pooled one is not taken for a map."""
    return (
        previous.macs_before == cut.macs_before
        and (previous.stage_end <= cut.stage_end or previous.shape == cut.shape)
        and previous.is_map == cut.is_map
    )


def stage_paths(net: nn.Module, steps: Sequence[Step]) -> list[str]:
    """Return the names of the stages: top-level modules, the trunk replaced by its children.

    The trunk is the one plain container that holds a notable share of the work, or a module
    that holds most of it.
    """
    total = sum(step.macs for step in steps) or 1
    tops: dict[str, list[str]] = {}
    for top, macs in _work_below(steps, "").items():
        children = _work_below(steps, top)
        while len(children) == 1 and macs / total > _NOTABLE_SHARE:
            # a wrapper around one module is no level of its own
            top = next(iter(children))
            children = _work_below(steps, top)
        many = len(children) > 1 and macs / total > _NOTABLE_SHARE
        tops[top] = list(children) if many else []
    plain = [top for top, children in tops.items() if children and _is_container(net, top)]
    work = _work_below(steps, "")
    stages: list[str] = []
    for top, inner in tops.items():
        share = sum(m for path, m in work.items() if _is_within(top, path)) / total
        trunk = plain == [top] or (not plain and share > _TRUNK_SHARE)
        stages += inner if inner and trunk else [top]
    return [path for path in stages if not leaves_alone(net.get_submodule(path))]


def _is_container(net: nn.Module, path: str) -> bool:
    kinds = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return original_class(net.get_submodule(path)) in kinds


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}.")


def _single_tensor_positions(steps: Sequence[Step]) -> set[int]:
    """Positions after which exactly one value is still needed: the one just made."""
    place = {step.node: i for i, step in enumerate(steps)}
    until = {}
    for i, step in enumerate(steps):
        # what only asks for a size does not need the value itself
        uses = [place[user] for user in step.node.users if user in place]
        returned_here = any(user.op == "output" for user in step.node.users)
        until[i] = len(steps) if returned_here else max(uses, default=i)
        if not step.node.users and is_effect(step.node):
            # it changes a value in place: whoever made that value stays open until here
            for parent in step.node.all_input_nodes:
                if parent in place:
                    until[place[parent]] = max(until[place[parent]], i)
    image_until = max(
        (
            place[s.node]
            for s in steps
            if any(p.op == "placeholder" for p in s.node.all_input_nodes)
        ),
        default=0,
    )
    alone: set[int] = set()
    open_values: set[int] = set()
    for i, step in enumerate(steps):
        open_values = {j for j in open_values if until[j] > i}
        if not open_values and until[i] > i and i >= image_until and not _ends(step):
            alone.add(i)
        open_values.add(i)
    return alone


def _known(net: nn.Module, path: str, stages: Sequence[str]) -> bool:
    """Whether people know this module as a block: all that holds it is a stage or a container."""
    parent = path.rpartition(".")[0]
    while parent:
        if parent not in stages and not _is_container(net, parent):
            # above the stages, wrappers do not matter
            return any(stage.startswith(f"{parent}.") for stage in stages) and any(
                path == stage or path.startswith(f"{stage}.") for stage in stages
            )
        parent = parent.rpartition(".")[0]
    return True


def _inner_name(step: Step, taken: dict[str, int]) -> str:
    """Name a place inside a module by what was just computed."""
    target = step.node.target
    operation = target if isinstance(target, str) else getattr(target, "__name__", "value")
    scope = step.scopes[-1] if step.scopes else ""
    name = f"{scope}:{operation}"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}.{taken[name]}"


def _work_below(steps: Sequence[Step], parent: str) -> dict[str, int]:
    """MACs of every child of ``parent`` that runs, in order of its first use."""
    depth = parent.count(".") + 1 if parent else 0
    found: dict[str, int] = {}
    for step in steps:
        for path in step.scopes:
            below = not parent or path.startswith(f"{parent}.")
            if below and path.count(".") == depth:
                found[path] = found.get(path, 0) + step.macs
    return found


def _receptive_field(step: Step, layout: Layout, sides: tuple[int, int]) -> int | None:
    if step.reached is not None:
        return field_of(step.reached, layout, sides)
    return None if step.field is None or step.field.size == math.inf else int(step.field.size)


def _layout(shape: Sequence[int], sides: tuple[int, int]) -> Layout:
    """Find the two sides of a map by the proportions of the image."""
    if len(shape) < 3:
        return "NLC" if len(shape) == 2 else "NC"
    wanted = math.log(sides[0] / sides[1])
    first = abs(math.log(max(shape[0], 1) / max(shape[1], 1)) - wanted)
    last = abs(math.log(max(shape[1], 1) / max(shape[2], 1)) - wanted)
    return "NHWC" if first < last else "NCHW"
