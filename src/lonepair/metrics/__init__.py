"""Metrics: functions that measure an output against its source, its target or other outputs.

Each file holds one metric with its definition, source and range. `docs/explanation/measuring.md` says how to read them.
"""

from lonepair.metrics.bidirectional import bidirectional as bidirectional
from lonepair.metrics.bidirectional import layout_distance as layout_distance
from lonepair.metrics.clip import ClipMetrics as ClipMetrics
from lonepair.metrics.clip import clip_metrics as clip_metrics
from lonepair.metrics.clip import measure_outputs as measure_outputs
from lonepair.metrics.clip import measure_steps as measure_steps
from lonepair.metrics.copying import copied_share as copied_share
from lonepair.metrics.copying import copy_map as copy_map
from lonepair.metrics.copying import copying as copying
from lonepair.metrics.diversity import diversity as diversity
from lonepair.metrics.look import look as look
from lonepair.metrics.look import look_distance as look_distance
from lonepair.metrics.patch_swd import patch_swd as patch_swd
from lonepair.metrics.psnr import psnr as psnr
from lonepair.metrics.sifid import sifid as sifid
from lonepair.metrics.ssim import ssim as ssim
from lonepair.metrics.structure import structure as structure
