"""What family a network belongs to: how it was trained, and so how it wants to be read and trained.

One description for every network, found from what its library says of it and from its modules. A
description is plain data, which travels with a network that is known without PyTorch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from frostline.core.cuts import Work

if TYPE_CHECKING:
    from torch import nn

#: how a network's own head turns a map or tokens into one vector
Pooling = Literal["token", "average", "attention", "other"]
#: what most of its norm layers are
NormKind = Literal["batch", "layer", "rms", "group", "none"]


@dataclass(frozen=True)
class Recipe:
    """How networks of a family are fine-tuned, as their authors' own commands have it.

    Attributes
    ----------
    learning_rate : float
        Peak rate of AdamW for the topmost layers.
    batch_size : int
        Images a batch for which the authors state that rate.
    layer_decay : float
        Factor on the rate from one block to the one below it; 1 trains all alike.
    warmup_epochs : float
        Epochs in which the rate rises from 0.
    drop_path : float
        Share of residual branches that are left out in the last block (stochastic depth).
    weight_decay : float
    paper : str
        Where the numbers were published.
    """

    learning_rate: float
    batch_size: int
    layer_decay: float
    warmup_epochs: float
    drop_path: float
    weight_decay: float
    paper: str


@dataclass(frozen=True)
class Family:
    """What is known of a network's kind.

    Attributes
    ----------
    name : str
        The module of its library that it is built by (``vision_transformer``, ``convnext``); empty
        for networks of no library.
    prefix_tokens : int
        Tokens before those of the patches: class tokens first, then registers.
    class_tokens : int
        How many of them were trained to stand for the image; a distilled network has two.
    pooling : {"token", "average", "attention", "other"}
        What its own head makes one vector with.
    final_norm : str or None
        Path of the norm layer behind the last block, which tokens of earlier blocks pass as well
        before they are pooled; None where they stay as they are.
    norm_kind : {"batch", "layer", "rms", "group", "none"}
        What most of its norm layers are.
    patch : int or None
        Side of its patches in pixels; None where images are not cut into patches.
    fixed_size : bool
        Whether its library says that it takes images of one size alone.
    resizable : bool
        Whether it can be brought to another size (``set_input_size`` of timm).
    reparameterisable : bool
        Whether branches of some layers can be merged once they no longer train.
    running_statistics : bool
        Whether some norm layer keeps statistics of the images it saw (BatchNorm): only those can be
        estimated anew. Believed of a network of which nothing is known.
    attention : bool
        Whether its layers attend: fused or separate projections to queries, keys and values.
    depthwise : bool
        Whether it has depthwise convolutions, which processors run at a fraction of the pace of
        dense ones and of matrix products. Believed of a network of which nothing is known.
    recipe : Recipe or None
        None where none is known: networks with BatchNorm train by what was measured for those that
        are bundled.
    """

    name: str = ""
    prefix_tokens: int = 0
    class_tokens: int = 0
    pooling: Pooling = "average"
    final_norm: str | None = None
    norm_kind: NormKind = "none"
    patch: int | None = None
    fixed_size: bool = False
    resizable: bool = False
    reparameterisable: bool = False
    running_statistics: bool = True
    attention: bool = False
    depthwise: bool = True
    recipe: Recipe | None = None

    @property
    def class_token(self) -> bool:
        """Whether a token was trained to stand for the image."""
        return self.class_tokens > 0

    @property
    def work(self) -> Work:
        """What its layers are busy with, which decides how fast a processor gets through them."""
        if self.depthwise and self.running_statistics:
            return "depthwise"
        products = self.attention or self.norm_kind in ("layer", "rms")
        return "products" if products else "convolutions"

    @property
    def registers(self) -> int:
        """Tokens that stand for nothing: they are never read."""
        return self.prefix_tokens - self.class_tokens


#: what is believed of a network that nothing is known of
UNKNOWN = Family()

#: FINETUNE.md of facebookresearch/mae, ViT-B: --blr 5e-4, which is the rate at 256 images;
#: --layer_decay 0.65 --drop_path 0.1 --weight_decay 0.05; warm-up is the script's default
_VIT = Recipe(
    5e-4,
    256,
    0.65,
    5,
    0.1,
    0.05,
    "He et al. 2022, Masked autoencoders are scalable vision learners",
)
#: run.sh of bytedance/ibot, ViT-B moved to a smaller set (cars_cls): --lr 7.5e-5, which its script
#: scales from 512 images, no decay by depth; the rest is the script's default. DINO and DINOv2
#: learn in the same way and publish no command of their own
_DINO = Recipe(
    7.5e-5,
    512,
    1.0,
    5,
    0.1,
    0.05,
    "Zhou et al. 2022, iBOT: image BERT pre-training with online tokenizer",
)
#: get_started_for_image_classification.md of microsoft/unilm, BEiT-L as pretrained without labels:
#: --lr 1e-3 at 8 x 64 x 2 images. The rate for weights tuned on ImageNet-22k (2e-5 at 512) counts
#: on 75,000 steps
_BEIT = Recipe(
    1e-3,
    1024,
    0.75,
    5,
    0.2,
    0.05,
    "Bao et al. 2022, BEiT: BERT pre-training of image transformers",
)
#: EVA-02/asuka/README.md of baaivision/EVA, EVA-02-B tuned on ImageNet-21k before, as timm has it
_EVA = Recipe(
    5e-5,
    512,
    0.8,
    2,
    0.15,
    0.05,
    "Fang et al. 2024, EVA-02: a visual representation for neon genesis",
)
#: swin_base_patch4_window7_224_22kto1k_finetune.yaml of microsoft/Swin-Transformer (V2 has the
#: same): BASE_LR 2e-5, which main.py scales from 512 images; no decay by depth
_SWIN = Recipe(
    2e-5,
    512,
    1.0,
    5,
    0.2,
    1e-8,
    "Liu et al. 2021, Swin transformer: hierarchical vision transformer using shifted windows",
)
#: TRAINING.md of facebookresearch/ConvNeXt, ConvNeXt-B tuned from ImageNet-22k at 224 pixels:
#: --lr 5e-5 at 8 x 32 x 2 images; --layer_decay 0.8 is a step for every three blocks
_CONVNEXT = Recipe(
    5e-5,
    512,
    0.8 ** (1 / 3),
    0,
    0.2,
    1e-8,
    "Liu et al. 2022, A ConvNet for the 2020s",
)

#: by the module that builds them
RECIPES: Mapping[str, Recipe] = {
    "vision_transformer": _VIT,
    "deit": _VIT,
    "beit": _BEIT,
    "eva": _EVA,
    "swin_transformer": _SWIN,
    "swin_transformer_v2": _SWIN,
    "convnext": _CONVNEXT,
}

_NORMS: tuple[tuple[str, NormKind], ...] = (
    ("BatchNorm", "batch"),
    ("RmsNorm", "rms"),
    ("RMSNorm", "rms"),
    ("SimpleNorm", "rms"),
    ("LayerNorm", "layer"),
    ("GroupNorm", "group"),
)
#: the tensor in which nn.MultiheadAttention keeps three projections, and its way out
_FUSED = ("in_proj_weight", "out_proj")
#: methods by which layers of several branches become one
_MERGES = ("reparameterize", "fuse", "switch_to_deploy")
#: paths at which libraries keep the norm layer behind the last block, the likeliest first
_FINAL_NORMS = ("norm", "encoder.ln", "fc_norm", "head.norm")


def family_of(module: nn.Module, cfg: Mapping[str, Any] | None = None) -> Family:
    """Return the family of a network, from its modules and what its library says of it.

    Parameters
    ----------
    module : Module
        Of timm, of torchvision, or any other.
    cfg : mapping or None, default=None
        ``pretrained_cfg`` of timm; None takes the module's own, if it has one.
    """
    said = dict(cfg if cfg is not None else getattr(module, "pretrained_cfg", None) or {})
    name = _built_by(module)
    prefix = _prefix_tokens(module)
    attention = any(map(_attends, module.modules()))
    statistics = any(getattr(layer, "running_mean", None) is not None for layer in module.modules())
    return Family(
        name=name,
        prefix_tokens=prefix,
        class_tokens=min(_class_tokens(module), prefix),
        pooling=_pooling_of(module, prefix),
        final_norm=_final_norm(module),
        norm_kind=_norm_kind(module),
        patch=patch_of(module),
        fixed_size=bool(said.get("fixed_input_size")) or hasattr(module, "image_size"),
        resizable=callable(getattr(module, "set_input_size", None)),
        reparameterisable=can_merge(module),
        running_statistics=statistics,
        attention=attention,
        depthwise=any(map(_is_depthwise, module.modules())),
        recipe=_recipe_of(name, said, like_transformers=attention and not statistics),
    )


def can_merge(module: nn.Module) -> bool:
    """Whether some layers have a method by which their branches become one."""
    layers = list(module.modules())
    return any(callable(getattr(layer, name, None)) for layer in layers for name in _MERGES)


def _recipe_of(name: str, said: Mapping[str, Any], *, like_transformers: bool) -> Recipe | None:
    """Return the published recipe; other transformers than those it names train by that of ViT."""
    recipe = RECIPES.get(name, _VIT if like_transformers else None)
    learned_alone = any("dino" in str(said.get(key)) for key in ("architecture", "tag"))
    return _DINO if recipe is not None and learned_alone else recipe


def _built_by(module: nn.Module) -> str:
    """Name the module of timm or torchvision that a network's class is written in."""
    for kind in type(module).__mro__:
        home = kind.__module__.split(".")
        if home[0] in ("timm", "torchvision") and "models" in home:
            return home[-1]
    return ""


def _class_tokens(module: nn.Module) -> int:
    names = ("cls_token", "class_token", "dist_token")
    return sum(getattr(module, name, None) is not None for name in names)


def _prefix_tokens(module: nn.Module) -> int:
    """Number of tokens before those of the patches, wherever in the network they join them."""
    said = getattr(module, "num_prefix_tokens", None)
    if isinstance(said, int):
        return said
    # timm says so of all that have registers
    return _class_tokens(module)


def _pooling_of(module: nn.Module, prefix: int) -> Pooling:
    if getattr(module, "attn_pool", None) is not None:
        return "attention"
    said = getattr(module, "global_pool", None)
    if isinstance(said, str):
        known: dict[str, Pooling] = {"token": "token", "avg": "average", "map": "attention"}
        return known.get(said, "token" if prefix and not said else "other")
    return "token" if prefix else "average"


def _final_norm(module: nn.Module) -> str | None:
    layers = dict(module.named_modules())
    for path in _FINAL_NORMS:
        layer = layers.get(path)
        # one of maps (n, C, height, width) has no tokens to pass
        of_maps = layer is not None and type(layer).__name__.endswith("2d")
        if layer is not None and not of_maps and kind_of(layer) in ("layer", "rms"):
            return path
    return None


def kind_of(layer: nn.Module) -> NormKind:
    """Return what a layer normalises by, as far as its class tells; "none" for any other."""
    for kind in type(layer).__mro__:
        for word, found in _NORMS:
            if word in kind.__name__:
                return found
    return "none"


def _norm_kind(module: nn.Module) -> NormKind:
    counted = Counter(map(kind_of, module.modules()))
    del counted["none"]
    return counted.most_common(1)[0][0] if counted else "none"


def _attends(layer: nn.Module) -> bool:
    """Whether a layer projects to queries, keys and values, whatever they are called."""
    names = {name for name, _ in (*layer.named_children(), *layer.named_parameters(recurse=False))}
    return any(
        set(projections) <= names
        for projections in (("qkv",), ("q", "k"), ("q", "kv"), ("q_proj", "k_proj"), _FUSED)
    )


def _is_depthwise(layer: nn.Module) -> bool:
    groups: Any = getattr(layer, "groups", 1)
    return isinstance(groups, int) and groups > 1 and groups == getattr(layer, "in_channels", 0)


def patch_of(module: nn.Module) -> int | None:
    """Side of the patches of a network that turns images into tokens."""
    for name in ("patch_embed", "stem"):
        holder = getattr(module, name, None)
        side = getattr(holder, "patch_size", None)
        if side:
            # patches may overlap: what counts is the step from one to the next
            return _side(getattr(getattr(holder, "proj", None), "stride", None) or side)
    return _side(getattr(module, "patch_size", None))


def _side(found: Any) -> int | None:
    if isinstance(found, int):
        return found
    return int(found[0]) if found else None
