"""Freeze layers in a training with Lightning, norm statistics included.

Lightning is imported when this module is; nothing else of Frostline imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frostline.core.errors import SettingsError
from frostline.core.extras import missing_extra, needing_extras

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError:
        raise missing_extra("lightning", "frostline.integrations.lightning") from None

with needing_extras("frostline.integrations.lightning"):
    import torch

    from frostline.backbones.freeze.freezing import (
        FreezeReport,
        freeze,
        frozen_fingerprints,
        verify_frozen,
    )
    from frostline.backbones.freeze.selecting import Selector


class FrostlineFreeze(Callback):  # type: ignore[misc]
    """Freeze layers before the optimiser is made, and prove at the end that nothing moved.

    What is frozen has no gradient, and its norm layers keep their statistics through every
    ``train()``; see :func:`frostline.freeze`.

    Parameters
    ----------
    what : str, compiled regular expression, callable, sequence of these, or None, default=None
        Layers to freeze, as for :func:`frostline.freeze`, by their names in ``part``.
    upto : str or None, default=None
        Name of a cut: everything that runs before it is frozen.
    part : str, default=""
        Where in the LightningModule the network is, such as ``"backbone"``; "" for all of it.
    example : Tensor of shape (n, channels, height, width) or None, default=None
        For ``upto``: images that the network accepts; not needed for networks of timm.

    Attributes
    ----------
    report : FreezeReport or None
        What is frozen and what trains, once a fit has begun.

    Raises
    ------
    SettingsError
        If neither ``what`` nor ``upto`` is given.
    PatternError, CutError, AttributeError
        When the fit begins, if there are no such layers.
    FrozenChangedError
        When it ends, if something frozen is not bit-identical.
    """

    def __init__(
        self,
        what: Selector | Sequence[Selector] | None = None,
        *,
        upto: str | None = None,
        part: str = "",
        example: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        if what is None and upto is None:
            raise SettingsError(
                "FrostlineFreeze needs layers to freeze, or upto='the name of a cut'."
            )
        self._what, self._upto, self._part, self._example = what, upto, part, example
        self._before: dict[str, str] = {}
        self.report: FreezeReport | None = None

    def setup(self, trainer: Any, pl_module: torch.nn.Module, stage: str) -> None:
        """Freeze; Lightning asks for the optimiser afterwards."""
        del trainer
        if stage == "fit":
            part = pl_module.get_submodule(self._part)
            self.report = freeze(part, self._what, upto=self._upto, example=self._example)

    def on_train_start(self, trainer: Any, pl_module: torch.nn.Module) -> None:
        """Take fingerprints, after a checkpoint was loaded and before the first step."""
        del trainer
        self._before = frozen_fingerprints(pl_module.get_submodule(self._part))

    def on_train_end(self, trainer: Any, pl_module: torch.nn.Module) -> None:
        """Compare them."""
        del trainer
        verify_frozen(pl_module.get_submodule(self._part), self._before)
