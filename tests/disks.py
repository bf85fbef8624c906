"""Small disks that are really full or really read-only. Needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of `size` at a folder of its own; skip the test where nobody may."""
    place = folder / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily: a box that is killed with its test may hold it for a moment.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        # A write that is cut short is followed by one that fails.
        while True:
            file.write(b"x" * 4096)


def make_read_only(disk: Path) -> None:
    """Take the right to write from everybody."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
