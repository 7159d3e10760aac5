"""An image that a model keeps beside its weights."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Size = tuple[int, int]


class Memory(nn.Module):
    """One image in 8 bits a channel; 0 until `keep` was called."""

    image: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._channels = channels
        self.register_buffer("image", torch.zeros(1, channels, 1, 1, dtype=torch.uint8))

    def grow(self, size: Size) -> None:
        """Make room for an image of (h, w) `size`."""
        self.image = torch.zeros(1, self._channels, *size, dtype=torch.uint8, device=self.image.device)

    def keep(self, image: Float[Tensor, "1 c h w"]) -> None:
        """Keep `image`, in [-1, 1], of the size that there is room for."""
        self.image.copy_(image.add(1).mul(127.5).round().clamp(0, 255))

    def forward(self) -> Float[Tensor, "1 c h w"]:
        """The image, in [-1, 1]."""
        return self.image.float() / 127.5 - 1
