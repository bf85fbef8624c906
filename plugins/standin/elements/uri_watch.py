"""The watchdog of one nvurisrcbin: replaces the branch of a lost camera or an ended file."""

import threading
import time
import weakref
from typing import Any

from plugins.standin import element as base
from plugins.standin.elements.uri_branch import is_camera, redacted
from plugins.standin.gst import Gst

_LOOK_EVERY_S = 0.2
_RESETS_APART_S = 3.0


class _Resets:
    """When any camera of the process was opened again last.

    NVIDIA's keeps the time between two resets, of whichever cameras, above 3 s
    (watch_source_status of 9.1): with many cameras away each waits its turn, on a laptop, too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_s = -_RESETS_APART_S

    def take_turn(self) -> bool:
        """Take the turn if it has come."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_s <= _RESETS_APART_S:
                return False
            self._last_s = now
            return True


_resets = _Resets()


class Watch:
    """A thread beside the source's own.

    Only it takes a branch down, so no streaming thread ever waits for its own end.
    """

    def __init__(self, source: Any) -> None:
        self.source = weakref.ref(source)
        settings = source.settings
        self.loops = not is_camera(settings)
        self.uri = redacted(settings["uri"])
        self.interval_s = settings["rtsp-reconnect-interval"]
        self.first_interval_s = settings["init-rtsp-reconnect-interval"] or self.interval_s
        # NVIDIA's reads 0 as "for ever", too.
        self.attempts = settings["rtsp-reconnect-attempts"] or -1
        self.tried = 0
        self.had_data = False
        self.last_s = time.monotonic()
        self.wake = threading.Event()
        self.stopped = False
        self.at_end = False
        self.thread = threading.Thread(target=self._run, name="nvurisrcbin-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.last_s = time.monotonic()
        self.thread.start()

    def stop(self) -> None:
        """End, before the branch is taken down for good."""
        self.stopped = True
        self.wake.set()
        if self.thread.is_alive() and self.thread is not threading.current_thread():
            self.thread.join()

    def on_buffer(self, _pad: Any, _info: Any) -> Gst.PadProbeReturn:
        """Note that data came."""
        self.last_s = time.monotonic()
        self.had_data = True
        self.tried = 0
        return Gst.PadProbeReturn.OK

    def ended(self) -> None:
        """Open a file again; a camera is opened again when its interval is over."""
        self.at_end = True
        self.wake.set()

    def _run(self) -> None:
        while not self.stopped:
            self.wake.wait(None if self.loops else _LOOK_EVERY_S)
            self.wake.clear()
            source = self.source()
            if self.stopped or source is None:
                return
            try:
                if self.loops and self.at_end:
                    self.at_end = False
                    self._reopen(source)
                due = not self.loops and self._overdue() and _resets.take_turn()
                if due and not self._retry(source):
                    return
            except Exception:
                base.log.exception("source could not be opened again uri=%s", self.uri)
            del source

    def _overdue(self) -> bool:
        interval_s = self.interval_s if self.had_data else self.first_interval_s
        return bool(time.monotonic() - self.last_s >= interval_s)

    def _retry(self, source: Any) -> bool:
        """Replace the branch; False when the attempts are used up."""
        if 0 <= self.attempts <= self.tried:
            structure = Gst.Structure.new_empty("reconnect-attempt-exceeded")
            source.post_message(Gst.Message.new_element(source, structure))
            return False
        self.tried += 1
        base.post_warning(
            source,
            Gst.ResourceError,
            Gst.ResourceError.READ,
            f"{self.uri}: no data for {time.monotonic() - self.last_s:.1f} s, opening it again "
            f"(attempt {self.tried})",
        )
        self.had_data = True
        source.shift.reset_due = source.get_static_pad("vsrc_0") is not None
        self._reopen(source)
        return True

    def _reopen(self, source: Any) -> None:
        source.close_branch()
        if not self.stopped:
            source.open_branch()
        self.last_s = time.monotonic()
