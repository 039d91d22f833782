"""What a fit needs that may not be installed: asked before anything is read or computed."""

from __future__ import annotations

from collections.abc import Iterator

from frostline.backbones.described import Origin
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.load.zoo import names_here
from frostline.compute.kept_networks import is_kept
from frostline.core.extras import has_extra, require_extra
from frostline.core.plan import Plan
from frostline.core.settings import AUTO, Settings
from frostline.fitting.usual_size import pretraining_size, smaller_size

_WITHOUT_TRAINING = ("auto", "head")
_WITHOUT_PYTORCH = ("auto", "cpu")


def check_extras(settings: Settings, plan: Plan | None = None) -> None:
    """Refuse a fit that needs PyTorch, or weights of a package, where these are not installed.

    Left to the evidence, a fit takes the best head on frozen features, and its plan names what
    could not run. Raises MissingExtraError, which names the first setting that needs more.

    ``plan``: one that is to be carried out, if any.
    """
    if has_extra("train"):
        return
    wanted = next(_needing_training(settings, plan), None)
    if wanted is not None:
        require_extra("train", wanted)
    for backbone in _names(settings):
        extra = BUNDLED[backbone].extra if backbone in BUNDLED else None
        if extra is not None and settings.weights is None:
            require_extra(extra, f"backbone={backbone!r}")


def _needing_training(settings: Settings, plan: Plan | None) -> Iterator[str]:
    """Yield every setting that only PyTorch can carry out."""
    if settings.strategy not in _WITHOUT_TRAINING:
        yield f"strategy={settings.strategy!r}"
    if settings.effort == "best":
        yield "effort='best'"
    if settings.device not in _WITHOUT_PYTORCH:
        yield f"device={settings.device!r}"
    if settings.precision == "bf16":
        yield "precision='bf16'"
    if plan is not None and not plan.action.closed_form:
        yield f"The plan to carry out, {plan.chosen!r},"
    for backbone in _names(settings):
        planned = plan is not None and plan.backbone == backbone and plan.input_size
        sizes = settings.input_sizes or ((planned,) if planned else ())
        usual = None if backbone in BUNDLED else smaller_size(backbone)
        if all(is_kept(Origin(backbone, settings.weights, size)) for size in sizes or (usual,)):
            # PyTorch opened it before
            continue
        if settings.weights is not None:
            yield f"weights={str(settings.weights)!r}"
        if backbone not in BUNDLED:
            yield f"backbone={backbone!r}"
            continue
        for size in sizes:
            if size != (own := pretraining_size(backbone)):
                yield f"input_size={size} with {backbone}, whose own is {own},"


def _names(settings: Settings) -> tuple[str, ...]:
    """Return the networks that were named, or those that "auto" stands for."""
    return tuple(names_here()) if settings.backbone == AUTO else settings.backbones
