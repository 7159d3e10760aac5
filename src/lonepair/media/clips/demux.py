"""Which containers FFmpeg may open, and names for those and the codecs that it may not or cannot.

The allow-list holds formats whose content is in the file itself. Playlists and scripts (HLS, DASH, concat, SDP) name
other files and addresses, and numbered images (image2) are other files: none of them is opened.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf"),
    *("ogg", "mxf", "gxf", "nut", "wtv", "rm", "nsv", "ivf", "yuv4mpegpipe", "dv", "mjpeg", "mjpeg_2000", "smjpeg"),
    *("h264", "hevc", "vvc", "obu", "av1", "m4v", "h263", "h261", "cavsvideo", "dirac", "vc1", "dnxhd", "amv", "bink"),
    *("smk", "roq", "flic", "nuv", "pva", "ty", "cine", "mlv", "ser", "filmstrip", "film_cpk", "vivo", "thp"),
)
"""FFmpeg's names of the demuxers that may open an input."""

OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
"""Options that restrict FFmpeg to `FORMATS` and, in them, to local files."""

STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpegls", "jpeg2000", "apng", "ppm"})
"""Codecs of cover pictures; MJPEG, PNG and others also encode clips."""

_PLAYLIST = re.compile(
    rb"\s*(#EXTM3U|ffconcat|file\s+['\"\w./]|\[playlist\]|<\?xml[^>]*>\s*<(MPD|SmoothStream|smil)|v=0)"
)
_SOUND = re.compile(
    rb"RIFF....WAVE|RF64....WAVE|ID3|fLaC|FORM....AIF|\xff[\xf1\xf9\xfa\xfb]|#!AMR|MThd|wvpk|MAC ", re.S
)
_KINDS = (  # images are named by `kinds`
    (re.compile(rb"....REDV?|....RED[12]", re.S), "a RED camera file (R3D); convert it to MP4 or ProRes"),
    (re.compile(rb"[FC]WS\x01?"), "a Flash file (SWF); convert it to MP4"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive; unpack it first"),
)

_HEAD_BYTES = 512
_SEARCH_BYTES = 16 << 20
"""How much of either end of a file is searched for the name of a codec."""


def foreign_kind(path: Path) -> str | None:
    """Return what a file is that is no video, with the remedy, as far as its first bytes tell; else None."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if _PLAYLIST.match(head):
        return "a playlist or script that names other files; give the video itself"
    if _SOUND.match(head):
        return "a sound file and holds only sound; give a video"
    return next((kind for pattern, kind in _KINDS if pattern.match(head)), None)


def codec_label(path: Path) -> str:
    """Return the name that a file has for the codec of its pictures, such as "brxq"; "unknown" where it is not found.

    FFmpeg's own name is missing for a codec that it does not know, so the container's field is read.
    """
    with path.open("rb") as file:
        data = _both_ends(file)
    patterns = (
        rb"hdlr.{8}vide.{1,4000}?stsd.{12}(.{4})",  # MP4 and MOV: the first sample entry of the picture track
        rb"strh.{4}vids(.{4})",  # AVI: the handler of the picture stream
        rb"\x86[\x81-\xff](V_[A-Z0-9_/.]+)",  # Matroska: the element CodecID
    )
    for pattern in patterns:
        if match := re.search(pattern, data, re.S):
            return match[1].decode("latin-1").strip("\0 ").encode("ascii", "backslashreplace").decode() or "unknown"
    return "unknown"


def _both_ends(file: IO[bytes]) -> bytes:
    """Return the start and the end of `file`, where containers keep their headers."""
    head = file.read(_SEARCH_BYTES)
    size = file.seek(0, 2)
    file.seek(max(len(head), size - _SEARCH_BYTES))
    return head + file.read(_SEARCH_BYTES)
