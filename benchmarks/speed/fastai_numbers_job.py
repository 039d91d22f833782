"""fastai's ``RegressionBlock`` on two columns of numbers, for ``benchmarks.numbers``.

Run by a Python that has fastai: TABLE WEIGHTS SIZE EPOCHS OUT. Numbers have mean 0 and spread 1 in
training, as its default rate of learning asks; images are neither turned nor mirrored. OUT gets a
row for every test image: predicted numbers, then true ones.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pandas as pd
import torch
from fastai.vision.all import (
    ColReader,
    DataBlock,
    ImageBlock,
    MSELossFlat,
    Normalize,
    RegressionBlock,
    Resize,
    set_seed,
    vision_learner,
)
from safetensors.torch import load_file

_HALF = [0.5, 0.5, 0.5]
_BATCH = 64


def main() -> None:
    """Train, and write what is said of the test images."""
    table, weights, size, epochs, out = sys.argv[1:]
    torch.set_num_threads(1)
    set_seed(0)
    frame = pd.read_csv(table)
    frame["path"] = [str(Path(table).parent / name) for name in frame["path"]]
    columns, held = ["angle", "size"], frame["split"] == "test"
    mean, spread = frame.loc[~held, columns].mean(), frame.loc[~held, columns].std()
    scaled = [f"scaled {name}" for name in columns]
    frame[scaled] = (frame[columns] - mean).to_numpy() / spread.to_numpy()
    block = DataBlock(
        blocks=(ImageBlock, RegressionBlock(n_out=2)),
        get_x=ColReader("path"),
        get_y=ColReader(scaled),
        splitter=lambda f: (f.index[~held].tolist(), f.index[held].tolist()),
        item_tfms=Resize(int(size)),
        batch_tfms=[Normalize.from_stats(_HALF, _HALF)],
    )
    loaders = block.dataloaders(frame, bs=_BATCH, num_workers=0)
    learner = vision_learner(
        loaders,
        "tf_efficientnet_lite0",
        pretrained=False,
        normalize=False,
        loss_func=MSELossFlat(),
        n_out=2,
    )
    body = learner.model[0].model
    state = load_file(weights)
    body.load_state_dict({k: v for k, v in state.items() if k in body.state_dict()})
    learner.freeze()
    with learner.no_bar():
        learner.fine_tune(int(epochs))
        said, _ = learner.get_preds(dl=loaders.valid)
    told = said.numpy() * spread.to_numpy() + mean.to_numpy()
    truth = frame.loc[held, columns].to_numpy()
    with Path(out).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*a, *b] for a, b in zip(told, truth, strict=True)])


if __name__ == "__main__":
    main()
