"""Give new layers a sensible start before the first step of training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frostline.backbones.batchnorm_statistics import estimating
from frostline.backbones.freeze.eval_mode import is_locked
from frostline.backbones.heads.linear import set_linear
from frostline.backbones.heads.new_blocks import MapBlock
from frostline.backbones.heads.pooling import pooled
from frostline.compute.features import Features
from frostline.core.arrays import FloatArray, IntArray
from frostline.stats.ridge import ridge_loo
from frostline.targets.labelled import product
from frostline.training.assembly import Assembly, TrainableSuffix
from frostline.training.loaders import Batches
from frostline.training.train_val_split import TrainValSplit


def probe_head(
    assembly: Assembly,
    features: Features,
    parts: TrainValSplit,
    above: TrainableSuffix,
    batches: Batches,
    *,
    groups: IntArray,
    weights: FloatArray | None,
) -> float:
    """Set the linear head to a ridge probe on the last kept layer; return its alpha.

    Fine-tuning from a fitted head distorts the pretrained layers less than from a random one
    (Kumar et al. 2022). The probe sees the training part only, so the validation part judges
    it fairly. Its outputs are divided by the temperature at which its leave-one-out outputs are
    calibrated, so that training starts from sensible confidences.

    Parameters
    ----------
    assembly : Assembly
        Without a new block.
    batches : Batches
        Inputs of ``above``; looked at when the last kept layer is no tap, or when its norm
        layers have other statistics than the stored taps were computed with.
    groups : int array of shape (len(catalog),)
    weights : array of shape (C,) or None
        One weight an output.
    """
    if assembly.keep_to in features.slices and not assembly.norms_learn:
        inputs: npt.ArrayLike = features.table([assembly.keep_to], parts.train)
    else:
        cut = assembly.network.cut(assembly.keep_to)
        with torch.no_grad():
            found = [
                pooled(above.last_kept(x), cut.layout, cut.tokens).cpu().numpy()
                for x in batches.clean()
            ]
        inputs = np.concatenate(found)
    probe = ridge_loo(
        inputs,
        parts.target.matrix(parts.train_labels),
        groups=groups[parts.train],
        weights=product(parts.target.row_weights(parts.train_labels, weights), parts.train_weights),
    )
    target, truth, own = parts.target, parts.train_labels, parts.train_weights
    weight, bias, loo = probe.weight, probe.bias, probe.loo
    rescaling = target.rescaling(loo, truth, own)
    if rescaling is not None:
        weight, bias, loo = weight * rescaling.scale, rescaling.apply(bias), rescaling.apply(loo)
    temperature = target.calibrate(loo, truth, own)
    set_linear(assembly.classifier.head, weight / temperature, bias / temperature)
    return probe.alpha


def recalibrate_learning_norms(above: TrainableSuffix, batches: Batches) -> None:
    """Set norm layers that will learn their statistics to those of the training images.

    Otherwise a probe fitted with the old statistics meets other activations in the first step,
    as training normalises by the batch, and far from the source it is worth nothing there.
    """
    norms = [
        layer
        for layer in (above.kept or nn.Identity()).modules()
        if isinstance(layer, nn.BatchNorm2d)
        and not is_locked(layer)
        and layer.running_mean is not None
    ]
    with estimating(norms), torch.no_grad():
        for batch in batches.clean():
            above.last_kept(batch)
    for layer in norms:
        layer.eval()


def recalibrate_new_norms(above: TrainableSuffix, batches: Batches) -> None:
    """Set the statistics of a new block's norm layer to those of the training images.

    Fresh statistics (mean 0, variance 1) say nothing about the data, and a norm layer that stays
    in eval mode would keep them.
    """
    if not isinstance(above.new, MapBlock):
        return
    block, norm = above.new, above.new.norm
    if norm.running_mean is None or norm.running_var is None:
        return
    count = 0
    total = torch.zeros_like(norm.running_mean, dtype=torch.float64)
    squares = torch.zeros_like(total)
    with torch.no_grad():
        for batch in batches.clean():
            values = block.before_norm(above.last_kept(batch)).double()
            count += values.numel() // values.shape[1]
            total = total + values.sum(dim=(0, 2, 3))
            squares = squares + values.square().sum(dim=(0, 2, 3))
        mean = total / count
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((squares / count - mean.square()).clamp(min=0.0))
