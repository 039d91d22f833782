"""What travels with a model so that later images can be compared with those of its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import IntArray
from frostline.core.cuts import Cut
from frostline.core.errors import EngineError, InputError
from frostline.core.runtime import Runtime
from frostline.core.threads import blas_threads
from frostline.core.watched_depth import WatchedDepth
from frostline.data.splitting.sampling import chosen_rows
from frostline.data.splitting.split import Split
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import Fitted
from frostline.model.onnx_file import read_model
from frostline.model_format.drift_file import (
    DRIFT,
    DriftCard,
    DriftFacts,
    TrainedOutput,
    save_drift_card,
)
from frostline.model_format.model_folder import ONNX
from frostline.onnx_graph.depth_outputs import tensors_of
from frostline.stats.drift import fit_drift_reference
from frostline.training.result import Trained

#: images that are described, and others that later ones are compared with, at most
MOST_FITTED, MOST_LEFT_OUT = 300, 800
#: the same where every one of them passes through the network once more
_COMPUTED = 150
#: fewer images of either kind say nothing
_FEWEST = 5
#: depths that are watched, at most
MOST_DEPTHS = 5
_SPREAD = "spread"

Tables = Sequence[npt.NDArray[np.floating]]


def write_drift(
    folder: Path,
    onnx: str,
    inputs: FitInputs,
    fitted: Fitted,
    split: Split,
    runtime: Runtime,
) -> None:
    """Write what training images give at several depths beside the model that they taught.

    Half of the training images are described and the others are left out for comparison, one image
    of each group; their features are stored already. Where layers were trained, images that these
    did not learn from are left out, and pass through the model once more.

    ``folder``: of the model. ``onnx``: SHA-256 of its ``model.onnx``. No file is
    written with fewer than 10 groups of images, where all look the same, or for a network whose
    graph has no place where one tensor passes.
    """
    (folder / DRIFT).unlink(missing_ok=True)
    lead = fitted.trained.frozen_leader
    describe, left_out, taught = _divided(inputs, lead, split)
    if min(len(describe), len(left_out)) < _FEWEST:
        return
    depths = _stored_depths(folder, inputs, lead)
    try:
        if depths:
            tables = [
                _stored(inputs, lead, depths, rows, split, runtime) for rows in (describe, left_out)
            ]
        else:
            from frostline.fitting.drift_pass import depths_of, run_depths

            describe, left_out = describe[:_COMPUTED], left_out[:_COMPUTED]
            pixels = inputs.frozen.runner.batches
            graph = read_model(folder / ONNX)
            depths = depths_of(graph, inputs.frozen.network.preprocessing, MOST_DEPTHS)
            tables = [
                run_depths(graph, depths, pixels(rows, 16), inputs, runtime)
                for rows in (describe, left_out)
            ]
        # the same bits with any number of threads
        with blas_threads(1):
            reference = fit_drift_reference(*tables, means=[depth.means for depth in depths])
    except (InputError, EngineError):
        # the model is as good without it, and says so when it is asked to watch
        return
    facts = DriftFacts(
        depths=tuple(depths),
        onnx=onnx,
        n_fitted=len(describe),
        n_left_out=len(left_out),
        left_out="trained on" if taught else "not trained on",
        outputs=_outputs(inputs, split.train),
        n_train=len(split.train),
    )
    save_drift_card(folder / DRIFT, DriftCard(facts, reference))


def _divided(inputs: FitInputs, lead: Trained, split: Split) -> tuple[IntArray, IntArray, bool]:
    """Return rows to describe, others to compare with, and whether layers learned from these."""
    digests, groups = inputs.frozen.catalog.digests, inputs.problem.groups

    def one_a_group(rows: IntArray) -> IntArray:
        ordered = chosen_rows(digests, rows, len(rows))
        _, first = np.unique(groups[ordered], return_index=True)
        return np.asarray(ordered[np.sort(first)])

    train = one_a_group(split.train)
    if lead.classifier.leader.frozen:
        half = min(MOST_FITTED, len(train) // 2)
        return train[:half], train[half:][:MOST_LEFT_OUT], False
    held = np.union1d(lead.out_of_fold_rows, split.test if split.method == "held-out" else [])
    held = one_a_group(held.astype(np.int64))
    if len(held) >= 2 * _FEWEST:
        taught = train[~np.isin(groups[train], groups[held])]
        return taught[:MOST_FITTED], held[:MOST_LEFT_OUT], False
    half = min(MOST_FITTED, len(train) // 2)
    return train[:half], train[half:][:MOST_LEFT_OUT], True


def _stored_depths(folder: Path, inputs: FitInputs, lead: Trained) -> list[WatchedDepth]:
    """Return the taps that the model's graph has by their names and whose features are stored."""
    if not lead.action.closed_form:
        return []
    network = inputs.frozen.network
    there = tensors_of(read_model(folder / ONNX))
    cuts = [network.cut(tap) for tap in network.taps if tap in there]
    if len(cuts) < 2:
        return []
    chosen = {round(at) for at in np.linspace(0, len(cuts) - 1, min(MOST_DEPTHS, len(cuts)))}
    return [_depth(cuts[place]) for place in sorted(chosen)]


def _depth(cut: Cut) -> WatchedDepth:
    spreads = cut.channels if _SPREAD in cut.parts else 0
    return WatchedDepth(
        name=cut.name,
        tensor=cut.name,
        depth=cut.depth,
        layout=cut.layout,
        tokens=cut.tokens,
        width=cut.pooled_width,
        means=cut.pooled_width - spreads,
    )


def _stored(
    inputs: FitInputs,
    lead: Trained,
    depths: Sequence[WatchedDepth],
    rows: IntArray,
    split: Split,
    runtime: Runtime,
) -> Tables:
    features = inputs.frozen.features
    if lead.action.adapts_statistics:
        features = inputs.frozen.runner.adapted(split.train, runtime).features
    return [features.tap([depth.tensor], rows) for depth in depths]


def _outputs(inputs: FitInputs, rows: IntArray) -> tuple[TrainedOutput, ...]:
    """Return the share of every class or label among training images, or the mean of numbers."""
    problem = inputs.problem
    truth = np.asarray(problem.labels)[rows]
    names = inputs.frozen.catalog.classes
    if truth.ndim == 1:
        each = [(truth == number).astype(np.float64) for number in range(len(names))]
    else:
        each = list(truth.T.astype(np.float64))
    found = []
    for name, values in zip(names, each, strict=True):
        known = values[np.isfinite(values)]
        mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        found.append(TrainedOutput(name=name, mean=mean, spread=spread))
    return tuple(found)
