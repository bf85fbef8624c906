"""One build at a time in a folder of models: builds time kernels and would disturb each other."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ropewatch.errors import ModelError


@contextmanager
def locked(path: Path, *, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold an exclusive lock on a file; wait, and say so, while another process holds it.

    The kernel gives it up with its process, so that a killed build leaves no lock behind.

    Raises:
        ModelError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="ascii")
    except OSError as error:
        raise ModelError(
            f"{path}: {error.strerror}, want a folder that can be written for engines and their "
            f"cache; mount it writable, or give another --output"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            tell(f"process {holder} builds here already ({path}); waiting for it to end")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
