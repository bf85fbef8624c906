"""The plugin's pool of user metas: a batch has past frames only while one of them is free."""

import threading
import weakref

from plugins.standin.tracker_meta import NvDsTargetMiscDataBatch

_WAIT_S = 0.05


class PastPool:
    """As many past-frame metas as user-meta-pool-size; one that nobody holds any more is free."""

    def __init__(self, size: int) -> None:
        self._free = threading.Semaphore(size)

    def take(self) -> NvDsTargetMiscDataBatch | None:
        """Wait a moment for a free one, as the plugin does; None where everybody holds one."""
        if not self._free.acquire(timeout=_WAIT_S):
            return None
        past = NvDsTargetMiscDataBatch()
        weakref.finalize(past, self._free.release)
        return past
