"""Limits of one input: what exceeds one is refused with both values, and the environment variable lifts all."""

import pytest

from lonepair.errors import UserError
from lonepair.media import limits


@pytest.mark.parametrize(
    ("size", "frames", "seconds", "file_bytes", "says"),
    [
        ((30000, 30000), 1, None, None, "30000x30000 pixels \\(900 megapixels\\), and the limit is 200 megapixels"),
        (
            (8000, 8000),
            2000,
            None,
            None,
            "2000 frames of 8000x8000 pixels .128.0 gigapixels., and .* 100 gigapixels",
        ),
        ((8000, 8000), 500, None, 50_000, "in 50000 bytes, and the limit is 20000 pixels per byte"),
        ((8, 8), 2, 1e6, None, "lasts 277.8 hours, and the limit is 24 hours"),
    ],
)
def test_input_beyond_a_limit_is_refused_unless_limits_are_lifted(
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    frames: int,
    seconds: float | None,
    file_bytes: int | None,
    says: str,
) -> None:
    with pytest.raises(UserError, match=f"a.gif: .*{says}.*LONEPAIR_NO_LIMITS=1"):
        limits.check_clip("a.gif", size, frames, seconds, file_bytes)
    monkeypatch.setenv("LONEPAIR_NO_LIMITS", "1")
    limits.check_clip("a.gif", size, frames, seconds, file_bytes)


def test_ordinary_inputs_are_within_all_limits() -> None:
    assert limits.limits_apply()
    limits.check_clip("a.mp4", (1080, 1920), 20_000, 700, 10_000_000)
    limits.check_clip("a.gif", (400, 400), 300, 12, 2_000)  # a still picture, shown for a while
    limits.check_clip("a.mkv", (1080, 1920), None)
