"""Tar archives that are the same whenever and wherever they are made of the same files."""

import gzip
import hashlib
import io
import lzma
import os
import tarfile

from .contents import MACHINE


class Hashed:
    """Writes to SINK, and knows the checksum and the number of bytes so far."""

    def __init__(self, sink):
        self.sink, self.digest, self.size = sink, hashlib.sha256(), 0

    def write(self, data):
        self.digest.update(data)
        self.size += len(data)
        return self.sink.write(data)

    def tell(self):
        return self.size

    def flush(self):
        self.sink.flush()


class Tar:
    """A tar archive in memory, or written to SINK. Folders are added before what is in them."""

    def __init__(self, time, prefix="", sink=None):
        self.time, self.prefix = time, prefix
        self.buffer = sink or io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.GNU_FORMAT)
        self.folders = set()

    def info(self, path, kind, mode, link=""):
        info = tarfile.TarInfo(self.prefix + path)
        info.type, info.mode, info.mtime, info.linkname = kind, mode, self.time, link
        info.uname = info.gname = "root"
        return info

    def folder(self, path, mode=0o755):
        path = path.rstrip("/")
        if path in self.folders or path in ("", "."):
            return
        self.folder(path.rpartition("/")[0])
        self.folders.add(path)
        self.tar.addfile(self.info(path + "/", tarfile.DIRTYPE, mode))

    def file(self, path, data, mode=0o644):
        self.folder(path.rpartition("/")[0])
        info = self.info(path, tarfile.REGTYPE, mode)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def copy(self, path, source, mode=0o644):
        """Adds the file SOURCE of the disk, which is never in memory as a whole."""
        self.folder(path.rpartition("/")[0])
        info = self.info(path, tarfile.REGTYPE, mode)
        with open(source, "rb") as f:
            info.size = os.fstat(f.fileno()).st_size
            self.tar.addfile(info, f)

    def link(self, path, target):
        self.folder(path.rpartition("/")[0])
        self.tar.addfile(self.info(path, tarfile.SYMTYPE, 0o777, target))

    def close(self):
        self.tar.close()

    def bytes(self):
        self.close()
        return self.buffer.getvalue()


def gzipped(data, level=9):
    return gzip.compress(data, level, mtime=0)


def xz(data):
    # With the filter for machine code, where there is one for it.
    filters = [{"id": lzma.FILTER_X86}] if MACHINE == "x86_64" else []
    filters.append({"id": lzma.FILTER_LZMA2, "preset": 6})
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
