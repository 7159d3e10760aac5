"""Losses: pure functions of tensors, and of a critic, that return scalars, or tables that a layout loss compares."""

from lonepair.losses.adversarial import critic_losses as critic_losses
from lonepair.losses.adversarial import gradient_penalty as gradient_penalty
from lonepair.losses.adversarial import interpolate as interpolate
from lonepair.losses.distance import mean_squared_error as mean_squared_error
from lonepair.losses.equivariance import SmoothWarp as SmoothWarp
from lonepair.losses.equivariance import equivariance_distance as equivariance_distance
from lonepair.losses.layout import correlation as correlation
from lonepair.losses.layout import rarity as rarity
from lonepair.losses.layout import self_similarity as self_similarity
from lonepair.losses.linearized import keeps_graph as keeps_graph
from lonepair.losses.linearized import linearize as linearize
