"""Colors of image files as sRGB: ICC profiles of curves and a matrix, PNG's gamma and primaries, and code points.

A profile is judged by its curves and its primaries, never by its name: many are called sRGB and are not. Profiles of
tables (CMYK, printers, scanners) are LittleCMS's, through Pillow (`pil`); those here keep more than 8 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

SRGB_XY = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
"""x and y of red, green, blue and white of sRGB and Rec. 709."""
_WIDE_XY = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290),
}
"""Primaries of ITU-T H.273 by code point; others are taken as those of sRGB."""

_D50 = np.array([0.9642, 1.0, 0.8249])
"""White of the connection space of ICC profiles, as XYZ."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Cone responses of XYZ, for the adaptation from one white to another."""

_CODES = np.linspace(0, 1, 65536)
"""The values at which curves are tabulated."""
_SRGB_DEVIATION = 1.5 / 255
"""Largest difference from sRGB, in sRGB, at which values are left as they are: that of rounding in profiles."""
_GAMMA_TOLERANCE = 0.05
"""Relative difference from 1 / 2.2 at which a PNG's gamma means sRGB: writers round it, and mean the sRGB curve."""


@dataclass(frozen=True)
class ColorSpace:
    """How values of an image become linear light, and which colors its channels are."""

    curves: tuple[np.ndarray, ...]
    """One or three tables of 65536 values: linear light in [0, 1] of codes from 0 to 1."""
    to_xyz: np.ndarray | None
    """(3, 3): XYZ under D50 of linear RGB; None for grey."""

    def to_srgb(self, unit: Float32[np.ndarray, "h w c"]) -> Float32[np.ndarray, "h w c"]:
        """Convert values in [0, 1] into sRGB in [0, 1]; colors outside of sRGB are clipped. c = 1 or 3.

        Grey stays grey, also where the space is one of RGB.
        """
        index = np.rint(unit.clip(0, 1) * 65535).astype(np.uint16)
        channels = index.shape[2]
        if self.to_xyz is None or channels == 1:
            return encode_srgb(self.curves[0][index].astype(np.float32))
        curves = self.curves * (3 // len(self.curves))
        linear = np.stack([curve[index[..., channel]] for channel, curve in enumerate(curves)], axis=2)
        matrix = (_XYZ_TO_SRGB @ self.to_xyz).astype(np.float32)
        return encode_srgb((linear.astype(np.float32) @ matrix.T).clip(0, 1))

    def is_srgb(self) -> bool:
        """Return whether `to_srgb` changes no color by more than rounding does."""
        levels = np.linspace(0, 1, 9, dtype=np.float32)
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        greys = np.linspace(0, 1, 256, dtype=np.float32)[:, None, None]
        return all(
            float(np.abs(self.to_srgb(values) - values).max()) <= _SRGB_DEVIATION
            for values in ((greys,) if self.to_xyz is None else (greys.repeat(3, axis=2), grid))
        )


def encode_srgb(linear: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Encode linear light in [0, 1] as sRGB in [0, 1] (IEC 61966-2-1)."""
    power = 1.055 * np.maximum(linear, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, power).astype(np.float32, copy=False)


def decode_srgb(code: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Decode sRGB in [0, 1] to linear light in [0, 1]; the inverse of `encode_srgb`."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def xyz_of_primaries(xy: tuple[float, ...]) -> np.ndarray:
    """Return the (3, 3) matrix from linear RGB to XYZ under D50, for x and y of red, green, blue and white.

    Raises:
        ValueError: The primaries span no color space.
    """
    # The primaries of ACES are no real colors: y of its blue is negative.
    if min(map(abs, xy[1::2])) < 1e-6 or xy[7] < 0:
        raise ValueError(f"primaries {xy}")
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(xy[0::2], xy[1::2], strict=True)]).T
    try:
        matrix = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    except np.linalg.LinAlgError as error:
        raise ValueError(f"primaries {xy}") from error
    cones = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ columns[:, 3])) @ _BRADFORD
    return np.asarray(cones @ matrix)


_SRGB_CURVE = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4)
_XYZ_TO_SRGB = np.linalg.inv(xyz_of_primaries(SRGB_XY))


def space_of_png(gamma: float | None, xy: tuple[float, ...] | None) -> ColorSpace | None:
    """Return the color space of a PNG's chunks gAMA and cHRM; None where they are absent or make no sense.

    Args:
        gamma: Exponent of the encoding, such as 0.45455.
        xy: x and y of white, red, green and blue, in PNG's order.
    """
    if gamma is not None and not 0.01 <= gamma <= 10:
        gamma = None
    if gamma is None and xy is None:
        return None
    is_srgb_curve = gamma is None or abs(gamma * 2.2 - 1) <= _GAMMA_TOLERANCE
    curve = _SRGB_CURVE if is_srgb_curve or gamma is None else _CODES ** (1 / gamma)
    try:
        matrix = xyz_of_primaries((*xy[2:], *xy[:2]) if xy is not None else SRGB_XY)
    except ValueError:
        return None
    return ColorSpace((curve,), matrix)


def space_of_code_points(primaries: int, transfer: int) -> ColorSpace:
    """Return the color space of two code points of ITU-T H.273, other than PQ and HLG.

    The curves of television (BT.709, BT.601, BT.2020) are taken as that of sRGB, which is how they are shown.
    """
    curves = {8: _CODES, 4: _CODES**2.2, 5: _CODES**2.8}
    return ColorSpace((curves.get(transfer, _SRGB_CURVE),), xyz_of_primaries(_WIDE_XY.get(primaries, SRGB_XY)))


# -- ICC --------------------------------------------------------------------------------------------------------------


def space_of_icc(profile: bytes) -> ColorSpace | None:
    """Return the color space of an ICC profile that has curves, and of RGB a matrix; None for any other profile."""
    try:
        return _parse_icc(profile)
    except (struct.error, ValueError, IndexError, KeyError, ArithmeticError):
        return None


def icc_channels(profile: bytes) -> str:
    """Return the color space that an ICC profile describes, such as "RGB", "GRAY" or "CMYK"."""
    return profile[16:20].decode("latin-1").strip()


def lab_to_srgb(lab: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Convert CIE L*a*b* under D50 (L in 0..100) into sRGB in [0, 1]; colors outside of sRGB are clipped."""
    lightness = (lab[..., :1] + 16) / 116
    cubes = np.concatenate([lightness + lab[..., 1:2] / 500, lightness, lightness - lab[..., 2:] / 200], axis=2)
    xyz = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29)) * _D50
    return encode_srgb((xyz @ _XYZ_TO_SRGB.T).clip(0, 1).astype(np.float32))


def _parse_icc(profile: bytes) -> ColorSpace | None:
    count = struct.unpack_from(">I", profile, 128)[0]
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 200)))
    tags = {name: profile[start : start + length] for name, start, length in entries}
    space = icc_channels(profile)
    if space == "GRAY" and b"kTRC" in tags:
        return ColorSpace((_curve(tags[b"kTRC"]),), None)
    # Where a profile has tables as well, they count.
    if space != "RGB" or b"A2B0" in tags or b"rTRC" not in tags or profile[20:24] != b"XYZ ":
        return None
    columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix = np.array(columns, dtype=np.float64).T / 65536
    return ColorSpace(tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")), matrix)


def _curve(tag: bytes) -> np.ndarray:
    """Return the table of a curve (ICC.1:2022, 10.6 curveType and 10.18 parametricCurveType)."""
    kind, size = tag[:4], struct.unpack_from(">I", tag, 8)[0]
    if kind == b"curv":
        if size == 0:
            return _CODES
        if size == 1:
            return np.asarray(_CODES ** (struct.unpack_from(">H", tag, 12)[0] / 256))
        values = np.frombuffer(tag, ">u2", size, 12) / 65535
        return np.asarray(np.interp(_CODES, np.linspace(0, 1, size), values))
    if kind != b"para":
        raise ValueError(f"curve of type {kind!r}")
    function = struct.unpack_from(">H", tag, 8)[0]
    parameters = np.frombuffer(tag, ">i4", (1, 3, 4, 5, 7)[function], 12) / 65536
    gamma, a, b, c, d, e, f = [*map(float, parameters), *[0.0] * (7 - len(parameters))]
    if function == 0:
        return np.asarray(_CODES**gamma)
    # Functions 1 and 2 break where the power's base is 0, and are constant below: 0, or c.
    if function in (1, 2):
        c, d, e, f = 0.0, -b / a, c, c
    power = np.maximum(a * _CODES + b, 0) ** gamma + e
    return np.clip(np.where(d <= _CODES, power, c * _CODES + f), 0, 1)
