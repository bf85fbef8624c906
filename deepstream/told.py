"""Cameras of which the broker may still show something: a file in `state_dir`.

What is retained about a camera stays when its box is killed, and whoever then takes it out of the
site file leaves it behind as watched.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from ropewatch.files import replace_file
from ropewatch.section import Name

log = logging.getLogger("ropewatch.app")

TOLD: Final = "cameras.json"
_NAMES: Final = TypeAdapter(tuple[Name, ...])


class ToldCameras:
    """Remembers cameras from the start of a run until the broker has the last word about them.

    Args:
        folder: `state_dir`.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / TOLD

    def begin(self, cameras: Sequence[str]) -> tuple[str, ...]:
        """Note the cameras of this run; return those of earlier runs that it has not."""
        gone = tuple(camera for camera in self._read() if camera not in cameras)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._file, _NAMES.dump_json((*cameras, *gone)))
        except OSError as error:
            log.warning("cameras not written down file=%s reason=%s", self._file, error)
        return gone

    def end(self) -> None:
        """Forget them: the broker knows that none of them is watched."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cameras not forgotten file=%s reason=%s", self._file, error)

    def _read(self) -> tuple[str, ...]:
        try:
            return _NAMES.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            log.warning("cameras of the last run not read file=%s reason=%s", self._file, error)
            return ()
