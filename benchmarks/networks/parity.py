"""How far an exported file's probabilities are from PyTorch's, as JSON on standard output.

    python -m benchmarks.networks.parity RUN FILE PICTURES

ONNX Runtime alone answers for whole pictures, PyTorch for what Frostline makes of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from frostline.backbones.load.restore import restore_module
from frostline.data.decoding.decode import decode
from frostline.model.model import Model

_MAX_PIXELS = 10_000_000
_PICTURES = 8


def main() -> None:
    """Compare a few pictures one by one."""
    run, file, pictures = map(Path, sys.argv[1:])
    card = Model.load(run).card
    said = card.preprocessing
    mean, std = (np.array(each, dtype=np.float32) for each in (said.mean, said.std))
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    module = restore_module(run / "model").eval()
    off = []
    for path in sorted(pictures.rglob("*.png"))[:_PICTURES]:
        image = decode(path, max_pixels=_MAX_PIXELS)
        ready = said.apply(image)
        mean, std = (
            np.array(v, dtype=np.float32) for v in (card.preprocessing.mean, card.preprocessing.std)
        )
        x = torch.from_numpy((ready.astype(np.float32) / 255 - mean) / std).permute(2, 0, 1)[None]
        with torch.no_grad():
            expected = torch.softmax(module(x) / card.temperature, dim=1)[0].numpy()
        found = session.run(["probabilities"], {"image": np.asarray(image)})[0][0]
        off.append(float(np.abs(found - expected).max()))
    print(json.dumps({"pictures": len(off), "largest_difference": max(off)}))


if __name__ == "__main__":
    main()
