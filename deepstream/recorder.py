"""Writes the recording: every observation and decision, for replay and reports."""

import logging
from pathlib import Path
from typing import TextIO

from deepstream.dispatcher import Decided
from ropewatch.errors import SettingsError
from ropewatch.recording import frame_line, incident_line

log = logging.getLogger("ropewatch.recorder")


class Recorder:
    """Handler of the dispatcher: one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def open(self) -> None:
        """Create the file.

        Raises:
            SettingsError: the path cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # A line at a time: what was decided can be read while the graph runs.
            self._file = self._path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise SettingsError(
                f"recording: {self._path}: {error.strerror}, want a file that can be written; "
                "correct the path"
            ) from None

    def close(self) -> None:
        """Close the file; what was handed over before is in it."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                # A full disk shows here again; the run's summary and exit code must still come.
                log.error("recording is incomplete file=%s error=%s", self._path, error.strerror)  # noqa: TRY400 - the reason is in it
            self._file = None

    def take(self, decided: Decided) -> None:
        """Write a frame and its incident events, each a line."""
        if self._file is None:
            return
        if decided.frame is not None:
            self._file.write(frame_line(*decided.frame) + "\n")
        self._file.writelines(incident_line(event) + "\n" for event in decided.events)
