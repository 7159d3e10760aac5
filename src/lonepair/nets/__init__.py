"""Networks: generators, critics and the exemplars saved with them. They do not depend on a config or a method."""

from lonepair.nets.blocks import Constant as Constant
from lonepair.nets.blocks import Norm as Norm
from lonepair.nets.critic import PatchCritic as PatchCritic
from lonepair.nets.crops import Crops as Crops
from lonepair.nets.crops import StageSizes as StageSizes
from lonepair.nets.crops import choose_crops as choose_crops
from lonepair.nets.crops import crop_image as crop_image
from lonepair.nets.crops import full_sizes as full_sizes
from lonepair.nets.exemplar import Exemplar as Exemplar
from lonepair.nets.growing import GrowingGenerator as GrowingGenerator
from lonepair.nets.stage import BorderMode as BorderMode
from lonepair.nets.stagewise import StageGenerator as StageGenerator
from lonepair.nets.stagewise import StagewiseGenerator as StagewiseGenerator
from lonepair.nets.stagewise import widths_by_stage as widths_by_stage
