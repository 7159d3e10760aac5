"""Parts for programs that are built on lonepair, such as the studio: inputs, atomic files, locks between processes."""

from lonepair.media.source import Source as Source
from lonepair.media.source import open_source as open_source
from lonepair.storage.files import atomic_write as atomic_write
from lonepair.storage.lock import FileLock as FileLock
