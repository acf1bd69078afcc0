"""Small models of every family, for tests that need a model but not a trained one."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
Kernel = Literal["fused", "softmax", "mha"]


class ConvNet(nn.Module):
    """Two convolutions with batch norm and in-place ReLUs, a mean over space, a linear head; 1-D, 2-D or 3-D."""

    def __init__(self, rank: int = 2, *, channels: int = 2, classes: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = nn.Sequential(CONV[rank](channels, 4, 3, stride=2, padding=1), NORM[rank](4), nn.ReLU(inplace=True))
        self.body = nn.Sequential(CONV[rank](4, 6, 3, padding=1), NORM[rank](6), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(6, classes)
        for norm in (self.stem[1], self.body[1]):
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.5, 1.5)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.dropout(self.body(self.stem(image)).flatten(2).mean(dim=2)))


class GapLinear(nn.Module):
    """conv → mean over space → linear: the model on which Grad-CAM has a closed form."""

    def __init__(self, rank: int = 2, *, classes: int = 3) -> None:
        super().__init__()
        self.conv = CONV[rank](2, 5, 3, padding=1)
        self.fc = nn.Linear(5, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.conv(image).flatten(2).mean(dim=2))


class ChannelsLastNet(nn.Module):
    """Patches by a convolution, then ``(B, H, W, C)`` all the way, as in Swin and ConvNeXt."""

    def __init__(self, *, width: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, width, 2, stride=2)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.norm(self.patch(image).permute(0, 2, 3, 1))
        return self.head(self.last(x + self.mix(x)).mean(dim=(1, 2)))


class Attention(nn.Module):
    """Self-attention with the kernel asked for; the weights are the same for all three."""

    def __init__(self, width: int, heads: int, kernel: Kernel) -> None:
        super().__init__()
        self.kernel, self.heads = kernel, heads
        self.mha = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel == "mha":
            return self.mha(x, x, x, need_weights=False)[0]
        batch, tokens, width = x.shape
        packed = F.linear(x, self.mha.in_proj_weight, self.mha.in_proj_bias)
        q, k, v = packed.reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.kernel == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v
        return self.mha.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, kernel: Kernel) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads, kernel)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """A vision transformer of any rank, with ``prefix`` extra tokens; without any it answers from their mean."""

    def __init__(
        self,
        size: tuple[int, ...] = (16, 16),
        *,
        patch: int = 4,
        prefix: int = 1,
        depth: int = 3,
        kernel: Kernel = "fused",
        classes: int = 3,
        width: int = 8,
    ) -> None:
        super().__init__()
        tokens = prefix + torch.Size(length // patch for length in size).numel()
        self.prefix = prefix
        self.patch = CONV[len(size)](2, width, patch, stride=patch)
        self.extra = nn.Parameter(torch.randn(1, prefix, width))
        self.position = nn.Parameter(torch.randn(1, tokens, width) * 0.2)
        self.blocks = nn.Sequential(*(Block(width, 2, kernel) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(len(image), -1, -1), patches], dim=1) + self.position
        x = self.norm(self.blocks(x))
        return self.head(x[:, 0] if self.prefix else x.mean(dim=1))


class Branches(nn.Module):
    """Two inputs by name, each through a network of its own or through the same one; the answers are mixed."""

    def __init__(self, of_image: nn.Module, of_second: nn.Module, classes: int = 3) -> None:
        super().__init__()
        self.of_image, self.of_second = of_image, of_second
        self.head = nn.Linear(2 * classes, classes)

    def forward(self, image: Tensor, second: Tensor) -> Tensor:
        return self.head(torch.cat([self.of_image(image), self.of_second(second)], dim=1))


class FramesNet(nn.Module):
    """A network of pictures run on every frame of a clip ``(B, T, C, H, W)``; the answer is the mean over frames."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @property
    def head(self) -> nn.Module:
        return self.net.head

    def forward(self, video: Tensor) -> Tensor:
        return self.net(video.flatten(0, 1)).unflatten(0, video.shape[:2]).mean(dim=1)
