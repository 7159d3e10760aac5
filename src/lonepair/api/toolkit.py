"""Parts for programs that are built on lonepair, such as the studio: inputs, clips, atomic files, locks."""

from lonepair.media.clips.write import ClipWriter as ClipWriter
from lonepair.media.source import Source as Source
from lonepair.media.source import open_source as open_source
from lonepair.ops.resize import resize_image as resize_image
from lonepair.storage.files import atomic_write as atomic_write
from lonepair.storage.lock import FileLock as FileLock
