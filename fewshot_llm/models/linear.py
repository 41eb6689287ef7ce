"""Float32 products of linear layers by oneDNN, where the library that torch calls holds back.

On x86 torch leaves float32 matrix products to MKL, which gives processors of other makers its AVX2 kernels even where
they have AVX-512: on an EPYC 9005 half of what oneDNN reaches, which comes with torch as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch

from fewshot_llm.models.device import processor_field

__all__ = ["OneDnnLinear", "Product", "multiply_by_onednn", "onednn_is_faster", "padded", "product_of"]

Product: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(x [..., in], W [out, in], b [out] or None) → x Wᵀ + b, without a gradient."""


def onednn_is_faster(root: Path = Path("/")) -> bool:
    """Whether this is an AMD processor with AVX-512, on which oneDNN's float32 kernels are faster than MKL's.

    Args:
        root: where `proc` is looked up.

    >>> onednn_is_faster() in (True, False)
    True
    """
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and "AuthenticAMD" in processor_field("vendor_id", root)


def _by_onednn(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    if not x.numel():
        return torch.nn.functional.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    missing = padded(len(rows)) - len(rows)
    whole = torch.nn.functional.pad(rows, (0, 0, 0, missing)) if missing else rows
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(whole, weight, bias, "none", [], "")
    return out[: len(rows)].view(*x.shape[:-1], len(weight))


def padded(rows: int) -> int:
    """The next larger of a few numbers of rows: powers of two up to 16, then multiples of 16, then eight an octave.

    OneDNN writes itself a program for each shape and keeps a thousand, half a megabyte each.

    >>> [padded(rows) for rows in (1, 3, 16, 17, 133, 257, 1000)]
    [1, 4, 16, 32, 144, 288, 1024]
    """
    if rows <= 16:
        return 1 << (rows - 1).bit_length()
    step = max(16, 1 << ((rows - 1).bit_length() - 4))
    return -(-rows // step) * step


class OneDnnLinear(torch.nn.Linear):
    """`torch.nn.Linear` whose frozen float32 weights on a CPU are multiplied by oneDNN."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As `torch.nn.Linear`, shape [..., in] -> [..., out]."""
        own = [self.weight] if self.bias is None else [self.weight, self.bias]
        usual = any(t.dtype != torch.float32 or t.device.type != "cpu" for t in (input, *own))
        if usual or (torch.is_grad_enabled() and any(t.requires_grad for t in own)):
            return super().forward(input)
        product: torch.Tensor = _Product.apply(input, *own)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    """x Wᵀ + b with a gradient to x."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return _by_onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return _by_onednn(gradients[0], weight.T), None, None


def multiply_by_onednn(network: torch.nn.Module) -> None:
    """Make the plain float32 linear layers of a network `OneDnnLinear`, in place; the weights are untouched."""
    for module in network.modules():
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.float32:
            module.__class__ = OneDnnLinear


def product_of(layer: torch.nn.Module) -> Product | None:
    """The function that a plain linear layer multiplies by; None for any other layer.

    A number format, an adapter or a device map of a layer's own is more than a product: it has to be called.
    """
    if hasattr(layer, "_hf_hook"):
        return None
    if type(layer) is OneDnnLinear and layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu":
        return _by_onednn
    return torch.nn.functional.linear if type(layer) in (torch.nn.Linear, OneDnnLinear) else None
