"""Patches: their nearest neighbours, distances between patch distributions, and patch synthesis."""

from lonepair.patches.distance import ColorWhitening as ColorWhitening
from lonepair.patches.distance import PatchDistribution as PatchDistribution
from lonepair.patches.distance import random_filters as random_filters
from lonepair.patches.distance import sliced_wasserstein as sliced_wasserstein
from lonepair.patches.search import Move as Move
from lonepair.patches.search import NearestPatches as NearestPatches
from lonepair.patches.search import copied_regions as copied_regions
from lonepair.patches.search import flat_index as flat_index
from lonepair.patches.search import patches_of as patches_of
from lonepair.patches.search import rows_and_columns as rows_and_columns
