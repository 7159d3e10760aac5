"""Exemplars: images of a domain that a model stores beside its weights, from which patch synthesis takes patches."""

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

Size = tuple[int, int]


class Exemplar(nn.Module):
    """Frames of a domain at the training size, and one frame at up to its full size.

    A new one holds one frame of zeros and no detail.
    """

    images: Float[Tensor, "n c h w"]
    """Frames in [-1, 1] at the newest stage's size; one for an image, several for a clip."""
    detail_bytes: UInt8[Tensor, "1 c h2 w2"]
    """A larger frame with 8 bits per channel; 0x0 pixels where there is none."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._channels = channels
        self.register_buffer("images", torch.zeros(1, channels, 1, 1))
        self.register_buffer("detail_bytes", torch.zeros(1, channels, 0, 0, dtype=torch.uint8))

    def add_stage(self, size: Size) -> None:
        """Replace `images` by one frame of zeros of (h, w) `size`."""
        self.images = self.images.new_zeros(1, self._channels, *size)

    def set_images(self, images: Float[Tensor, "n c h w"]) -> None:
        """Store a copy of `images`, of the size given to `add_stage`."""
        assert images.shape[1:] == self.images.shape[1:]
        self.images = images.clone()

    def set_detail(self, image: Float[Tensor, "1 c h w"]) -> None:
        """Store a frame of any size, in [-1, 1], rounded to 8 bits per channel."""
        self.detail_bytes = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def forward(self, index: int = 0) -> Float[Tensor, "1 c h w"]:
        """Frame number `index` at the training size, in [-1, 1]."""
        # In one memory layout, so that later operations round alike.
        return self.images[index : index + 1].contiguous()

    @property
    def detail(self) -> Float[Tensor, "1 c h2 w2"] | None:
        """The larger frame in [-1, 1]; None where there is none."""
        if self.detail_bytes.numel() == 0:
            return None
        return self.detail_bytes.contiguous().float() / 127.5 - 1

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Allocate the state's frames first: a plan states neither their number nor the size of the detail."""
        # Only where the channels and size of the frames agree; otherwise torch reports the difference.
        images, detail = state.get(f"{prefix}images"), state.get(f"{prefix}detail_bytes")
        if images is not None and images.shape[1:] == self.images.shape[1:]:
            self.images = self.images.new_empty(images.shape)
        if detail is not None:
            self.detail_bytes = self.detail_bytes.new_empty(detail.shape)
        super()._load_from_state_dict(state, prefix, *rest)
