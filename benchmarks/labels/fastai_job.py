"""fastai's ``fine_tune`` of several labels as tutorials write it: one frozen epoch, then four."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import torch
from fastai.vision.all import (
    ColReader,
    DataBlock,
    ImageBlock,
    MultiCategoryBlock,
    Normalize,
    Resize,
    aug_transforms,
    set_seed,
    vision_learner,
)
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score, f1_score

_EPOCHS, _SIZE, _HALF = 4, 224, [0.5, 0.5, 0.5]


def main() -> None:
    """Train, and print the mean average precision on the test part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    set_seed(given.seed)
    frame = pd.read_csv(given.table, keep_default_na=False)
    held = frame["split"] == "test"
    names = sorted({name for text in frame["labels"] for name in text.split(";") if name})
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=names)),
        get_x=ColReader("path"),
        # a flip turns one symbol into another
        get_y=ColReader("labels", label_delim=";"),
        splitter=lambda f: (f.index[~held].tolist(), f.index[held].tolist()),
        item_tfms=Resize(_SIZE),
        batch_tfms=[*aug_transforms(do_flip=False), Normalize.from_stats(_HALF, _HALF)],
    )
    loaders = block.dataloaders(frame, bs=64, num_workers=0)
    learner = vision_learner(loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False)
    body, state = learner.model[0].model, load_file(given.weights)
    body.load_state_dict({k: v for k, v in state.items() if k in body.state_dict()})
    learner.freeze()
    with learner.no_bar():
        learner.fine_tune(_EPOCHS)
        told, truth = learner.get_preds()
    precise = average_precision_score(truth.numpy(), told.numpy(), average="macro")
    micro = f1_score(truth.numpy(), told.numpy() >= 0.5, average="micro")
    print(json.dumps({"map": float(precise), "micro_f1": float(micro), "epochs": 1 + _EPOCHS}))


if __name__ == "__main__":
    main()
