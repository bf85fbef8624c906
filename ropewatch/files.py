"""Digests of files, and writing a file whole or not at all."""

import contextlib
import hashlib
import os
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Digest of a file as 64 hex digits, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, through to the disk, and put it in the old one's place.

    Raises:
        OSError: it cannot be written; the old one is still there then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
