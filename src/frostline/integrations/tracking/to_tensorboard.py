"""TensorBoard: scalars by epoch, and the settings beside the scores."""

from __future__ import annotations

import shutil

from torch.utils.tensorboard import SummaryWriter

from frostline.integrations.tracking.log import Numbers


def write(numbers: Numbers) -> str:
    """Write event files into the run folder, in place of earlier ones."""
    folder = numbers.folder / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)
    settings = {
        name: value if isinstance(value, (bool, int, float, str)) else str(value)
        for name, value in numbers.settings.items()
    }
    with SummaryWriter(str(folder)) as writer:
        for epoch, values in numbers.epochs:
            for name, value in values.items():
                writer.add_scalar(f"training/{name}", value, epoch)
        scores = {f"test/{name}": value for name, value in numbers.test.items()}
        # a run name keeps the scores in this folder instead of one named by the time
        writer.add_hparams(settings, scores, run_name=".")
    return f"tensorboard --logdir {folder}"
