"""Images that a model keeps beside its weights."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Size = tuple[int, int]


class Memory(nn.Module):
    """Some images of one size in [-1, 1]; one, of zeros, until `keep` was called."""

    images: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._channels = channels
        self.register_buffer("images", torch.zeros(1, channels, 1, 1))

    def add_stage(self, size: Size) -> None:
        """Make room for an image of (h, w) `size`."""
        self.images = self.images.new_zeros(1, self._channels, *size)

    def keep(self, images: Float[Tensor, "n c h w"]) -> None:
        """Keep `images`, of the size that there is room for."""
        assert images.shape[1:] == self.images.shape[1:]
        self.images = images.clone()

    def forward(self, index: int = 0) -> Float[Tensor, "1 c h w"]:
        """One of the images."""
        return self.images[index : index + 1].contiguous()  # whatever its layout was, so that rounding is the same

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A state has as many images as were kept, which the plan of a training does not tell."""
        stored = state.get(f"{prefix}images")
        if stored is not None and stored.shape[1:] == self.images.shape[1:]:
            self.images = self.images.new_empty(stored.shape)
        super()._load_from_state_dict(state, prefix, *rest)


class Detail(nn.Module):
    """An image of any size in [-1, 1], in 8 bits a channel; without a pixel until `keep` was called."""

    image: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("image", torch.zeros(1, channels, 0, 0, dtype=torch.uint8))

    def keep(self, image: Float[Tensor, "1 c h w"]) -> None:
        """Keep `image`."""
        self.image = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def forward(self) -> Float[Tensor, "1 c h w"]:
        """The image."""
        return self.image.contiguous().float() / 127.5 - 1

    @property
    def size(self) -> Size:
        """(h, w)."""
        return self.image.shape[-2], self.image.shape[-1]

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Of whatever size the state's is; what was saved before there was detail has none."""
        stored = state.setdefault(f"{prefix}image", self.image)
        self.image = self.image.new_empty(stored.shape)
        super()._load_from_state_dict(state, prefix, *rest)
