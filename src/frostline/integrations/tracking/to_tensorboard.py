"""TensorBoard: scalars by epoch, and the settings beside the scores; by its own writer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import (
    HParam,
    Metric,
    hparams_config_pb,
    hparams_pb,
)
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from frostline.integrations.tracking.log import Numbers


def write(numbers: Numbers) -> str:
    """Write event files into the run folder, in place of earlier ones."""
    folder = numbers.folder / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)
    settings = {
        name: value if isinstance(value, (bool, int, float, str)) else str(value)
        for name, value in numbers.settings.items()
    }
    scores = {f"test/{name}": value for name, value in numbers.test.items()}
    about = hparams_config_pb([HParam(name) for name in settings], [Metric(tag) for tag in scores])
    writer = EventFileWriter(str(folder))
    for step, values in numbers.epochs:
        writer.add_event(_event(_scalars(values, "training/"), step))
    for summary in (about, hparams_pb(settings, trial_id=numbers.folder.name), _scalars(scores)):
        writer.add_event(_event(summary))
    writer.close()
    return f"tensorboard --logdir {folder}"


def _scalars(values: Mapping[str, float], room: str = "") -> Summary:
    return Summary(
        value=[
            Summary.Value(tag=f"{room}{tag}", simple_value=value) for tag, value in values.items()
        ]
    )


def _event(summary: Summary, step: int = 0) -> Event:
    return Event(wall_time=time.time(), step=step, summary=summary)
