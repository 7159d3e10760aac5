"""Find a complete run with the inputs and settings of a job: its model can be used without training again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lonepair.api.job import Job
from lonepair.errors import UserError
from lonepair.train.checkpoint import load_model
from lonepair.train.records import same_settings
from lonepair.train.run import RunFolder

logger = logging.getLogger("lonepair")

SWAPPED = {"a": "b", "b": "a"}


@dataclass(frozen=True)
class CompleteRun:
    """A complete run with the inputs and settings of a job."""

    folder: RunFolder
    is_swapped: bool
    """Whether it was trained with source and target exchanged, so that its other direction is the job's."""
    date: str
    """When its training ended: YYYY-MM-DD HH:MM."""


def find_complete_run(job: Job, folders: Iterable[Path]) -> CompleteRun | None:
    """The newest run in `folders` whose model a training of `job` would give again; None where there is none.

    The method, the preset, every setting, the seed, the precision, the time limit, the content of the input files and
    the decoded training images must be equal. Names of files, the device and the number of threads do not count. A pair
    may also be trained the other way around: a run of the same direction is preferred.

    Args:
        job: The training.
        folders: Folders of runs; others are ignored.
    """
    settings = json.loads(json.dumps(job.settings))
    wanted = [(settings, False)]
    if settings["inputs"].keys() == SWAPPED.keys():
        wanted.append(({**settings, "inputs": _swapped(settings["inputs"])}, True))
    runs = [RunFolder(folder) for folder in folders]
    for expected, is_swapped in wanted:
        matching = [run for run in runs if _has_settings(run, expected)]
        for run in sorted(matching, key=_date, reverse=True):
            if not _has_same_result(run, job, is_swapped):
                continue
            if _model_has_settings(run, expected):
                return CompleteRun(run, is_swapped, _date(run))
            text = "%s: is a complete run, but its model is missing or is not its own; to write it again, stop this "
            logger.warning(text + "and repeat the command with --resume --run %s", run.path, run.path)
    return None


def _swapped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {SWAPPED[domain]: value for domain, value in values.items()}


def _has_settings(run: RunFolder, expected: Mapping[str, Any]) -> bool:
    saved = run.config()
    return saved is not None and same_settings(saved, expected)


def _date(run: RunFolder) -> str:
    return str((run.completion() or {}).get("date", ""))


def _has_same_result(run: RunFolder, job: Job, is_swapped: bool) -> bool:
    """Whether the training has ended, under the options and on the pixels of `job`."""
    record, options = run.completion(), job.options
    if record is None:
        return False
    same_options = (
        record.get("max_minutes") == round(options.max_minutes, 6)
        and record.get("dtype") == options.dtype
        and record.get("engine") == options.engine
    )
    if not same_options:
        return False
    digests = job.input_digests()
    return record.get("inputs") == (_swapped(digests) if is_swapped else digests)


def _model_has_settings(run: RunFolder, expected: Mapping[str, Any]) -> bool:
    """Whether the model file is whole, and that of the run's training with these settings."""
    try:
        settings = load_model(run.model)[1]
    except UserError:
        return False
    return same_settings(settings, expected) and not run.model_problem()
