"""The files of a few pictures: of other shapes and formats, in JPEG and PNG."""

import os
import struct
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGES = os.path.join(ROOT, "tests", "references", "images")


def png(width, height):
    """A colourful PNG without a library."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(width) for v in ((x * 5) % 256, (y * 7) % 256, (x * y) % 256))
        for y in range(height)
    )

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pictures():
    found = [png(97, 61), png(40, 200)]
    for name in sorted(os.listdir(IMAGES)):
        if name.endswith((".png", ".jpg", ".jpeg")):
            with open(os.path.join(IMAGES, name), "rb") as f:
                found.append(f.read())
    return found
