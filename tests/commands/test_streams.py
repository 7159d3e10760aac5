"""Streams that go away, are full, or cannot show a character: the work goes on, and the status tells."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import pytest

from command_line import tiny_flags
from lonepair.commands.main import main
from lonepair.media.stills.image import read_image
from lonepair.streams import PatientStream


class Broken(io.StringIO):
    """A stream on which every write fails."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "broken")


class Buffered(Broken):
    """A stream that takes text, and fails when it is flushed, as a file on a full disk does."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        raise OSError(self.number, "broken")


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


@pytest.mark.parametrize(
    ("out", "err", "status"),
    [
        (None, None, 0),
        (Broken(errno.EPIPE), Broken(errno.EPIPE), 0),
        (Broken(errno.ENOSPC), Broken(errno.ENOSPC), 1),
        (Buffered(errno.ENOSPC), io.StringIO(), 1),
        (io.StringIO(), Broken(errno.EIO), 0),
        (ascii_stream(), ascii_stream(), 0),
    ],
    ids=["closed", "pipe", "full", "full at the end", "no terminal", "ascii"],
)
def test_work_does_not_end_with_its_streams(
    here: Path,
    pair_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    out: io.TextIOBase | None,
    err: io.TextIOBase | None,
    status: int,
) -> None:
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    words = ["translate", "a.png", str(pair_run), "-o", "\u5c71.png", "--no-synthesize", "--device", "cpu"]
    assert main(words) == status
    assert read_image("\u5c71.png").shape == (1, 3, 24, 20)
    assert (sys.stdout, sys.stderr) == (out, err)
    # A mistake is never a success.
    assert main(["translate", "none.png", str(pair_run)]) == 2


def test_a_training_goes_on_without_its_progress(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken(errno.EPIPE))
    assert main(["train", *tiny_flags(), "a.png", "b.png", "--run", "my"]) == 0
    assert Path("my/completion.json").exists()


def test_a_full_stdout_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(errno.ENOSPC))
    assert main(["methods"]) == 1
    assert capsys.readouterr().err == "lonepair: stdout cannot be written (broken)\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", b"a\xff-\xc3\xb6"), ("latin-1", b"a\xff-\xf6"), ("ascii", rb"a\udcff-\xf6")],
)
def test_names_keep_their_bytes(encoding: str, shown: bytes) -> None:
    buffer = io.BytesIO()
    stream = PatientStream(io.TextIOWrapper(buffer, encoding=encoding))
    stream.write("a\udcff-\u00f6")
    stream.flush()
    assert buffer.getvalue() == shown
