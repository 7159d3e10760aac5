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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lonepair
from lonepair.api.batch.cluster import RayPool
from lonepair.api.batch.records import RowResult
from lonepair.api.batch.task import RowTask, run_row
from lonepair.commands.main import main
from lonepair.media.stills.image import write_image
from tiny_settings import TINY, picture

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = 50
SETTINGS = {name: value for name, value in TINY.items() if name != "device"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with a CPU each, on this machine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    paths = [str(Path(lonepair.__file__).parents[1]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    # By default Ray's workers give way to every other process of the machine.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    started = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    started.add_node(num_cpus=1)
    yield started
    started.shutdown()


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


def test_the_command_runs_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    rows_in(tmp_path, 2)
    flags = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    words = [f"{tmp_path}/[01].png", "--style", str(tmp_path / "look.png"), "-o", str(tmp_path / "out")]
    assert main(["batch", *words, "--address", cluster.address, *flags]) == 0
    assert (tmp_path / "out/0-as-look.png").exists()
    with pytest.raises(lonepair.UserError, match="no Ray cluster answers"):
        RayPool("127.0.0.1:1")
