"""Patches: their nearest neighbours, distances between patch distributions, and patch synthesis."""

from lonepair.patches.distance import Contrast as Contrast
from lonepair.patches.distance import PatchLook as PatchLook
from lonepair.patches.distance import random_filters as random_filters
from lonepair.patches.distance import sliced_wasserstein as sliced_wasserstein
from lonepair.patches.search import Move as Move
from lonepair.patches.search import Nearest as Nearest
from lonepair.patches.search import index_of as index_of
from lonepair.patches.search import patches_of as patches_of
from lonepair.patches.search import pieces as pieces
from lonepair.patches.search import places_of as places_of
