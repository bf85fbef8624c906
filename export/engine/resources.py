"""Disk, memory and swap before a build that takes minutes and, short of memory, a box down.

What a build needs is an estimate from the ONNX's size and the workspace; it was not measured on a
box.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ropewatch.errors import BackendError

MEMINFO: Final = Path("/proc/meminfo")
GIB: Final = 1 << 30
# CUDA's context and TensorRT's libraries, of which the builder's alone hold more than a gigabyte.
_LIBRARIES_BYTES: Final = GIB
# Weights as read, as parsed, on the GPU, and in the engine that is written.
_COPIES_OF_WEIGHTS: Final = 4
# An engine seldom exceeds its ONNX much; timing cache and manifests beside it.
_COPIES_ON_DISK: Final = 2
_DISK_REST_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """What the kernel says, in bytes: usable without swapping, and swap that is free."""

    available_bytes: int
    swap_free_bytes: int


def read_memory(path: Path = MEMINFO) -> Memory:
    """Read /proc/meminfo."""
    values = {}
    for line in path.read_text("ascii").splitlines():
        key, _, rest = line.partition(":")
        values[key] = int(rest.split()[0])
    return Memory(values["MemAvailable"] << 10, values["SwapFree"] << 10)


def require(
    folder: Path, *, onnx_bytes: int, workspace_bytes: int, memory: "Memory | None" = None
) -> str:
    """Check that a build has room, and return the figures in one line.

    A Jetson's GPU shares the memory, and what the GPU uses is never swapped out: the workspace
    has to fit without swap, the rest may use it.

    Raises:
        BackendError: disk or memory does not suffice.
    """
    memory = memory or read_memory()
    disk_bytes = shutil.disk_usage(folder).free
    want_disk_bytes = onnx_bytes * _COPIES_ON_DISK + _DISK_REST_BYTES
    want_bytes = onnx_bytes * _COPIES_OF_WEIGHTS + workspace_bytes + _LIBRARIES_BYTES
    if disk_bytes < want_disk_bytes:
        raise BackendError(
            f"{folder}: {_gib(disk_bytes)} free, want {_gib(want_disk_bytes)} for engine and "
            f"cache; make room, for example with `ropewatch engine prune`"
        )
    if memory.available_bytes < workspace_bytes:
        raise BackendError(
            f"memory: {_gib(memory.available_bytes)} available, want {_gib(workspace_bytes)} for "
            f"the workspace alone, which cannot be swapped; stop other programs, the running "
            f"ropewatch first, or lower --workspace-mib"
        )
    if memory.available_bytes + memory.swap_free_bytes < want_bytes:
        raise BackendError(
            f"memory: {_gib(memory.available_bytes)} available and "
            f"{_gib(memory.swap_free_bytes)} of swap, want {_gib(want_bytes)} together; stop "
            f"other programs, lower --workspace-mib, or add swap (docs/engines.md)"
        )
    return (
        f"free: {_gib(disk_bytes)} disk, {_gib(memory.available_bytes)} memory, "
        f"{_gib(memory.swap_free_bytes)} swap; want about {_gib(want_disk_bytes)} disk and "
        f"{_gib(want_bytes)} memory"
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"
