"""Losses: pure functions of tensors (and a critic), each returning scalars."""

from lonepair.losses.adversarial import critic_losses as critic_losses
from lonepair.losses.adversarial import gradient_penalty as gradient_penalty
from lonepair.losses.adversarial import interpolate as interpolate
from lonepair.losses.distance import mean_square as mean_square
from lonepair.losses.layout import correlation as correlation
from lonepair.losses.layout import rarity as rarity
from lonepair.losses.layout import self_similarity as self_similarity
from lonepair.losses.nearest import Move as Move
from lonepair.losses.nearest import Nearest as Nearest
from lonepair.losses.nearest import index_of as index_of
from lonepair.losses.nearest import patches_of as patches_of
from lonepair.losses.nearest import pieces as pieces
from lonepair.losses.nearest import places_of as places_of
from lonepair.losses.patches import Contrast as Contrast
from lonepair.losses.patches import PatchLook as PatchLook
from lonepair.losses.patches import random_filters as random_filters
from lonepair.losses.patches import sliced_wasserstein as sliced_wasserstein
from lonepair.losses.stale import first_order as first_order
