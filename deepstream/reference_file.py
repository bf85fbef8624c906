"""Where the reference of a camera's right view outlives the program: a picture in state_dir.

Written on a thread of its own, one picture at a time: a disk that hangs keeps nobody from looking.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ropewatch.files import replace_file
from ropewatch.reference import Reference, from_pgm, to_pgm

log = logging.getLogger("ropewatch.views")

AGAIN_AFTER_S: Final = 10.0


class ReferenceFile:
    """The file of one camera.

    Attributes:
        trouble: why the newest reference is not on the disk; None while it is, or is on its way.

    Args:
        folder: of all cameras' references.
        camera: its name.
        key: says what the camera was when its view was learnt; 64 hex digits.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        camera: str,
        key: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trouble: str | None = None
        self._path = folder / f"{camera}.pgm"
        self._camera, self._key = camera, key
        self._clock, self._again_s = clock, -math.inf
        self._written: Reference | None = None
        self._writer: threading.Thread | None = None

    def read(self) -> Reference | None:
        """Return the reference of an earlier run; None where there is none that holds."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("view learnt anew camera=%s reason=%s", self._camera, error.strerror)
            return None
        try:
            self._written = from_pgm(content, self._key)
        except ValueError as error:
            log.warning("view learnt anew camera=%s file=%s: %s", self._camera, self._path, error)
            return None
        if self._written is None:
            log.warning("view learnt anew camera=%s reason=site file changed", self._camera)
        return self._written

    @property
    def is_writing(self) -> bool:
        """Say whether a reference is on its way to the disk."""
        return self._writer is not None and self._writer.is_alive()

    def keep(self, reference: Reference | None) -> None:
        """Have the newest reference written, unless it is there, or one is on its way."""
        if reference is None or reference is self._written or self.is_writing:
            return
        now_s = self._clock()
        if now_s < self._again_s:
            return
        self._again_s = now_s + AGAIN_AFTER_S
        self._writer = threading.Thread(
            target=self._write, args=(reference,), name="keep-view", daemon=True
        )
        self._writer.start()

    def _write(self, reference: Reference) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, to_pgm(reference, self._key))
        except OSError as error:
            if self.trouble is None:
                log.warning("view not kept camera=%s reason=%s", self._camera, error.strerror)
            self.trouble = f"its reference view is not kept over restarts, {error.strerror}"
        else:
            self.trouble, self._written = None, reference
            log.info("view kept camera=%s file=%s", self._camera, self._path)
