"""Convolutions while layers train: wide depthwise kernels get their gradients in narrow pieces.

PyTorch's library for processors (oneDNN) has a fast way to the weights' gradient of a depthwise
convolution, but only for kernels at most three wide; for others it takes five to ten times as
long, a third of a training step of the upper half of EfficientNet-Lite0. A kernel's columns know
nothing of each other, so the gradient is computed for three of them at a time.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers import Conv2dSame
from timm.layers.conv2d_same import conv2d_same
from timm.layers.padding import pad_same
from torch import nn
from torch.nn import functional

from frostline.backbones.freeze.eval_mode import original_class

#: columns of a kernel that the library is fast for
_NARROW = 3
_FORWARD = "forward"

Convolve = Callable[[nn.Conv2d, torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose gradients are those of PyTorch, found in another way."""

    @classmethod
    def of(
        cls,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
    ) -> torch.Tensor:
        out: torch.Tensor = cls.apply(x, weight, bias, tuple(stride), tuple(padding))
        return out

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad[:3]
        return (
            _gradient(grad, x, weight, ctx.stride, ctx.padding, of=0) if for_x else None,
            _by_columns(grad, x, weight, ctx.stride, ctx.padding) if for_weight else None,
            # asked for along with another gradient, the library finds that of the weights again
            grad.sum(dim=(0, 2, 3)) if for_bias else None,
            None,
            None,
        )


def _by_columns(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """The weights' gradient, a few columns of the kernel at a time."""
    pieces = []
    for start in range(0, weight.shape[3], _NARROW):
        piece = weight[..., start : start + _NARROW]
        # the columns of the padded input that these columns of the kernel see
        left = padding[1] - start
        seen = stride[1] * (grad.shape[3] - 1) + piece.shape[3]
        right = seen - left - x.shape[3]
        own = functional.pad(x, (left, right)) if left or right else x
        pieces.append(_gradient(grad, own, piece, stride, (padding[0], 0), of=1))
    return torch.cat(pieces, dim=3)


def _gradient(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    *,
    of: int,
) -> torch.Tensor:
    wanted = [number == of for number in range(3)]
    found: torch.Tensor = torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), wanted
    )[of]
    return found


def plain(
    layer: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Do what ``nn.Conv2d`` does, with other weights than the layer's own."""
    if _is_slow(layer, x, weight) and not isinstance(layer.padding, str):
        return _Depthwise.of(x, weight, bias, layer.stride, layer.padding)
    out: torch.Tensor = layer._conv_forward(x, weight, bias)
    return out


def same(
    layer: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Do what timm's ``Conv2dSame`` does: pad by the size of the input, as TensorFlow does it."""
    if _is_slow(layer, x, weight):
        padded = pad_same(x, weight.shape[-2:], layer.stride, layer.dilation)
        return _Depthwise.of(padded, weight, bias, layer.stride, (0, 0))
    out: torch.Tensor = conv2d_same(
        x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    return out


#: by the class of a layer
CONVOLUTIONS: dict[type[nn.Module], Convolve] = {nn.Conv2d: plain, Conv2dSame: same}


@contextmanager
def fast_depthwise_backward(net: nn.Module) -> Iterator[int]:
    """Let wide depthwise convolutions train faster inside; gives their number.

    Weights and state dict stay as they are. On other machines than x86 nothing changes.

    ``net``: layers whose ``forward`` somebody replaced already are left alone.
    """
    changed = []
    for layer in net.modules():
        convolve = CONVOLUTIONS.get(original_class(layer))
        if convolve is None or not isinstance(layer, nn.Conv2d) or _FORWARD in layer.__dict__:
            continue
        if _is_wide(layer):
            layer.__dict__[_FORWARD] = _with_own_weights(layer, convolve)
            changed.append(layer)
    try:
        yield len(changed)
    finally:
        for layer in changed:
            layer.__dict__.pop(_FORWARD, None)


def _with_own_weights(
    layer: nn.Conv2d, convolve: Convolve
) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return convolve(layer, x, layer.weight, layer.bias)

    return forward


def _is_wide(layer: nn.Conv2d) -> bool:
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    simple = tuple(layer.dilation) == (1, 1) and layer.padding_mode == "zeros"
    return depthwise and simple and layer.kernel_size[1] > _NARROW


def _is_slow(layer: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether the library would take its slow way to a gradient that is wanted."""
    return (
        _is_wide(layer)
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and platform.machine().lower() in ("x86_64", "amd64")
    )
