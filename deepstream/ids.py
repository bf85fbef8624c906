"""Incident ids that sort in the order in which incidents start."""

import time
from collections.abc import Callable

from ulid import ULID


class IncidentIds:
    """Draws ULIDs, each greater than the one before, also when the clock goes back.

    Not for several threads: one streaming thread opens all incidents of a box.

    Args:
        after: ULID that the first one sorts after; a run's boot id, which sorts after those of
            earlier runs.
        unix_ns: wall time.
    """

    def __init__(self, after: str, *, unix_ns: Callable[[], int] = time.time_ns) -> None:
        self._last = int(ULID.from_str(after))
        self._unix_ns = unix_ns

    def __call__(self) -> str:
        """Return the next id."""
        drawn = int(ULID.from_timestamp(self._unix_ns() // 1_000_000))
        # Of one millisecond, or from before: the ULID specification's monotonic rule.
        self._last = drawn if drawn > self._last else self._last + 1
        return str(ULID.from_int(self._last))
