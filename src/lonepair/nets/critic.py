"""The patch critic: a score for every patch, none for the whole image."""

import itertools

from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.blocks import Norm, conv_block, init_normal


class PatchCritic(nn.Module):
    """`blocks` Conv 3x3, unpadded, LeakyReLU between them: each score sees 2·blocks + 1 pixels.

    Without normalisation no image of a batch touches another, so that real and fake may share a forward, and the
    gradient penalty is that of one image (WGAN-GP, Gulrajani et al. 2017, sec. 4 "No critic batch normalization").
    SinGAN's critics have BatchNorm all the same.
    """

    def __init__(
        self, channels: int, width: int, blocks: int, slope: float, norm: Norm = "none", zero_bias: bool = True
    ) -> None:
        super().__init__()
        self.patch = 2 * blocks + 1 if norm == "none" else 0
        """Pixels a side that a score hangs on; 0 where normalisation has it hang on all."""
        widths = [channels] + [width] * (blocks - 1)
        self.body = nn.Sequential(
            *(conv_block(i, o, norm=norm, slope=slope, padding=0) for i, o in itertools.pairwise(widths))
        )
        self.score = nn.Conv2d(width, 1, 3)
        init_normal(self, zero_bias)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h2 w2"]:
        """Scores of all patches; each side is 2·blocks pixels shorter than the image's."""
        scores: Tensor = self.score(self.body(image))
        return scores
