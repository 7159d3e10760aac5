"""log.txt: messages, the end of a training, several runs at the same time."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lonepair.train.run import RunFolder
from tiny_runs import new_job, resume


def test_concurrent_runs_have_separate_logs(tmp_path: Path) -> None:
    logger = logging.getLogger("lonepair")
    before = (logger.level, list(logger.handlers))
    both_started, first_ended = threading.Barrier(2), threading.Event()

    def run(name: str) -> None:
        folder = RunFolder.create(tmp_path / name)
        with folder.logged():
            both_started.wait(10)
            if name == "last":
                assert first_ended.wait(10)
            logger.info("%s trains", name)
        if name == "first":
            first_ended.set()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run, name) for name in ("first", "last")]:
            future.result()
    for name in ("first", "last"):
        lines = (tmp_path / name / "log.txt").read_text().splitlines()
        assert [line.split(" ", 2)[2] for line in lines] == [f"{name} trains", "training is complete"]
    assert (logger.level, list(logger.handlers)) == before


def test_log_has_messages_and_the_end(tmp_path: Path) -> None:
    logger = logging.getLogger("lonepair")
    before = (logger.level, list(logger.handlers))
    job = new_job()
    folder = job.folder(tmp_path / "run", False)
    job.run(folder)
    text = folder.log.read_text()
    for part in ("lonepair (standard) on cpu", "stages: 15x18, 17x20", "is reduced to", "training is complete"):
        assert part in text
    assert (logger.level, logger.handlers) == before
    resume(new_job(), tmp_path / "run")
    assert folder.log.read_text().startswith(text)
    assert "resumes at stage 2 after 3 steps" in folder.log.read_text()


def test_unwritable_log_does_not_stop_training(tmp_path: Path) -> None:
    job = new_job()
    folder = job.folder(tmp_path / "run", False)
    folder.log.mkdir()
    job.run(folder)
    assert folder.model.exists()
