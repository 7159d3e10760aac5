"""Batches: rows from tables and patterns, what is done again, rows that fail or are lost, storage, and shards."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from batch_runs import note_or_die_once, note_row

import lonepair
from lonepair.api.batch.identity import row_fingerprint
from lonepair.api.batch.jobs import read_rows
from lonepair.api.batch.pools import InProcess, Lost, Pool
from lonepair.api.batch.records import RowResult, RowTask, Unit, write_record
from lonepair.api.batch.rows import BatchRow, choose_shard, named_rows, split_settings
from lonepair.api.batch.storage import Storage
from lonepair.api.batch.table import BatchReport, RowState
from lonepair.api.batch.task import run_row
from lonepair.errors import UserError
from lonepair.media.stills.image import read_image, write_image
from tiny_settings import TINY, picture

SETTINGS = {name: value for name, value in TINY.items() if name != "device"}


def write_pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        write_image(folder / name, picture(20, 24, seed=seed))


# -- rows ------------------------------------------------------------------------------------------------------------


def test_a_csv_table_gives_rows_with_settings(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(
        "source,target,name,steps,size,synthesize\na.png,,,,,\ns3://bin/b.png,c.png,own,5,640x360,false\n"
    )
    first, second = read_rows(tmp_path / "jobs.csv", "look.png", {"steps": 9, "seed": 3})
    assert (first.source, first.target) == (str(tmp_path / "a.png"), str(Path("look.png").absolute()))
    assert (first.name, dict(first.settings)) == ("a-as-look", {"steps": 9, "seed": 3})
    assert (second.source, second.target, second.name) == ("s3://bin/b.png", str(tmp_path / "c.png"), "own")
    assert dict(second.settings) == {"steps": 5, "seed": 3, "size": "640x360", "synthesize": False}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfsource,target,start-stage\r\na.png,b.png,1\r\n,,\r\n",
        b"\n\nSource;Target;Start Stage;\n a.png ; b.png;1;\n\n",
        "source\ttarget\tstart_stage\na.png\tb.png\t1".encode("utf-16"),
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "jobs.csv").write_bytes(data)
    assert read_rows(tmp_path / "jobs.csv") == [
        BatchRow(str(tmp_path / "a.png"), str(tmp_path / "b.png"), {"start_stage": 1}, "a-as-b")
    ]


def test_files_of_settings_lie_beside_the_table_and_count_by_their_content(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png", "mask.png", "000001.png")
    (tmp_path / "jobs.csv").write_text("source,target,mask,keys\na.png,b.png,mask.png,000001.png\n")
    [row] = read_rows(tmp_path / "jobs.csv")
    assert dict(row.settings) == {"mask": str(tmp_path / "mask.png"), "keys": [str(tmp_path / "000001.png")]}
    before = row_fingerprint(row)
    write_image(tmp_path / "mask.png", picture(20, 24, seed=7), overwrite=True)
    assert row_fingerprint(row) != before


def test_a_jsonl_table_equals_a_csv_table(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("source,target,steps\na.png,b.png,5\n")
    (tmp_path / "jobs.jsonl").write_text('{"source": "a.png", "target": "b.png", "settings": {"steps": 5}}\n\n')
    assert read_rows(tmp_path / "jobs.csv") == read_rows(tmp_path / "jobs.jsonl")


def test_a_pattern_gives_a_row_for_each_file_in_natural_order(tmp_path: Path) -> None:
    write_pictures(tmp_path, "10.png", "9.png", "look.png")
    rows = read_rows(f"{tmp_path}/*0.png", "look.png") + read_rows(f"{tmp_path}/[0-9]*.png", "look.png")
    assert [Path(row.source).name for row in rows] == ["10.png", "9.png", "10.png"]


def test_rows_of_one_name_get_numbers() -> None:
    rows = named_rows([BatchRow("x/a.png", "b.png"), BatchRow("y/a.png", "b.png"), BatchRow("A.png", "b.png")])
    assert [row.name for row in rows] == ["a-as-b", "a-as-b-2", "A-as-b-3"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs.csv", "target,kind\nb.png,\n", "line 1: names the columns target, kind, and none is source"),
        ("jobs.csv", "source,target,Source\na,b,c\n", "line 1: names the column source twice"),
        ("jobs.csv", 'source,target\n"a,b\n', "line 2: is no line of a CSV file"),
        ("jobs.csv", "source\na.png\n", "line 2: has no target; add one, or give `style`"),
        ("jobs.csv", "source,target\n", "the batch has no rows"),
        ("jobs.csv", "source,target\na,b,c\n", "line 2: has more cells than the first line names"),
        ("jobs.csv", f"source,target\n{'a' * 140_000},b\n", "line 2: is no line of a CSV file"),
        ("jobs.jsonl", "{\n", "line 1: is no JSON"),
        ("jobs.jsonl", "[1]\n", "line 1: is no JSON object"),
        ("jobs.jsonl", '{"source": null, "target": "b.png"}\n', "line 1: has no source"),
        ("missing-*.png", "", "no file fits"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_rows(str(tmp_path / name), None if text else "b.png")


def test_settings_are_split_by_what_they_set() -> None:
    row = BatchRow("a", "b", {"steps": 5, "seed": 3, "structure": 0.5, "preset": "draft", "start_stage": 1})
    settings = split_settings(row)
    assert (settings.training, settings.translation) == ({"steps": 5, "seed": 3, "start_stage": 1}, {"structure": 0.5})
    with pytest.raises(UserError, match="setting 'stpes' is unknown; did you mean steps"):
        split_settings(BatchRow("a", "b", {"stpes": 5}))


def test_shards_cover_all_rows_once() -> None:
    rows = [BatchRow(str(index), "b") for index in range(7)]
    shards = [choose_shard(rows, f"{number}/3") for number in (1, 2, 3)]
    assert shards[1] == [1, 4]
    assert sorted(sum(shards, [])) == list(range(7))  # noqa: RUF017
    for wrong in ("0/3", "4/3", "2", "a/b"):
        with pytest.raises(UserError, match="give I/N such as 2/8"):
            choose_shard(rows, wrong)


# -- a batch ---------------------------------------------------------------------------------------------------------


def table(folder: Path, name: str = "jobs.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_batch_trains_and_translates_what_is_not_done(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png", "look.png")
    (tmp_path / "bad.png").write_bytes(b"hello " * 40)
    files = [str(tmp_path / name) for name in ("a.png", "bad.png", "b.png", "a.png")]
    rows = [BatchRow(file, str(tmp_path / "look.png")) for file in files]
    rows.append(BatchRow(files[0], files[2], {"colr": 1}))
    place = lonepair.BatchPlace(scratch=str(tmp_path / "scratch"))
    report = lonepair.run_batch(rows, tmp_path / "out", settings=SETTINGS, place=place)
    # The fourth row is the first one once more.
    assert [row.state for row in report.rows] == ["done", "failed", "done", "done", "failed"]
    assert [row.error.partition(";")[0].partition(": ")[2] for row in report.failed] == [
        "is neither an image nor a video that can be read",
        "",
    ]
    assert "setting 'colr' is unknown; did you mean colour?" in report.failed[1].error
    assert [row["state"] for row in table(tmp_path / "out")] == [row.state for row in report.rows]
    # The result is that of the two steps by hand; the run is there; nothing else is left.
    run = lonepair.load(tmp_path / "out/runs/a-as-look")
    model = lonepair.fit_pair(files[0], tmp_path / "look.png", **SETTINGS)
    expected = model.translate(files[0]).save(tmp_path / "expected.png")
    assert read_image(expected).equal(read_image(tmp_path / "out/a-as-look.png"))
    assert run.settings["inputs"] == model.settings["inputs"]
    assert list((tmp_path / "scratch").iterdir()) == [] == list((tmp_path / "out/checkpoints").iterdir())

    # The same batch again, with one changed row.
    ran: list[str] = []

    def note(task: RowTask, stop: threading.Event | None) -> RowResult:
        ran.append(task.row.name)
        return RowResult("done")

    rows[2] = BatchRow(files[2], rows[2].target, {"structure": 0.9})
    again = lonepair.run_batch(rows[:4], tmp_path / "out", settings=SETTINGS, pool=InProcess(note))
    assert ran == ["b-as-look"]
    assert [row.is_earlier for row in again.rows] == [True, False, False, True]
    assert again.rows[0].cpu_seconds == report.rows[0].cpu_seconds


def test_a_row_continues_from_the_checkpoint_in_the_storage(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "look.png")
    [row] = named_rows([BatchRow(str(tmp_path / "a.png"), str(tmp_path / "look.png"), {**SETTINGS, "seed": 5})])
    task = RowTask(row, row_fingerprint(row), "memory://batch", str(tmp_path / "one"), device="cpu")
    stop = threading.Event()
    stop.set()
    assert run_row(task, stop).state == "stopped"
    storage = Storage.open("memory://batch")
    assert storage.exists("checkpoints/a-as-look.tar")
    # Another machine has another scratch folder.
    result = run_row(RowTask(row, task.fingerprint, task.out, str(tmp_path / "two"), device="cpu"))
    assert (result.state, result.continued, result.output) == ("done", True, "a-as-look.png")
    assert not storage.exists("checkpoints/a-as-look.tar")
    model = lonepair.fit_pair(tmp_path / "a.png", tmp_path / "look.png", **row.settings)
    storage_model = tmp_path / "model.safetensors"
    storage_model.write_bytes(storage.read("runs/a-as-look/model.safetensors"))
    loaded = lonepair.load(storage_model)
    for name, tensor in model.method.nets.state_dict().items():
        if name in loaded.method.nets.state_dict():
            assert torch.equal(tensor, loaded.method.nets.state_dict()[name]), name


class LosingPool(InProcess):
    """Loses each row's first `losses` attempts."""

    def __init__(self, losses: int) -> None:
        super().__init__(note_row)
        self._losses, self._attempts = losses, dict[Unit, int]()
        self._lost: list[Unit] = []

    def submit(self, unit: Unit, task: RowTask) -> None:
        self._attempts[unit] = self._attempts.get(unit, 0) + 1
        if self._attempts[unit] <= self._losses:
            self._lost.append(unit)
        else:
            super().submit(unit, task)

    def wait(self, seconds: float) -> list[tuple[Unit, RowResult | Lost]]:
        lost, self._lost = self._lost, []
        return [(unit, Lost("its process was killed")) for unit in lost] or super().wait(seconds)


@pytest.mark.parametrize(("losses", "state", "attempts"), [(2, "done", 3), (9, "failed", 3)])
def test_a_lost_row_is_tried_again_a_few_times(tmp_path: Path, losses: int, state: str, attempts: int) -> None:
    write_pictures(tmp_path, "a.png", "look.png")
    row = BatchRow(str(tmp_path / "a.png"), str(tmp_path / "look.png"))
    report = lonepair.run_batch([row], tmp_path / "out", pool=LosingPool(losses))
    assert (report.rows[0].state, report.rows[0].attempts) == (state, attempts)
    assert report.rows[0].error == ("" if state == "done" else "its process was killed, in each of 3 attempts")


def test_shards_write_tables_of_their_own(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png", "c.png", "look.png")
    rows = read_rows(f"{tmp_path}/[abc].png", str(tmp_path / "look.png"))
    for shard in ("1/2", "2/2"):
        lonepair.run_batch(rows, tmp_path / "out", shard=shard, pool=InProcess(note_row))
    names = [[row["row"] for row in table(tmp_path / "out", f"jobs-{n}-of-2.jsonl")] for n in (1, 2)]
    assert names == [[1, 3], [2]]


def note_and_record(task: RowTask, stop: threading.Event | None) -> RowResult:
    result = note_row(task, stop)
    write_record(Storage.open(task.out), task.row, task.fingerprint, result)
    return result


def test_no_row_replaces_the_result_of_another_pair(tmp_path: Path) -> None:
    for folder in "xyz":
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", picture(20, 24, seed=ord(folder)))
    write_pictures(tmp_path, "look.png")
    x, y, z = (BatchRow(str(tmp_path / folder / "a.png"), str(tmp_path / "look.png")) for folder in "xyz")
    out = tmp_path / "out"
    first = lonepair.run_batch([x, y], out, pool=InProcess(note_and_record)).rows
    assert [row.output for row in first] == ["a-as-look.txt", "a-as-look-2.txt"]
    # A source before them would take the name of the first; so would one of another table.
    second = lonepair.run_batch([z, x, y], out, pool=InProcess(note_and_record)).rows
    assert [row.output for row in second] == [f"a-as-look-{second[0].fingerprint[:8]}.txt", *(r.output for r in first)]
    # The same pair with other settings replaces its result.
    changed = BatchRow(x.source, x.target, {"structure": 0.9})
    assert lonepair.run_batch([changed], out, pool=InProcess(note_and_record)).rows[0].output == "a-as-look.txt"


@pytest.mark.parametrize(("name", "victim"), [("a", "a.png"), ("look", "look.png"), ("other", "jobs.jsonl")])
def test_no_result_and_no_table_of_states_replaces_an_input(tmp_path: Path, name: str, victim: str) -> None:
    write_pictures(tmp_path, "a.png", "look.png")
    table_name = "jobs.jsonl" if victim == "jobs.jsonl" else "pairs.jsonl"
    (tmp_path / table_name).write_text(json.dumps({"source": "a.png", "target": "look.png", "name": name}))
    before = (tmp_path / victim).read_bytes()
    with pytest.raises(UserError, match=f"{victim}: is an input, which no output replaces"):
        lonepair.run_batch(tmp_path / table_name, tmp_path, pool=InProcess(note_row))
    assert (tmp_path / victim).read_bytes() == before


def test_a_record_that_cannot_be_written_fails_its_row_only(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "look.png")
    [row] = named_rows([BatchRow(str(tmp_path / "a.png"), str(tmp_path / "look.png"), SETTINGS)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/rows").write_bytes(b"a file in the place of the folder")
    result = run_row(RowTask(row, row_fingerprint(row), str(tmp_path / "out"), str(tmp_path / "s"), device="cpu"))
    assert result.state == "failed"
    assert "out/rows: cannot be created" in result.error


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": -1}, "workers is -1: give 0 or more"),
        ({"cpus": 1.5, "address": "auto"}, "above 1 Ray takes whole numbers; give 1"),
        ({"workers": 2, "address": "auto"}, "rows run on the cluster auto: leave one out"),
        ({"gpus": 0.25}, "give `address`, too"),
    ],
)
def test_a_place_refuses_numbers_without_effect(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        lonepair.BatchPlace(**values)


@pytest.mark.usefixtures("quick_start")
def test_a_killed_process_loses_its_row_only(tmp_path: Path) -> None:
    from lonepair.api.batch.pools import Processes

    write_pictures(tmp_path, "a.png", "b.png", "look.png")
    rows = [
        BatchRow(str(tmp_path / name), str(tmp_path / "look.png"), {"dies": name == "a.png"})
        for name in ("a.png", "b.png")
    ]
    report = lonepair.run_batch(rows, tmp_path / "out", pool=Processes(1, 1, note_or_die_once))
    assert [(row.state, row.attempts) for row in report.rows] == [("done", 2), ("done", 1)]


def test_pools_are_pools() -> None:
    assert isinstance(InProcess(), Pool)


def test_time_that_is_left_counts_neither_earlier_rows_nor_copies() -> None:
    """One row took 10 s, another one waits, and so does a copy of it."""
    rows = [RowState(number, "name", "a.png", "b.png") for number in range(1, 5)]
    rows[0].state, rows[0].is_earlier = "done", True
    rows[1].state = "done"
    rows[3].is_copy = True
    assert BatchReport(rows, 10.0, 4).seconds_left == 10
