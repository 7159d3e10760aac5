"""Metrics: what a picture is worth beside a known one; each in a file of its own, with its source and range."""

from lonepair.metrics.psnr import psnr as psnr
from lonepair.metrics.ssim import ssim as ssim
