"""The folder of a stopped render whose state a stranger wrote: no file outside it is read, and nothing is resized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lonepair.render.folder import RenderFolder, write_tensors

HEADER: dict[str, Any] = {"key": "k-8", "count": 1, "scene_start": 0, "shape": [2, 2, 3], "frames": 1, "bytes": 12}


def opened(folder: Path, **changes: object) -> RenderFolder:
    """The folder at `folder` after a render of the key `k` has opened it."""
    folder.mkdir(exist_ok=True)
    (folder / "frames.raw").write_bytes(bytes(12))
    write_tensors(folder / "state.safetensors", {"x": torch.zeros(1)}, {**HEADER, "anchors": [], **changes})
    with RenderFolder(folder) as render:
        render.open("k", 8)
    return render


@pytest.mark.parametrize(
    "changes",
    [
        {"anchors": ["../secret.safetensors"]},
        {"anchors": ["/dev/zero"]},
        {"anchors": [3]},
        {"frames": 2**50},
        {"frames": -1},
        {"shape": [2**40, 2**40, 3]},
        {"shape": 7},
        {"count": "1"},
        {"key": ["k-8"]},
    ],
)
def test_a_state_with_impossible_values_starts_the_render_again(
    changes: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tensors(tmp_path / "secret.safetensors", {"secret": torch.zeros(1)}, {})
    assert opened(tmp_path / "valid").start is not None
    assert opened(tmp_path / "changed", **changes).start is None
    assert "it starts again" in caplog.text
