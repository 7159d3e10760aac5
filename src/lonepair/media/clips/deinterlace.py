"""Makes one progressive frame of the two fields of each interlaced frame, with FFmpeg's bwdif.

Frames are interlaced where they or their container say so, and where FFmpeg's idet sees two moments in most of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

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

EXAMINED_FRAMES = 24
"""Number of frames at the start of a clip that `seen_parity` examines."""
_FIELD_RATIO = 1.5
"""How much closer the lines of one field are to the next frame than to the previous one, or the reverse, in an
interlaced frame. 3 in theory; 1 in a progressive one."""
_MIN_VOTES = 3
"""Fewest frames that make a clip interlaced."""
_CLEAR_SHARE, _MIXED_SHARE = 0.8, 0.25
"""Shares of interlaced frames among those that move: of one order in an interlaced clip, of any in a mixed one."""


def stated_parity(codec: str, field_order: int) -> str | None:
    """Return "tff" or "bff" where only the container tells that all frames are interlaced, else None.

    Args:
        codec: FFmpeg's name of the codec.
        field_order: FFmpeg's number of the field order that the container states.
    """
    if codec in _MARKS_FRAMES or field_order not in _INTERLACED_ORDERS:
        return None
    return "tff" if field_order in _TOP_FIRST else "bff"


def seen_parity(frames: Iterable[av.VideoFrame]) -> str | None:
    """Judge by their pixels whether frames that nothing marks hold two moments, one in each field.

    Args:
        frames: The first frames of a clip; `EXAMINED_FRAMES` of them count.

    Returns:
        "tff" or "bff": nearly all moving frames do, with the top or the bottom field first; "mixed": some do; None:
        none does, or a frame is marked as interlaced.
    """
    graph: Graph | None = None
    votes: Counter[str] = Counter()
    for frame in islice(frames, EXAMINED_FRAMES):
        if frame.interlaced_frame:
            return None
        if graph is None:
            first = (frame.width, frame.height, frame.format.name)
            graph = _graph(frame, "idet", f"intl_thres={_FIELD_RATIO}")
        elif (frame.width, frame.height, frame.format.name) != first:
            break
        graph.push(frame)
        votes.update(_judgement(judged) for judged in _pull(graph))
    if graph is not None:
        votes.update(_judgement(judged) for judged in _drain(graph))
    interlaced = votes["tff"] + votes["bff"]
    if interlaced < _MIN_VOTES or interlaced < _MIXED_SHARE * (interlaced + votes["progressive"]):
        return None
    order = "tff" if votes["tff"] >= votes["bff"] else "bff"
    return order if votes[order] >= _CLEAR_SHARE * (interlaced + votes["progressive"]) else "mixed"


def _judgement(frame: av.VideoFrame) -> str:
    """Return what idet says of a frame: tff, bff, progressive or undetermined."""
    return str(frame.metadata.get("lavfi.idet.single.current_frame", ""))


def deinterlace(
    frames: Iterable[av.VideoFrame], parity: str | None = None, on_start: Callable[[], None] = lambda: None
) -> Iterator[av.VideoFrame]:
    """Yield every frame, interlaced ones as progressive ones at the same time; a pass without any changes nothing.

    Args:
        frames: The decoded frames.
        parity: "tff" or "bff": all frames are interlaced, with the top or the bottom field first. None: those that
            are marked are.
        on_start: Called before the first interlaced frame.
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
            on_start()
            mode = f"parity={parity}:deint=all" if parity else "deint=interlaced"
            graph, layout = _graph(frame, "bwdif", f"mode=send_frame:{mode}"), own
        graph.push(frame)
        yield from _pull(graph)
    if graph is not None:
        yield from _drain(graph)


def _graph(frame: av.VideoFrame, name: str, options: str) -> Graph:
    """Return a graph of one filter for frames such as `frame`; one frame stays in it until the next."""
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    source.link_to(filtered := graph.add(name, options))
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
