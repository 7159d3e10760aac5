"""Makes one progressive frame of the two fields of each interlaced frame, with FFmpeg's bwdif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import av.filter
from av.filter import Graph

_INTERLACED_ORDERS = (2, 3, 4, 5)
"""FFmpeg's numbers of the field orders that a container states: TT, BB, TB, BT."""
_TOP_FIRST = (2, 5)
"""Those whose top field is shown first."""

_MARKS_FRAMES = frozenset(
    {"h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4", "vc1", "wmv3", "prores", "dvvideo", "dnxhd", "mjpeg"}
)
"""Codecs that mark each interlaced frame themselves. Of others the container's field order holds."""


def stated_parity(codec: str, field_order: int) -> str | None:
    """Return "tff" or "bff" where only the container tells that all frames are interlaced, else None.

    Args:
        codec: FFmpeg's name of the codec.
        field_order: FFmpeg's number of the field order that the container states.
    """
    if codec in _MARKS_FRAMES or field_order not in _INTERLACED_ORDERS:
        return None
    return "tff" if field_order in _TOP_FIRST else "bff"


def deinterlace(frames: Iterable[av.VideoFrame], parity: str | None = None) -> Iterator[av.VideoFrame]:
    """Yield every frame, interlaced ones as progressive ones at the same time; a pass without any changes nothing.

    Args:
        frames: The decoded frames.
        parity: "tff" or "bff": all frames are interlaced, with the top or the bottom field first. None: those that
            are marked are.
    """
    graph: Graph | None = None
    layout: tuple[int, int, str] | None = None
    for frame in frames:
        # The graph starts with the first interlaced frame, and again where the frames change their layout.
        own = (frame.width, frame.height, frame.format.name)
        if graph is not None and own != layout:
            yield from _drain(graph)
            graph = None
        if graph is None and not (parity or frame.interlaced_frame):
            yield frame
            continue
        if graph is None:
            graph, layout = _build(frame, parity), own
        graph.push(frame)
        yield from _pull(graph)
    if graph is not None:
        yield from _drain(graph)


def _build(frame: av.VideoFrame, parity: str | None) -> Graph:
    """Return a filter graph for frames such as `frame`; one frame stays in it until the next."""
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    mode = f"parity={parity}:deint=all" if parity else "deint=interlaced"
    source.link_to(filtered := graph.add("bwdif", f"mode=send_frame:{mode}"))
    filtered.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _pull(graph: Graph) -> Iterator[av.VideoFrame]:
    """Yield the frames that are ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _drain(graph: Graph) -> Iterator[av.VideoFrame]:
    """Yield the remaining frames; the graph takes no more."""
    graph.push(None)
    yield from _pull(graph)
