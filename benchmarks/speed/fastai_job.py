"""fastai's ``fine_tune`` as tutorials write it: one frozen epoch, then four of all layers."""

from __future__ import annotations

import pandas as pd
from fastai.vision.all import (
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)

from benchmarks.speed.rows import SIZE, Clock, Job, job, report

_EPOCHS, _REPEATS = 4, 3
_HALF = [0.5, 0.5, 0.5]


def main() -> None:
    """Train as one would, or time single epochs with every layer training."""
    given = job()
    set_seed(given.seed)
    learner = _learner(given)
    if given.epochs_of:
        learner.unfreeze()
        clock = Clock()
        with learner.no_bar(), learner.no_logging():
            for _ in range(_REPEATS):
                with clock:
                    learner.fit(1, 1e-4)
        report(epochs={"full": clock.seconds})
        return
    learner.fine_tune(_EPOCHS)
    report(accuracy=float(learner.validate()[1]))


def _learner(given: Job) -> object:
    train, test, classes = given.split()
    # single epochs are timed without a validation worth the name
    held = test[:1] if given.epochs_of else test
    frame = pd.DataFrame(
        [(path, label, False) for path, label in train]
        + [(path, label, True) for path, label in held],
        columns=["path", "label", "held"],
    )
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=classes)),
        get_x=ColReader("path"),
        get_y=ColReader("label"),
        splitter=lambda f: (f.index[~f.held].tolist(), f.index[f.held].tolist()),
        item_tfms=Resize(SIZE),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(_HALF, _HALF)],
    )
    # it drops incomplete batches: of fewer images than one batch it would learn nothing
    loaders = block.dataloaders(frame, bs=min(64, len(train)), num_workers=given.threads)
    learner = vision_learner(
        loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=accuracy
    )
    state = given.state()
    body = learner.model[0].model
    body.load_state_dict({k: v for k, v in state.items() if k in body.state_dict()})
    learner.freeze()
    return learner


if __name__ == "__main__":
    main()
