"""sync-inputs: which frames may enter a batch now, by running times in ns.

The new muxer holds every frame back for its least-rate period, so that frames of one moment meet;
from then on a frame is on time for as long as upstream is allowed to be late, and is dropped
afterwards (NvTimeSync::get_synch_info of 9.1's gstnvtimesynch.cpp). Of the legacy muxer only the
manual speaks: a frame waits for its own time, and one that comes later than allowed is dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from plugins.standin.gst import Gst


@dataclass
class Sync:
    """The rule and what is known of upstream.

    Attributes:
        hold_ns: how long a frame is held back; 0 is the legacy muxer's rule.
        max_latency_ns: how late a frame may be beyond what upstream says.
        upstream_ns: what live sources say of their own latency, with the hold; 0 of others, None
            until they were asked.
    """

    hold_ns: int
    max_latency_ns: int
    upstream_ns: int | None = None

    def ask(self, sinkpads: Iterable[Gst.Pad]) -> None:
        """Ask the sources, once they have begun, how late a live frame of theirs may be."""
        if self.upstream_ns is not None:
            return
        answers = []
        for pad in sinkpads:
            query = Gst.Query.new_latency()
            if pad.has_current_caps() and pad.peer_query(query):
                answers.append(query.parse_latency()[:2])
        if answers:
            live = any(live for live, _ in answers)
            self.heard(live=live, least_ns=max(int(least) for _, least in answers))

    def heard(self, *, live: bool, least_ns: int) -> None:
        """Take upstream's answer to a latency query."""
        self.upstream_ns = least_ns + self.hold_ns if live else 0

    def wait_ns(
        self, running_ns: int | None, now_ns: int | None, arrived_ns: int | None
    ) -> int | None:
        """Return how long a frame is to wait: not at all below 0; None when it is too late.

        Until the pipeline has run for `hold_ns` every frame is on time.
        """
        if running_ns is None or now_ns is None or now_ns < self.hold_ns:
            return 0
        wait_ns = running_ns + self.hold_ns - now_ns
        judged_ns = now_ns if self.hold_ns or arrived_ns is None else arrived_ns
        late_ns = judged_ns - self.hold_ns - running_ns
        too_late = late_ns > (self.upstream_ns or 0) + self.max_latency_ns
        return None if wait_ns <= 0 and too_late else wait_ns
