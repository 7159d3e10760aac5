"""Networks, each made from plain arguments."""

from lonepair.nets.blocks import Constant as Constant
from lonepair.nets.blocks import Norm as Norm
from lonepair.nets.critic import PatchCritic as PatchCritic
from lonepair.nets.crops import Crops as Crops
from lonepair.nets.crops import StageSizes as StageSizes
from lonepair.nets.crops import crops as crops
from lonepair.nets.crops import cut as cut
from lonepair.nets.crops import whole as whole
from lonepair.nets.exemplar import Exemplar as Exemplar
from lonepair.nets.growing import GrowingGenerator as GrowingGenerator
from lonepair.nets.growing import Surround as Surround
from lonepair.nets.stagewise import StageGenerator as StageGenerator
from lonepair.nets.stagewise import StagewiseGenerator as StagewiseGenerator
from lonepair.nets.stagewise import widths_by_stage as widths_by_stage
