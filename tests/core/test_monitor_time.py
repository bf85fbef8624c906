"""Time that jumps back, and time in which no frame came; the person stands at HERE."""

from typing import Any

import pytest

from ropewatch.incidents import EndReason
from ropewatch.judging import ZoneSettings
from ropewatch.monitor import SourceMonitor
from ropewatch.settings import SiteSettings
from tests.core.builders import THERE, frame, new_ids, seen, site


def _monitor(**decision: Any) -> SourceMonitor:
    return SourceMonitor("cam1", site(**decision), new_ids())


def test_time_that_jumps_back_starts_the_time_on_the_release_side_over() -> None:
    """A camera was away for nobody knows how long: 1.9 s and 0.1 s make no 2 s."""
    monitor = _monitor(open_after_s=0, close_after_s=2)
    monitor.update(frame(99.0, [seen(0.9)]))
    for n in range(20):
        monitor.update(frame(100 + n / 10, [seen(0.1)]))

    ends = {
        ts_s: monitor.update(frame(ts_s, [seen(0.1)])).events
        for ts_s in (n / 10 for n in range(22))
    }

    assert [ts_s for ts_s, events in ends.items() if events] == [2.0]


def test_frames_in_disorder_never_end_an_incident_with_rope_seen() -> None:
    """Each step forward counts, so that 4 s of two interleaved clocks pass in 0.2 s."""
    monitor = _monitor(open_after_s=0, close_after_s=2)
    monitor.update(frame(10.0, [seen(0.9)]))

    for n in range(10):
        assert not monitor.update(frame(12 + n / 50, [seen(0.1)])).events
        assert not monitor.update(frame(11.2 + n / 50, [seen(0.1)])).events


@pytest.mark.parametrize("new_id", [7, 8])
def test_gap_between_frames_is_no_absence_of_somebody_with_an_incident(new_id: int) -> None:
    """No frame for 4 s with gone_after_s of 3: nobody looked, and there they stand."""
    monitor = _monitor(open_after_s=0, gone_after_s=3)
    monitor.update(frame(0, [seen(0.9)]))

    result = monitor.update(frame(4, [seen(0.9, new_id)]))

    assert result.verdicts[0].incident_id == "incident-1"
    assert [e.phase for e in result.events] == []


def test_absence_around_gaps_between_frames_adds_up_to_gone() -> None:
    """max_evidence_age_s (1) of each gap counts: 1 + 1 + 1 s of absence."""
    monitor = _monitor(open_after_s=0, gone_after_s=3, max_evidence_age_s=1)
    monitor.update(frame(0, [seen(0.9)]))

    phases = {
        ts_s: [e.end_reason for e in monitor.update(frame(ts_s)).events if e.end_reason]
        for ts_s in (4.0, 8.0, 12.0)
    }

    assert phases == {4.0: [], 8.0: [], 12.0: [EndReason.PERSON_GONE]}


def test_gap_between_frames_is_no_time_outside_the_zones() -> None:
    """Inside, then 4 s without a frame, then outside for one frame and for 3 s."""
    monitor = _monitor(open_after_s=0, gone_after_s=3)
    monitor.follow(_nothing_outside_left_half(open_after_s=0, gone_after_s=3))
    monitor.update(frame(0, [seen(0.9)]))

    ends = {
        ts_s: [e.end_reason for e in monitor.update(frame(ts_s, [seen(0.9, 7, THERE)])).events]
        for ts_s in (4.0, 5.0, 6.0)
    }

    assert ends == {4.0: [], 5.0: [], 6.0: [EndReason.LEFT_ZONE]}


def _nothing_outside_left_half(**decision: Any) -> SiteSettings:
    settings = site(**decision)
    half = {"name": "left", "kind": "include", "polygon": [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]}
    source = settings.sources[0].model_copy(update={"zones": (ZoneSettings.model_validate(half),)})
    return settings.model_copy(update={"sources": (source,)})
