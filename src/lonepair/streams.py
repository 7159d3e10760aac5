"""Standard streams that cannot fail: work goes on where its messages cannot be shown.

A pipe that is closed, a full disk, a closed terminal or a character that the terminal cannot show raise errors in
`print`. Here they are kept until the end, where the exit status tells of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any


class PatientStream:
    """A text stream whose writes never raise; the first error is kept."""

    def __init__(self, stream: Any) -> None:
        """`stream` is a text stream; None, where the process was started without it, takes everything."""
        self.owns = stream is None
        self.stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        self.error: OSError | None = None
        """The first error of writing."""

    def write(self, text: str) -> int:
        """Write `text`; what the stream cannot take is lost."""
        if self.error is None:
            try:
                _write(self.stream, text)
            except (OSError, ValueError) as error:
                self._keep(error)
            except RuntimeError:  # a signal's message in the middle of another one
                pass
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.error is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._keep(error)
            except RuntimeError:
                pass

    def _keep(self, error: OSError | ValueError) -> None:
        self.error = error if isinstance(error, OSError) else OSError(errno.EBADF, "the stream is closed")

    @property
    def is_broken(self) -> bool:
        """Whether text was lost other than because its reader had enough (`| head`)."""
        return self.error is not None and self.error.errno != errno.EPIPE

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _write(stream: Any, text: str) -> None:
    """Write `text` in the stream's encoding. Bytes of names that are no text stay, so that scripts can open the files;
    other characters that the encoding lacks become escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        try:
            data = text.encode(encoding, "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode(encoding, "backslashreplace")
        buffer = getattr(stream, "buffer", None)
        if buffer is None:
            stream.write(data.decode(encoding, "replace"))
        else:
            stream.flush()
            buffer.write(data)
    else:
        stream.write(text)


@contextlib.contextmanager
def patient_streams() -> Iterator[tuple[PatientStream, PatientStream]]:
    """Context in which sys.stdout and sys.stderr are patient; yields both."""
    _open_standard_files()
    before = sys.stdout, sys.stderr
    patient = PatientStream(sys.stdout), PatientStream(sys.stderr)
    sys.stdout, sys.stderr = patient
    try:
        yield patient
    finally:
        for stream in patient:
            stream.flush()
        sys.stdout, sys.stderr = before
        for stream in patient:
            if stream.owns:
                stream.stream.close()
            elif stream.error is not None:
                _forget(stream.stream)


def _open_standard_files() -> None:
    """Open the standard files that the process was started without (`2>&-`), so that no output gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


def _forget(stream: Any) -> None:
    """Make Python's own flush at its end write nowhere: it would end with status 120."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
