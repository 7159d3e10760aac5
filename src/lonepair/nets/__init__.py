"""Networks, each made from plain arguments."""

from lonepair.nets.critic import PatchCritic as PatchCritic
from lonepair.nets.growing import GrowingGenerator as GrowingGenerator
