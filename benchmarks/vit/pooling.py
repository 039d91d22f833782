"""Taps that know class token and registers against mean and spread over all tokens alike."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.vit.network import PREPROCESSING, pretrained
from benchmarks.vit.tasks import Task
from frostline.core.arrays import BoolArray, IntArray
from frostline.evidence.probes import ALL, best_tap, probe
from frostline.stats.intervals import paired_difference
from frostline.strategy.gates import simplest_of_the_best
from frostline.targets.labelled import Labelled

Taps = npt.NDArray[np.float32]

_BATCH = 64


def compared(task: Task, old: Mapping[str, Taps], rows: IntArray) -> dict[str, Any]:
    """Score the heads on both kinds of taps by exact leave-one-out on the same images."""
    labelled = Labelled(task.problem.target, task.problem.labels[rows], task.problem.groups[rows])
    features = task.frozen.features
    new = {tap: features.tap([tap], rows) for tap in task.frozen.network.taps}
    heads = {
        "new": _heads(new, labelled),
        "old": _heads({tap: values[rows] for tap, values in old.items()}, labelled),
    }
    found: dict[str, Any] = {"n": len(rows), "classes": task.problem.target.n_outputs}
    for head in ("last", "all", "chosen"):
        right = {kind: heads[kind][head] for kind in heads}
        gain, error = paired_difference(right["new"], right["old"], groups=labelled.groups)
        found[head] = {
            **{kind: round(float(values.mean()), 4) for kind, values in right.items()},
            "gain": round(gain, 4),
            "error": round(error, 4),
        }
    return found


def _heads(taps: Mapping[str, Taps], labelled: Labelled) -> dict[str, BoolArray]:
    """Return which images each head gets right: on the last tap, on all, and what is chosen."""
    probes = [probe(name, values, labelled) for name, values in taps.items()]
    ends = np.cumsum([0, *(values.shape[1] for values in taps.values())])
    blocks = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    together = probe(ALL, np.concatenate(list(taps.values()), axis=1), labelled, blocks=blocks)
    last, best = probes[-1].correct, probes[best_tap(probes, labelled.groups)].correct
    options = [last, together.correct, best]
    chosen = options[simplest_of_the_best(options, labelled.groups)]
    return {"last": last, "all": together.correct, "chosen": chosen}


def taps_of_all_tokens(task: Task) -> dict[str, Taps]:
    """Pool as though all tokens were patches: mean and spread after every block and at the end."""
    net = pretrained()
    places = {"patch_embed": net.patch_embed, "norm": net.norm}
    places |= {f"blocks.{i}": block for i, block in enumerate(net.blocks)}
    order = ["patch_embed", *(f"blocks.{i}" for i in range(len(net.blocks))), "norm"]
    passed: dict[str, torch.Tensor] = {}
    for name, place in places.items():
        place.register_forward_hook(lambda _, __, out, name=name: passed.__setitem__(name, out))
    found: dict[str, list[Taps]] = {name: [] for name in order}
    images = task.frozen.runner.images.pixels(task.frozen.catalog.digests)
    while pixels := list(islice(images, _BATCH)):
        with torch.inference_mode():
            net(torch.from_numpy(PREPROCESSING.normalise(np.stack(pixels))))
        for name in order:
            tokens = passed[name]
            both = torch.cat([tokens.mean(dim=1), tokens.std(dim=1, correction=0)], dim=1)
            found[name].append(both.numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}
