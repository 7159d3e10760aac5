"""Colors of HDR and wide-gamut pictures as sRGB: PQ and HLG are tone-mapped, BT.2020 and P3 converted to BT.709.

Video and images use it alike. Code points are those of ITU-T H.273, which FFmpeg, PNG (cICP) and MP4 (colr) share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt16

PQ, HLG = 16, 18
"""Transfer characteristics: SMPTE ST 2084 and ARIB STD-B67."""
_SRGB_TRANSFER = 13
_LINEAR_TRANSFER = 8

_BT709 = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290)
_PRIMARIES = {
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3140, 0.3510),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}
"""Wide primaries -> x and y of red, green, blue and white: BT.2020, DCI-P3 and Display P3. Others, such as those of
BT.601, are shown as BT.709, as players do."""
_NAMES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}

_SDR_WHITE = 203.0
"""Luminance in cd/m2 that becomes SDR white: the reference white of HDR programmes (ITU-R BT.2408)."""
DEFAULT_PEAK = 1000.0
"""Peak luminance in cd/m2 of PQ where the file states none, and the nominal peak of HLG (ITU-R BT.2100)."""
_HLG_GAMMA = 1.2
"""System gamma of HLG at a peak of 1000 cd/m2 (BT.2100, table 5)."""
_BLACK_BOX_PEAKS = (100.0, 10_000.0)
"""A stated peak outside this range is not believed."""


@dataclass(frozen=True)
class ColorTags:
    """What a file states about its colors."""

    transfer: int = 2
    """Transfer characteristics; 2: unspecified."""
    primaries: int = 2
    """Color primaries; 2: unspecified."""
    peak: float = DEFAULT_PEAK
    """Peak luminance of the content in cd/m2."""

    @property
    def is_hdr(self) -> bool:
        """Whether the transfer is PQ or HLG."""
        return self.transfer in (PQ, HLG)

    @property
    def needs_conversion(self) -> bool:
        """Whether `to_srgb` changes the colors."""
        return self.is_hdr or self.primaries in _PRIMARIES

    def describe(self) -> str:
        """Return what `to_srgb` does, for a message."""
        primaries = _NAMES.get(self.primaries, "BT.709")
        if not self.is_hdr:
            return f"{primaries} colors are converted to sRGB; those outside it are clipped"
        name = "PQ" if self.transfer == PQ else "HLG"
        return f"HDR ({name}, {primaries}, {self.peak:.0f} cd/m2) is tone-mapped to SDR (ITU-R BT.2390)"


def clip_peak(peak: float | None) -> float:
    """Return a stated `peak` in cd/m2 where it is plausible, else `DEFAULT_PEAK`."""
    low, high = _BLACK_BOX_PEAKS
    return peak if peak is not None and low <= peak <= high else DEFAULT_PEAK


def to_srgb(array: UInt16[np.ndarray, "h w 3"], tags: ColorTags) -> UInt16[np.ndarray, "h w 3"]:
    """Convert R'G'B' of 16 bits and full range with `tags` into sRGB of 16 bits."""
    if tags.transfer == PQ:
        light = _pq_light(array, tags.peak)
    elif tags.transfer == HLG:
        light = _hlg_light(array)
    else:
        light = _decode_table(tags.transfer)[array]
    if tags.primaries in _PRIMARIES:
        light = light @ _to_bt709(tags.primaries).T
    light = np.clip(light, 0, 1)
    # SDR keeps its transfer, so that greys keep their values; HDR becomes sRGB.
    if tags.is_hdr or tags.transfer in (_SRGB_TRANSFER, _LINEAR_TRANSFER):
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    else:
        coded = light ** np.float32(1 / 2.4)
    return np.asarray(coded * 65535 + 0.5, np.uint16)


@lru_cache(maxsize=4)
def _decode_table(transfer: int) -> Float32[np.ndarray, codes]:
    """Return linear light in [0, 1] of every 16-bit code of an SDR transfer."""
    code = np.linspace(0, 1, 65536)
    if transfer == _LINEAR_TRANSFER:
        return code.astype(np.float32)
    if transfer == _SRGB_TRANSFER:
        code = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        return np.asarray(code, np.float32)
    return (code**2.4).astype(np.float32)  # the display of BT.1886, for BT.709, BT.601 and BT.2020


def _pq_light(array: UInt16[np.ndarray, "h w 3"], peak: float) -> Float32[np.ndarray, "h w 3"]:
    """Return tone-mapped linear light of PQ, in units of SDR white.

    The largest channel is mapped by BT.2390 and the others in proportion, so that hues stay.
    """
    linear, factor = _pq_tables(peak)
    return np.asarray(linear[array] * factor[array.max(axis=2)][..., None])


@lru_cache(maxsize=4)
def _pq_tables(peak: float) -> tuple[Float32[np.ndarray, codes], Float32[np.ndarray, codes]]:
    """Return, of every 16-bit PQ code, its linear light and the factor by which BT.2390 scales it.

    Light is in units of SDR white.
    """
    code = np.linspace(0, 1, 65536)
    light = _pq_eotf(code)
    mapped = _pq_eotf(_bt2390(code, peak))
    factor = np.divide(mapped, light, out=np.ones_like(light), where=light > 0)
    return (light / _SDR_WHITE).astype(np.float32), factor.astype(np.float32)


def _hlg_light(array: UInt16[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Return tone-mapped linear light of HLG on a display of 1000 cd/m2, in units of SDR white."""
    scene = _hlg_table()[array]
    # BT.2100, table 5: the OOTF raises the scene's luminance to the system gamma.
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    light = scene * (DEFAULT_PEAK * np.maximum(luminance, 1e-6) ** np.float32(_HLG_GAMMA - 1))[..., None]
    # The factor of BT.2390 depends on the largest channel; its PQ code indexes the table.
    code = _pq_inverse_eotf(light.max(axis=2))
    _, factor = _pq_tables(DEFAULT_PEAK)
    return np.asarray(light * (factor[(code * 65535 + 0.5).astype(np.uint16)] / np.float32(_SDR_WHITE))[..., None])


@lru_cache(maxsize=1)
def _hlg_table() -> Float32[np.ndarray, codes]:
    """Return the scene's linear light in [0, 1] of every 16-bit HLG code (BT.2100, table 5: inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.linspace(0, 1, 65536)
    return np.asarray(np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12), np.float32)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""Constants of PQ (BT.2100, table 4)."""


def _pq_eotf(code: np.ndarray) -> np.ndarray:
    """Return luminance in cd/m2 of PQ codes in [0, 1] (BT.2100, table 4: EOTF)."""
    power = code ** (1 / _M2)
    return np.asarray(10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1))


def _pq_inverse_eotf(light: np.ndarray) -> np.ndarray:
    """Return PQ codes in [0, 1] of luminances in cd/m2 (BT.2100, table 4: inverse EOTF)."""
    power = (np.clip(light, 0, 10_000) / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _bt2390(code: np.ndarray, peak: float) -> np.ndarray:
    """Map PQ codes of content up to `peak` cd/m2 to codes up to SDR white (BT.2390, section 5.4.1, black at 0)."""
    white, target = _pq_inverse_eotf(np.array([peak, _SDR_WHITE]))
    e1 = np.minimum(code / white, 1)
    max_lum = min(target / white, 1.0)
    # The knee; below it nothing changes.
    ks = 1.5 * max_lum - 0.5
    t = (e1 - ks) / max(1 - ks, 1e-9)
    spline = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * max_lum
    return np.asarray(np.where(e1 < ks, e1, np.minimum(spline, max_lum)) * white)


@lru_cache(maxsize=4)
def _to_bt709(primaries: int) -> Float32[np.ndarray, "3 3"]:
    """Return the matrix that converts linear RGB of `primaries` to that of BT.709; white becomes white."""
    return np.asarray(np.linalg.inv(_rgb_to_xyz(_BT709)) @ _rgb_to_xyz(_PRIMARIES[primaries], _BT709[6:]), np.float32)


def _rgb_to_xyz(xy: tuple[float, ...], white: tuple[float, ...] | None = None) -> np.ndarray:
    """Return the matrix from linear RGB to XYZ (SMPTE RP 177) of primaries `xy`, with the white point `white`."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(xy[0:6:2], xy[1:6:2], strict=True)]).T
    x, y = white or xy[6:]
    return columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))
