"""What every job of the comparison reads and writes."""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

SIZE = 224


@dataclass(frozen=True)
class Job:
    """One job as the command line gives it.

    ``epochs_of`` above zero asks for the time of single epochs on so many training images.
    """

    table: Path
    weights: Path
    threads: int
    seed: int
    epochs_of: int

    def split(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[str]]:
        """Training rows, test rows (path, label), and the classes."""
        with self.table.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        train, test = (
            [(row["path"], row["label"]) for row in rows if row["split"] == part]
            for part in ("train", "test")
        )
        if self.epochs_of:
            train = train[:: max(1, len(train) // self.epochs_of)][: self.epochs_of]
        return train, test, sorted({row["label"] for row in rows})

    def state(self) -> dict[str, torch.Tensor]:
        """The pretrained weights, by timm's names."""
        state: dict[str, torch.Tensor] = load_file(self.weights)
        return state

    def network(self, n_classes: int) -> nn.Module:
        """The pretrained network with a new classifier."""
        import timm

        net: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=n_classes)
        body = {k: v for k, v in self.state().items() if not k.startswith("classifier.")}
        missing, unexpected = net.load_state_dict(body, strict=False)
        if unexpected or any(not name.startswith("classifier.") for name in missing):
            raise ValueError(f"weights do not fit: {missing} {unexpected}")
        return net


def job() -> Job:
    """Read the command line and set the threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs-of", type=int, default=0)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    torch.set_num_threads(given.threads)
    return Job(given.table, given.weights, given.threads, given.seed, given.epochs_of)


def report(
    *,
    accuracy: float | None = None,
    epochs: dict[str, list[float]] | None = None,
    losses: dict[str, list[float]] | None = None,
) -> None:
    """Print what was found as the last line."""
    found = {"accuracy": accuracy, "epochs": epochs or {}, "losses": losses or {}}
    print(json.dumps(found), flush=True)


class Clock:
    """Seconds of repeated work."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __enter__(self) -> Clock:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds.append(round(time.perf_counter() - self._began, 2))
