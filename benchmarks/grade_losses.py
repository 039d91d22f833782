"""Whether a loss that knows the order trains layers better than cross-entropy, on solar cells.

    python -m benchmarks.grade_losses --work .study       # half an hour on a core

Six hundred cells teach and eight hundred others judge, at 128 pixels, with ``--strategy
finetune --task ordinal``. Beside cross-entropy, with labels that are smoothed and not: the squared
earth mover's distance (Hou, Yu and Samaras 2016, arXiv 1611.05916), and the cross-entropy of every
"at most level k" (the likelihood that CORAL and CORN have, of probabilities that cannot cross),
each added to cross-entropy. Adds what was found to benchmarks/results/grades.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from torch import nn

from benchmarks.accuracy_and_time import machine
from frostline.cli.demo import write_table

RESULTS = Path(__file__).parent / "results" / "grades.json"
_TEACH, _JUDGE, _SIDE = 600, 800, 128
_SCORES = ("accuracy", "mae", "qwk", "rps", "nll")
_EDGE = 1e-6


class WithOrder(nn.Module):
    """Cross-entropy, and what the cumulative probabilities of levels lose."""

    def __init__(self, lost: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.lost = lost

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits (n, k) and levels (n,)."""
        reached = logits.float().softmax(dim=1).cumsum(dim=1)[:, :-1]
        places = torch.arange(reached.shape[1], device=labels.device)
        truth = (labels[:, None] <= places).float()
        plain = nn.functional.cross_entropy(logits, labels)
        return plain + self.lost(reached, truth).sum(dim=1).mean()


def _squared(reached: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return (reached - truth) ** 2


def _likelihood(reached: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    inside = reached.clamp(_EDGE, 1 - _EDGE)
    return nn.functional.binary_cross_entropy(inside, truth, reduction="none")


LOSSES: dict[str, Callable[[], nn.Module] | None] = {
    "cross-entropy of smoothed labels, as a fit does": None,
    "cross-entropy": nn.CrossEntropyLoss,
    "and squared earth mover's distance": lambda: WithOrder(_squared),
    "and likelihood of each threshold": lambda: WithOrder(_likelihood),
}


def main() -> None:
    """Train with every loss and seed, and write the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    os.environ.setdefault("FROSTLINE_CACHE", str(options.work / "cache"))
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in LOSSES}
    for seed in options.seeds:
        table = _table(options.work, seed)
        for name, make in LOSSES.items():
            runs[name].append(_scores(table, options.work / f"{name}, {seed}", make, seed))
            print(seed, name, runs[name][-1], flush=True)
            _write(runs, options.seeds, {})
    plain, *_, order = list(LOSSES)[1:]
    each = [
        _ranked(options.work / f"{plain}, {seed}") - _ranked(options.work / f"{order}, {seed}")
        for seed in options.seeds
    ]
    gains = np.concatenate(each)
    error = 1.96 * float(gains.std()) / len(gains) ** 0.5
    _write(runs, options.seeds, {"gain": round(float(gains.mean()), 5), "reach": round(error, 5)})


def _ranked(run: Path) -> npt.NDArray[Any]:
    """Return the ranked score of every image that was judged, (n,)."""
    p = load_file(run / "predictions.safetensors")["predictions"].astype(np.float64)
    with (run / "predictions.csv").open(encoding="utf-8") as file:
        levels = np.array([int(row["label"][0]) for row in csv.DictReader(file)])
    reached = levels[:, None] <= np.arange(p.shape[1] - 1)
    return np.asarray(((np.cumsum(p, axis=1)[:, :-1] - reached) ** 2).mean(axis=1))


def _write(
    runs: dict[str, list[dict[str, float]]], seeds: list[int], paired: dict[str, float]
) -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    found["losses"] = {
        "teach": _TEACH,
        "judge": _JUDGE,
        "side": _SIDE,
        "seeds": seeds,
        "machine": machine(),
        "paired": paired,
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _table(work: Path, seed: int) -> Path:
    """Write a table of the cells that teach, and of others that judge."""
    with write_table(work).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng([22, seed]).permutation(len(rows))
    table = work / f"losses-{seed}.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for place, row in enumerate(order[: _TEACH + _JUDGE].tolist()):
            part = "train" if place < _TEACH else "test"
            writer.writerow([rows[row]["path"], rows[row]["label"], part])
    return table


def _scores(
    table: Path, run: Path, make: Callable[[], nn.Module] | None, seed: int
) -> dict[str, float]:
    import frostline
    from frostline.training import losses

    settings: dict[str, Any] = {"task": "ordinal", "strategy": "finetune", "seed": seed}
    if not (run / "metrics.json").exists():
        given = dict(losses.LOSSES)
        if make is not None:
            given["cross_entropy"] = lambda weights, smoothing, device: make()
        with mock.patch.object(losses, "LOSSES", given):
            frostline.fit(table, run, input_size=_SIDE, effort="fast", threads=1, **settings)
    test = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    return {name: round(float(test[name]), 5) for name in _SCORES}


if __name__ == "__main__":
    main()
