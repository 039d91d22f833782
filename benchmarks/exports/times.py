"""Milliseconds for one prepared image, in every form; two threads, one after another."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from benchmarks.exports.forms import Forms
from frostline.model.model import Model

_THREADS, _WARM, _ROUNDS, _EACH = 2, 5, 8, 8


def measure_times(run: Path, forms: Forms) -> dict[str, float]:
    """Return the median over all rounds; forms take turns, so that each meets the same machine."""
    torch.set_num_threads(_THREADS)
    model = Model.load(run, threads=_THREADS)
    size = model.card.preprocessing.size
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
    tensor = torch.from_numpy(model.card.preprocessing.normalise(image[None]))
    work: dict[str, Callable[[], object]] = {"native": lambda: model.predict_prepared([image])}
    for form in ("onnx", "int8"):
        other = Model.load(forms.paths[form], threads=_THREADS)
        work[form] = lambda other=other: other.predict_prepared([image])  # type: ignore[misc]
    program = torch.export.load(forms.paths["program"]).module()
    work["program"] = lambda: program(tensor)
    if "state dict" in forms.paths:
        net, head = _of_timm(forms.paths["state dict"])
        work["state dict"] = lambda: head(net(tensor))
    times: dict[str, list[float]] = {form: [] for form in work}
    with torch.inference_mode():
        for round_ in range(_ROUNDS + 1):
            for form, call in work.items():
                for _ in range(_EACH if round_ else _WARM):
                    began = time.perf_counter()
                    call()
                    if round_:
                        times[form].append(1000 * (time.perf_counter() - began))
    return {form: round(statistics.median(found), 2) for form, found in times.items()}


def _of_timm(path: Path) -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]:
    """Load weights as a user of timm does."""
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["frostline"])
    state = load_file(path)
    if said["form"] == "classifier":
        net = timm.create_model(said["architecture"], num_classes=len(said["classes"]))
        net.load_state_dict(state)
        return net.eval(), lambda x: x
    weight, bias = state.pop("head.weight"), state.pop("head.bias")
    net = timm.create_model(said["architecture"], num_classes=0, global_pool="")
    net.load_state_dict(state)

    def head(maps: torch.Tensor) -> torch.Tensor:
        flat = maps.flatten(2)
        features = torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1)
        logits: torch.Tensor = features @ weight.T + bias
        return logits

    return net.eval(), head
