"""Measure every architecture of timm without weights: parameters, work, input size.

    python -m tools.zoo     # about 7 min; writes src/frostline/backbones/load/zoo.csv

Networks are built and run on PyTorch's meta device, where tensors have shapes but no values.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import timm
import torch
from timm.models._registry import _model_to_module

from frostline.backbones.graph.measuring import MacCounter

TABLE = Path(__file__).resolve().parents[1] / "src" / "frostline" / "backbones" / "load" / "zoo.csv"


def main() -> None:
    """Measure all and write the table."""
    warnings.filterwarnings("ignore")
    rows = []
    for name in timm.list_models():
        with torch.device("meta"), torch.no_grad():
            module = timm.create_model(name, pretrained=False).eval()
            channels, height, width = module.pretrained_cfg["input_size"]
            with MacCounter() as counter:
                module(torch.empty(1, channels, height, width))
        parameters = sum(p.numel() for p in module.parameters())
        rows.append((name, _model_to_module[name], parameters, counter.macs, channels, width))
        print(*rows[-1], flush=True)
    with TABLE.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "family", "parameters", "macs", "channels", "size"])
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main()
