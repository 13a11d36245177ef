"""Tar archives that are the same whenever and wherever they are made of the same files."""

import gzip
import io
import lzma
import tarfile


class Tar:
    """A tar archive in memory. Folders are added before what is in them."""

    def __init__(self, time, prefix=""):
        self.time, self.prefix = time, prefix
        self.buffer = io.BytesIO()
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

    def link(self, path, target):
        self.folder(path.rpartition("/")[0])
        self.tar.addfile(self.info(path, tarfile.SYMTYPE, 0o777, target))

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()


def gzipped(data, level=9):
    return gzip.compress(data, level, mtime=0)


def xz(data):
    # With the filter for machine code, which makes the two binaries a tenth smaller.
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
