"""A source from observations to incidents; the person stands at HERE unless said otherwise."""

import math
from dataclasses import replace

import pytest

from ropewatch.decision import RopeState, Rule
from ropewatch.evidence import Evidence, TrackStart, TrailPoint
from ropewatch.incidents import Acknowledgement, EndReason, IncidentEvent, Phase, Snapshot
from ropewatch.judging import ZoneSettings
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import BoxLtwh, PersonObservation
from ropewatch.settings import AlertWhen
from tests.core.builders import (
    FRAME_WH_PX,
    HERE,
    IMMEDIATE,
    THERE,
    S,
    frame,
    new_ids,
    new_monitor,
    run,
    seen,
    site,
)

CROP: BoxLtwh = (50.0, 76.0, 150.0, 324.0)


def test_incident_starts_once_and_ends_with_rope_seen() -> None:
    monitor = new_monitor(open_after_s=0.2, close_after_s=0.4)

    events = run(
        monitor,
        *(frame(0.1 * n, [seen(0.9)]) for n in range(5)),
        *(frame(0.1 * n, [seen(0.1)]) for n in range(5, 11)),
    )

    start, end = events
    assert (start.phase, start.revision, start.pts_ns) == (Phase.START, 1, round(0.2 * S))
    assert (end.phase, end.revision, end.end_reason) == (Phase.END, 2, EndReason.ROPE_SEEN)
    assert end.incident_id == start.incident_id
    assert (start.state, end.state) == (RopeState.UNSAFE, RopeState.SAFE)
    assert end.duration_s == pytest.approx(0.7)
    assert monitor.open_incidents == ()


def test_start_carries_what_it_rests_on() -> None:
    monitor = new_monitor(threshold=0.461, open_after_s=0.1)

    (start,) = run(monitor, frame(0, [seen(0.8)]), frame(0.1, [seen(0.7, crop=CROP)]))

    assert start == IncidentEvent(
        phase=Phase.START,
        incident_id="incident-1",
        revision=1,
        source_id="cam1",
        person=1,
        object_ids=(7,),
        pts_ns=round(0.1 * S),
        ntp_ns=1_700_000_000 * S + round(0.1 * S),
        box_ltwh_px=HERE,
        frame_wh_px=FRAME_WH_PX,
        score=0.7,
        smoothed=0.7,
        threshold=0.461,
        alert_when=site().classifier.alert_when,
        score_label="unclipped",
        state=RopeState.UNSAFE,
        samples=2,
        evidence_age_s=0,
        started_pts_ns=round(0.1 * S),
        evidence=Evidence(
            trail=(TrailPoint(0, 0.8, 0.8), TrailPoint(round(0.1 * S), 0.7, 0.7)),
            crop_ltwh_px=CROP,
            tracks=(TrackStart(7, 0),),
            crossed=(),
            rule=Rule.of(site(threshold=0.461, open_after_s=0.1).decision, AlertWhen.AT_OR_ABOVE),
        ),
    )


def test_verdicts_are_aligned_with_the_persons() -> None:
    monitor = new_monitor(**IMMEDIATE)

    result = monitor.update(
        frame(0, [seen(0.1, object_id=4), seen(0.9, object_id=2, box=THERE), seen(object_id=9)])
    )

    assert [v.object_id for v in result.verdicts] == [4, 2, 9]
    assert [v.person for v in result.verdicts] == [1, 2, 3]
    assert [v.state.value for v in result.verdicts] == ["safe", "unsafe", "unknown"]
    assert [v.incident_id for v in result.verdicts] == [None, "incident-1", None]
    assert [v.evidence_age_s for v in result.verdicts] == [0, 0, None]


def test_verdict_without_fresh_score_ages_into_unknown_and_does_not_close() -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=0, max_evidence_age_s=1)
    monitor.update(frame(0, [seen(0.9)]))

    young = monitor.update(frame(1.0, [seen()]))
    old = monitor.update(frame(1.04, [seen()]))
    older = monitor.update(frame(2.5, [seen()]))
    back = monitor.update(frame(2.54, [seen(0.8)]))

    assert (young.verdicts[0].state, young.verdicts[0].smoothed) == (RopeState.UNSAFE, 0.9)
    assert (old.verdicts[0].state, old.verdicts[0].smoothed) == (RopeState.UNKNOWN, None)
    assert old.verdicts[0].evidence_age_s == pytest.approx(1.04)
    assert [(e.phase, e.state) for e in old.events] == [(Phase.UPDATE, RopeState.UNKNOWN)]
    assert older.events == ()
    assert [(e.phase, e.state, e.revision) for e in back.events] == [
        (Phase.UPDATE, RopeState.UNSAFE, 3)
    ]


def test_open_incident_is_told_again_every_so_often() -> None:
    monitor = new_monitor(open_after_s=0, update_every_s=1)

    events = run(monitor, *(frame(0.25 * n, [seen(0.9)]) for n in range(10)))

    assert [(e.phase, e.pts_ns / S) for e in events] == [
        (Phase.START, 0),
        (Phase.UPDATE, 1),
        (Phase.UPDATE, 2),
    ]


def test_no_regular_updates_when_update_every_is_zero() -> None:
    monitor = new_monitor(open_after_s=0, update_every_s=0)

    assert len(run(monitor, *(frame(0.5 * n, [seen(0.9)]) for n in range(200)))) == 1


PICTURE = Snapshot("ab" * 32, 1000, (640, 360), 0)


def test_a_picture_is_told_in_an_update_once_and_carried_to_the_end() -> None:
    monitor = new_monitor(open_after_s=0, update_every_s=0)
    (start,) = run(monitor, frame(0, [seen(0.9)]))

    attached = monitor.attach(start.incident_id, PICTURE)
    events = run(monitor, *(frame(0.25 * n, [seen(0.9)]) for n in range(1, 4)))
    (end,) = monitor.close(EndReason.SHUTDOWN, S)

    assert attached
    assert start.snapshot is None
    assert [(e.phase, e.revision, e.snapshot) for e in events] == [(Phase.UPDATE, 2, PICTURE)]
    assert (end.revision, end.snapshot) == (3, PICTURE)


def test_a_picture_that_comes_with_the_end_is_told_in_the_end() -> None:
    monitor = new_monitor(open_after_s=0)
    (start,) = run(monitor, frame(0, [seen(0.9)]))

    monitor.attach(start.incident_id, PICTURE)
    (end,) = monitor.close(EndReason.SOURCE_LOST, S)

    assert (end.phase, end.revision, end.snapshot) == (Phase.END, 2, PICTURE)


def test_an_incident_that_is_over_takes_no_picture() -> None:
    monitor = new_monitor(open_after_s=0)
    (start,) = run(monitor, frame(0, [seen(0.9)]))
    monitor.close(EndReason.SHUTDOWN, S)

    assert not monitor.attach(start.incident_id, PICTURE)


def test_person_not_seen_for_long_enough_is_gone() -> None:
    monitor = new_monitor(open_after_s=0, gone_after_s=3, max_evidence_age_s=10)
    run(monitor, frame(0, [seen(0.9)]))

    assert run(monitor, frame(1), frame(2.99)) == []
    (end,) = run(monitor, frame(3))

    assert (end.end_reason, end.duration_s) == (EndReason.PERSON_GONE, 3)
    assert run(monitor, frame(10)) == []


@pytest.mark.parametrize("reason", list(EndReason))
def test_close_ends_each_open_incident_exactly_once(reason: EndReason) -> None:
    monitor = new_monitor(**IMMEDIATE)
    run(monitor, frame(0, [seen(0.9), seen(0.9, object_id=8, box=THERE), seen(0.1, 9)]))

    events = monitor.close(reason, 2 * S)

    assert [(e.incident_id, e.end_reason, e.duration_s) for e in events] == [
        ("incident-1", reason, 2),
        ("incident-2", reason, 2),
    ]
    assert monitor.close(reason, 3 * S) == ()
    assert monitor.open_incidents == ()


def test_monitor_can_be_used_after_close_with_new_people() -> None:
    monitor = new_monitor(**IMMEDIATE)
    run(monitor, frame(0, [seen(0.9)]))
    monitor.close(EndReason.SOURCE_LOST, 0)

    (start,) = run(monitor, frame(1, [seen(0.9)]))

    assert (start.phase, start.person, start.incident_id) == (Phase.START, 2, "incident-2")


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param(seen(math.nan), id="nan-score"),
        pytest.param(seen(0.1, box=(math.nan, 0, 10, 10)), id="nan-box"),
        pytest.param(seen(0.1, box=(100, 100, 50, 11)), id="low-crop"),
        pytest.param(seen(0.1, box=(100, 100, 10.6, 120)), id="narrow-crop"),
        pytest.param(seen(0.1, box=(-29, 100, 30, 120)), id="crop-cut-at-the-border"),
        pytest.param(seen(None), id="cached-verdict"),
    ],
)
def test_what_is_no_evidence_never_counts_as_rope_seen(observation: PersonObservation) -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=0, min_crop_px=32)
    run(monitor, frame(0, [seen(0.9, box=(100, 100, 10.7, 12))]))

    events = run(monitor, *(frame(0.1 * n, [observation]) for n in range(1, 40)))
    verdict = monitor.update(frame(4, [observation])).verdicts[0]

    assert [(e.phase, e.state) for e in events] == [(Phase.UPDATE, RopeState.UNKNOWN)]
    assert (verdict.state, verdict.score) == (RopeState.UNKNOWN, None)
    assert all(math.isfinite(number) for number in events[0].box_ltwh_px)


def test_person_who_stays_unknown_is_counted_after_unknown_after() -> None:
    monitor = new_monitor(unknown_after_s=2, max_evidence_age_s=1)
    monitor.update(frame(0, [seen(0.1)]))

    lasting = [monitor.update(frame(n, [seen()])).unknown_lasting for n in range(1, 6)]
    back = monitor.update(frame(6, [seen(0.1)]))

    # Unknown from the first frame in which the verdict is older than 1 s.
    assert lasting == [0, 0, 0, 1, 1]
    assert back.unknown_lasting == 0


def test_people_who_are_all_too_small_are_told_once_that_lasts() -> None:
    monitor = new_monitor(unknown_after_s=2, max_evidence_age_s=1, min_crop_px=60)
    small, large = (seen(0.1, box=(300, 100, 10, 10)), seen(object_id=8, box=(100, 100, 40, 80)))

    alone = [monitor.update(frame(n, [small])).too_small for n in range(5)]
    with_others = monitor.update(frame(5, [small, large]))
    nobody = monitor.update(frame(6, []))

    assert alone == [False, False, False, True, True]
    assert with_others.unknown_lasting == 1
    assert not with_others.too_small
    assert not nobody.too_small


def test_time_that_jumps_back_resets_smoothing_but_not_incidents() -> None:
    monitor = new_monitor(open_after_s=0, smoothing={})
    run(monitor, *(frame(100 + 0.04 * n, [seen(0.9)]) for n in range(10)))

    result = monitor.update(frame(100.2, [seen(0.1)]))

    assert result.verdicts[0].smoothed == 0.1
    assert monitor.open_incidents == ("incident-1",)


def test_durations_go_on_over_a_loop_of_the_file() -> None:
    monitor = new_monitor(open_after_s=0)
    run(monitor, frame(8, [seen(0.9)]), frame(9, [seen(0.9)]), frame(0, [seen(0.9)]))

    (end,) = monitor.close(EndReason.STREAM_ENDED, 2 * S)

    assert end.duration_s == 3


def test_frame_of_another_source_is_refused() -> None:
    monitor = SourceMonitor("cam1", site(), new_ids())

    with pytest.raises(ValueError, match="source_id: cam2, want cam1"):
        monitor.update(replace(frame(0), source_id="cam2"))


def test_acknowledged_incident_says_so_in_the_next_update_and_from_then_on() -> None:
    monitor = new_monitor(**IMMEDIATE)
    (start,) = run(monitor, frame(0, [seen(0.9)]))
    said = Acknowledgement(by="operator", note="on my way", unix_ns=7)

    assert monitor.acknowledge(start.incident_id, said)
    update, end = run(
        monitor, frame(0.1, [seen(0.9)]), frame(0.2, [seen(0.9)]), frame(0.3, [seen(0.1)])
    )

    assert (update.phase, update.acknowledged) == (Phase.UPDATE, said)
    assert (end.phase, end.acknowledged) == (Phase.END, said)


def test_incident_that_is_over_or_of_another_camera_is_not_acknowledged() -> None:
    monitor = new_monitor(**IMMEDIATE)
    (start, _end) = run(monitor, frame(0, [seen(0.9)]), frame(0.1, [seen(0.1)]))

    assert not monitor.acknowledge(start.incident_id, Acknowledgement("me", "", 0))


def test_another_threshold_holds_from_the_next_frame_on_and_keeps_people_and_incidents() -> None:
    monitor = new_monitor(**IMMEDIATE)
    (start,) = run(monitor, frame(0, [seen(0.6)]))

    monitor.follow(site(**IMMEDIATE, threshold=0.7))
    events = run(monitor, frame(0.1, [seen(0.6)]), frame(0.2, [seen(0.75)]))

    assert [(event.phase, event.threshold) for event in events] == [
        (Phase.END, 0.7),
        (Phase.START, 0.7),
    ]
    assert events[0].incident_id == start.incident_id
    assert [event.person for event in events] == [1, 1]


def test_nobody_is_cleared_by_time_on_the_release_side_of_other_settings() -> None:
    """1.9 s at 0.45 are below the old release (0.5), and on neither side with 0.4."""
    monitor = new_monitor(open_after_s=0, close_after_s=2)
    run(monitor, frame(0, [seen(0.9)]), *(frame(1 + n / 10, [seen(0.45)]) for n in range(20)))

    monitor.follow(site(open_after_s=0, close_after_s=2, release_below=0.4))

    assert not run(monitor, frame(3.0, [seen(0.1)]), frame(4.9, [seen(0.1)]))
    (end,) = run(monitor, *(frame(4.9 + n / 10, [seen(0.1)]) for n in range(1, 22)))
    assert (end.end_reason, end.pts_ns / S) == (EndReason.ROPE_SEEN, 6.9)


def test_another_zone_holds_from_the_next_frame_on() -> None:
    monitor = new_monitor(**IMMEDIATE)
    run(monitor, frame(0, [seen(0.9)]))
    settings = site(**IMMEDIATE)
    whole = {"name": "all", "kind": "exclude", "polygon": [(0, 0), (1, 0), (1, 1), (0, 1)]}
    source = settings.sources[0].model_copy(
        update={"zones": (ZoneSettings.model_validate(whole),)}
    )

    monitor.follow(settings.model_copy(update={"sources": (source,)}))
    (end,) = run(monitor, frame(0.1, [seen(0.9)]), frame(0.2, [seen(0.9)]))

    assert end.end_reason is EndReason.LEFT_ZONE


def test_smoothing_starts_afresh_only_when_its_own_settings_change() -> None:
    window = {"newest": 7, "window_s": 10.0}
    monitor = new_monitor(**IMMEDIATE, smoothing=window)
    run(monitor, *(frame(0.1 * n, [seen(0.1)]) for n in range(4)))

    monitor.follow(site(**IMMEDIATE, smoothing=window, threshold=0.7))
    kept = monitor.update(frame(0.4, [seen(0.9)])).verdicts[0].smoothed
    monitor.follow(site(**IMMEDIATE, smoothing=window | {"newest": 6}, threshold=0.7))
    afresh = monitor.update(frame(0.5, [seen(0.9)])).verdicts[0].smoothed

    assert (kept, afresh) == (0.1, 0.9)
