"""pyds: texts and memory by address."""

import ctypes
from datetime import datetime, timezone
from typing import Any

from plugins.standin.infer_meta import Pointer, address_of
from plugins.standin.structs import make_string, string_at

__all__ = [
    "alloc_buffer",
    "alloc_char_buffer",
    "free_buffer",
    "free_gbuffer",
    "generate_ts_rfc3339",
    "get_string",
    "memdup",
    "strdup",
    "strdup2str",
]

_buffers: dict[int, Any] = {}


def get_string(ptr: int) -> str | None:
    """Read the text that a char* field points to; None for a null pointer."""
    return string_at(ptr)


def alloc_buffer(size: int) -> int:
    """Allocate zeroed memory; give it to free_buffer."""
    memory = make_string("", size)
    address = ctypes.addressof(memory)
    _buffers[address] = memory
    return address


alloc_char_buffer = alloc_buffer


def free_buffer(buffer: int) -> None:
    """Free what alloc_buffer or strdup gave."""
    _buffers.pop(buffer, None)


def strdup(ptr: int) -> int:
    """Copy a text; give it to free_buffer."""
    text = string_at(ptr)
    if text is None:
        return 0
    memory = make_string(text)
    _buffers[ctypes.addressof(memory)] = memory
    return ctypes.addressof(memory)


def strdup2str(ptr: int) -> str:
    """Read a text, empty for a null pointer."""
    return string_at(ptr) or ""


def generate_ts_rfc3339(buffer: int, buffer_size: int) -> None:
    """Write the time of day as RFC 3339 text, milliseconds and Z, into an allocated buffer."""
    now = datetime.now(timezone.utc)
    text = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z".encode()
    memory = _buffers[buffer]
    room = min(buffer_size, len(memory)) - 1
    ctypes.memmove(buffer, text[:room] + b"\0", len(text[:room]) + 1)


def memdup(ptr: int, size: int) -> int:
    """Copy `size` bytes from an address; give the copy to free_buffer."""
    if not ptr:
        return 0
    address = alloc_buffer(size)
    ctypes.memmove(address, ptr, size)
    return address


def free_gbuffer(buffer: Pointer | None) -> None:
    """Free what a void* points to, if it came from here."""
    if buffer is not None:
        free_buffer(address_of(buffer))
