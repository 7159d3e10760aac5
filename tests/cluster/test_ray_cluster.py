"""Batches on a local Ray cluster of several nodes, with a worker and a node that are lost. `make test-cluster` runs it.

Ray takes long to start, so `make test` leaves these tests out.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import lonepair
from lonepair.api.batch.cluster import RayPool
from lonepair.api.batch.records import RowResult, RowTask
from lonepair.api.batch.task import run_row
from lonepair.commands.main import main
from lonepair.media.stills.image import write_image
from lonepair.render.clip import SceneRenderer
from media_samples import write_clip
from tiny_settings import TINY, picture

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 50
SETTINGS = {name: value for name, value in TINY.items() if name != "device"}


def run_and_die_once(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """As `run_row`; the first attempt of a row with the name "dies" is killed after a checkpoint of its training."""
    marker = Path(task.out) / "died"
    if task.row.name == "dies" and not marker.exists():

        def kill() -> None:
            while not (Path(task.out) / "checkpoints" / "dies.tar").exists():
                time.sleep(0.005)
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
    return run_row(task, stop)


def note_node_and_die_once(task: RowTask, stop: threading.Event | None = None) -> RowResult:
    """As `run_row`; the second part of a clip kills its first worker after two frames, and each part notes its node."""
    ray = pytest.importorskip("ray")
    out = Path(task.out)
    if task.part is not None and task.part.start > 0 and not (out / "died").exists():
        (out / "died").touch()

        def render_and_die(self: SceneRenderer, *arguments: Any) -> Any:
            frames.append(0)
            if len(frames) > 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return render(self, *arguments)

        frames: list[int] = []
        render, SceneRenderer.render = SceneRenderer.render, render_and_die  # type: ignore[method-assign]
    result = run_row(task, stop)
    if task.part is not None:
        (out / f"part-{task.part.start}").write_text(ray.get_runtime_context().get_node_id())
    return result


def rows_in(folder: Path, count: int) -> list[lonepair.BatchRow]:
    """Small pairs; one source is poisoned, and one row is killed once."""
    write_image(folder / "look.png", picture(20, 26, seed=99))
    rows = []
    for number in range(count):
        source = folder / f"{number}.png"
        write_image(source, picture(24, 20, seed=number))
        settings = {"steps": 60, "checkpoint_minutes": 0.0} if number == 3 else {}
        rows.append(lonepair.BatchRow(str(source), str(folder / "look.png"), settings, "dies" if number == 3 else ""))
    (folder / "7.png").write_bytes(b"poison " * 40)
    return rows


def test_fifty_pairs_with_a_poisoned_row_and_a_killed_worker(cluster: Any, tmp_path: Path) -> None:
    rows, start = rows_in(tmp_path, ROWS), time.monotonic()
    report = lonepair.run_batch(
        rows, tmp_path / "out", settings=SETTINGS, pool=RayPool(cluster.address, run=run_and_die_once)
    )
    print(
        f"\n{ROWS} rows on two nodes: {time.monotonic() - start:.0f} s, {report.cpu_seconds:.0f} s of CPU",
        file=sys.stderr,
    )
    states = {row.name: row for row in report.rows}
    assert [row.name for row in report.failed] == ["7-as-look"]
    assert "is neither an image nor a video" in report.failed[0].error
    assert report.count("done") == ROWS - 1
    assert states["dies"].attempts == 2
    assert json.loads((tmp_path / "out/rows/dies.json").read_text())["continued"] is True
    # The killed row's model is that of a training that nothing has stopped.
    model = lonepair.fit_pair(rows[3].source, rows[3].target, **{**SETTINGS, **rows[3].settings, "device": "cpu"})
    loaded = lonepair.load(tmp_path / "out/runs/dies", "cpu")
    for name, tensor in loaded.method.nets.state_dict().items():
        assert tensor.equal(model.method.nets.state_dict()[name]), name


def test_a_lost_node_loses_no_row(cluster: Any, tmp_path: Path) -> None:
    rows = rows_in(tmp_path, 3)
    settings = {**SETTINGS, "steps": 300, "checkpoint_minutes": 0.0}
    node = cluster.add_node(num_cpus=1)

    def remove() -> None:
        # Each of the three nodes runs a row then.
        while len(list((tmp_path / "out/checkpoints").glob("*.tar"))) < 3:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    removal = threading.Thread(target=remove, daemon=True)
    removal.start()
    report = lonepair.run_batch(rows, tmp_path / "out", settings=settings, pool=RayPool(cluster.address))
    removal.join()
    assert report.count("done") == len(rows)
    assert sorted(row.attempts for row in report.rows) == [1, 1, 2]


def test_segments_of_one_clip_run_on_several_nodes(cluster: Any, tmp_path: Path) -> None:
    frames = [picture(24, 32).roll(shift, 3) for shift in range(16)]
    write_clip(tmp_path / "clip.mkv", frames, [Fraction(index, 10) for index in range(len(frames))])
    write_image(tmp_path / "look.png", picture(20, 26, seed=99))
    settings = {**SETTINGS, "segment_frames": 4, "run_in": 2}
    row = lonepair.BatchRow(str(tmp_path / "clip.mkv"), str(tmp_path / "look.png"), settings, "clip")
    out = tmp_path / "out"
    pool = RayPool(cluster.address, run=note_node_and_die_once)
    [state] = lonepair.run_batch([row], out, pool=pool, place=lonepair.BatchPlace(device="cpu")).rows
    assert (state.state, state.error, state.attempts, state.parts_done) == ("done", "", 2, 4)
    assert len({file.read_text() for file in out.glob("part-*")}) == 2
    assert not list((out / "parts").iterdir()) + list((out / "checkpoints").iterdir())
    # As one process renders the same segments.
    translation = lonepair.load(out / "runs/clip", "cpu", threads=1).translate(row.source)
    whole = translation.save(tmp_path / "whole.mp4", workers=lonepair.Workers(1, 4, 2))
    assert (out / "clip.mp4").read_bytes() == whole.read_bytes()


def test_the_command_runs_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    rows_in(tmp_path, 2)
    flags = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    words = [f"{tmp_path}/[01].png", "--style", str(tmp_path / "look.png"), "-o", str(tmp_path / "out")]
    assert main(["batch", *words, "--address", cluster.address, *flags]) == 0
    assert (tmp_path / "out/0-as-look.png").exists()
    with pytest.raises(lonepair.UserError, match="no Ray cluster answers"):
        RayPool("127.0.0.1:1")
