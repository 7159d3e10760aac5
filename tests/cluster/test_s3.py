"""Batches whose inputs and results lie on an S3 server. `make test-cluster` runs it."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import lonepair
from lonepair.api.batch.cluster import RayPool
from lonepair.api.batch.identity import row_fingerprint
from lonepair.api.batch.records import RowTask
from lonepair.api.batch.rows import named_rows
from lonepair.api.batch.storage import Storage
from lonepair.api.batch.task import run_row
from lonepair.api.batch.urls import remote_identity
from lonepair.errors import UserError
from lonepair.media.stills.image import write_image
from media_samples import write_clip
from tiny_settings import TINY, picture

pytestmark = pytest.mark.filterwarnings("ignore")


def put_picture(storage: Storage, folder: Path, name: str, seed: int) -> str:
    """Store a small picture; returns its URL."""
    write_image(folder / "picture.png", picture(24, 20, seed=seed), overwrite=True)
    storage.put(folder / "picture.png", name)
    return f"{storage.url}/{name}"


def test_a_row_on_s3_continues_on_another_machine(s3: str, tmp_path: Path) -> None:
    storage = Storage.open(f"{s3}/pair")
    source, target = (put_picture(storage, tmp_path, name, seed) for seed, name in enumerate(("a.png", "look.png")))
    [row] = named_rows([lonepair.BatchRow(source, target, TINY)])
    task = RowTask(row, row_fingerprint(row), f"{s3}/pair/out", str(tmp_path / "one"))
    stop = threading.Event()
    stop.set()
    assert run_row(task, stop).state == "stopped"
    # Another machine has another scratch folder. One source is missing.
    rows = [row, lonepair.BatchRow(f"{s3}/pair/none.png", target, TINY)]
    place = lonepair.BatchPlace(scratch=str(tmp_path / "two"))
    done, missing = lonepair.run_batch(rows, task.out, place=place).rows
    assert (done.state, done.output, done.error) == ("done", "a-as-look.png", "")
    assert missing.error == f"{s3}/pair/none.png: no such file; check the name"
    out = Storage.open(task.out)
    assert out.names("*") == ["a-as-look.png", "jobs.jsonl", "rows", "runs"]
    assert b'"continued": true' in out.read("rows/a-as-look.json")
    # The same batch again, and one whose source has changed.
    assert lonepair.run_batch([row], task.out).rows[0].is_earlier
    put_picture(storage, tmp_path, "a.png", 9)
    assert row_fingerprint(row) != task.fingerprint


def test_segments_of_a_clip_on_s3_run_on_a_cluster(s3: str, cluster: Any, tmp_path: Path) -> None:
    frames = [picture(24, 32).roll(shift, 3) for shift in range(9)]
    write_clip(tmp_path / "clip.mkv", frames, [Fraction(index, 10) for index in range(len(frames))])
    storage = Storage.open(f"{s3}/clip")
    storage.put(tmp_path / "clip.mkv", "clip.mkv")
    settings = {**TINY, "segment_frames": 4, "run_in": 1}
    row = lonepair.BatchRow(f"{s3}/clip/clip.mkv", put_picture(storage, tmp_path, "look.png", 1), settings, "clip")
    place = lonepair.BatchPlace(device="cpu")
    [state] = lonepair.run_batch([row], f"{s3}/clip/out", pool=RayPool(cluster.address), place=place).rows
    assert (state.state, state.error, state.parts_done) == ("done", "", 2)
    assert not Storage.open(f"{s3}/clip/out").exists("parts")
    assert not Storage.open(f"{s3}/clip/out").exists("checkpoints")


def test_a_misspelled_bucket_is_not_created(s3: str, tmp_path: Path) -> None:
    row = lonepair.BatchRow("a.png", "b.png")
    with pytest.raises(UserError, match=r"s3://stduio/out/jobs\.jsonl: cannot be written .*bucket does not exist"):
        lonepair.run_batch([row], "s3://stduio/out")


def test_what_another_machine_writes_is_seen(s3: str, tmp_path: Path) -> None:
    import boto3

    storage = Storage.open(f"{s3}/seen")
    put_picture(storage, tmp_path, "frames/1.png", 1)
    before = remote_identity(f"{s3}/seen/frames")
    assert storage.names("frames/*.png") == ["1.png"]
    boto3.client("s3").put_object(Bucket="studio", Key="seen/frames/2.png", Body=b"another machine's")
    assert storage.names("frames/*.png") == ["1.png", "2.png"]
    assert storage.exists("frames/2.png")
    assert remote_identity(f"{s3}/seen/frames") != before
