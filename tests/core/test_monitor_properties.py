"""What holds for any sequence of frames: scores, ids, boxes, gaps and jumps of time."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewatch.decision import RopeState
from ropewatch.incidents import EndReason, Phase
from ropewatch.observations import FrameObservation, PersonObservation
from tests.core.builders import HERE, IMMEDIATE, THERE, frame, new_monitor, run, seen

probabilities = st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 0.9, 1.0])
a_person = st.builds(
    seen,
    score=st.none() | probabilities,
    object_id=st.sampled_from([None, 1, 2, 3]),
    box=st.sampled_from([HERE, (115.0, *HERE[1:]), (190.0, *HERE[1:]), THERE]),
)
scenes = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.04, 0.1, 0.1, 0.3, 1.0, 1.5, 4.0, -2.0]),
        st.lists(a_person, max_size=3),
    ),
    max_size=40,
)
decisions = st.fixed_dictionaries(
    {
        "open_after_s": st.sampled_from([0, 0.1, 0.5]),
        "close_after_s": st.sampled_from([0, 0.2, 2.0]),
        "gone_after_s": st.sampled_from([0, 0.5, 3.0]),
        "update_every_s": st.sampled_from([0, 0.3, 30]),
        "max_evidence_age_s": st.sampled_from([0.2, 1.0]),
        "alert_when": st.sampled_from(["at_or_above", "below"]),
        "smoothing": st.sampled_from([{}, {"strategy": "track"}, {"newest": 1}]),
    }
)


def _frames(scene: list[tuple[float, list[PersonObservation]]]) -> list[FrameObservation]:
    ts_s, frames = 10.0, []
    for step_s, persons in scene:
        ts_s += step_s
        frames.append(frame(ts_s, persons))
    return frames


@given(scene=scenes, decision=decisions)
@settings(max_examples=300)
def test_each_start_has_exactly_one_end_and_revisions_count_up(
    scene: list[tuple[float, list[PersonObservation]]], decision: dict[str, Any]
) -> None:
    monitor = new_monitor(**decision)
    frames = _frames(scene)

    events = run(monitor, *frames)
    open_before_close = set(monitor.open_incidents)
    events += monitor.close(EndReason.SHUTDOWN, 0)

    ids = [e.incident_id for e in events if e.phase is Phase.START]
    assert len(ids) == len(set(ids))
    assert {e.incident_id for e in events} == set(ids)
    for incident_id in ids:
        life = [e for e in events if e.incident_id == incident_id]
        assert [e.revision for e in life] == list(range(1, len(life) + 1))
        assert [e.phase for e in life][1:] == [Phase.UPDATE] * (len(life) - 2) + [Phase.END]
        assert (life[-1].end_reason is EndReason.SHUTDOWN) == (incident_id in open_before_close)
        assert len({(e.person, e.started_pts_ns) for e in life}) == 1
        assert life[-1].duration_s is not None
        assert life[-1].duration_s >= 0


@given(scene=scenes, decision=decisions)
@settings(max_examples=300)
def test_no_two_persons_of_a_frame_are_the_same_person(
    scene: list[tuple[float, list[PersonObservation]]], decision: dict[str, Any]
) -> None:
    monitor = new_monitor(**decision)

    for each in _frames(scene):
        persons = [verdict.person for verdict in monitor.update(each).verdicts]
        assert len(persons) == len(each.persons)
        assert len(set(persons)) == len(persons)


steps = st.lists(
    st.tuples(st.sampled_from([0.04, 0.1, 0.3, 0.9, 1.5]), st.none() | probabilities), max_size=60
)


@given(steps=steps, above=st.booleans())
@settings(max_examples=300)
def test_without_delays_and_hysteresis_the_decision_is_the_per_frame_alert(
    steps: list[tuple[float, float | None]], above: bool
) -> None:
    alert_when = "at_or_above" if above else "below"
    monitor = new_monitor(**IMMEDIATE, alert_when=alert_when, smoothing={})

    ts_s = 0.0
    for step_s, score in steps:
        ts_s += step_s
        (verdict,) = monitor.update(frame(ts_s, [seen(score)])).verdicts
        if score is None:
            continue
        assert verdict.smoothed is not None
        alert = verdict.smoothed >= 0.5 if above else verdict.smoothed < 0.5
        assert (verdict.incident_id is not None) == alert
        assert verdict.state is (RopeState.UNSAFE if alert else RopeState.SAFE)


@given(steps=steps, open_after_s=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@settings(max_examples=300)
def test_incident_opens_after_sustained_evidence_and_only_then(
    steps: list[tuple[float, float | None]], open_after_s: float
) -> None:
    """Alert-side scores, each standing until the next or for the evidence age (1 s)."""
    monitor = new_monitor(open_after_s=open_after_s, close_after_s=0, smoothing={})

    ts_s = summed_s = 0.0
    last_s: float | None = None
    for step_s, score in steps:
        ts_s += step_s
        result = monitor.update(frame(ts_s, [seen(score)]))
        (verdict,) = result.verdicts
        if score is None:
            assert not any(e.phase is Phase.START for e in result.events)
            continue
        assert verdict.smoothed is not None
        if verdict.smoothed < 0.5:
            last_s, summed_s = None, 0.0
            assert verdict.incident_id is None
            continue
        summed_s += 0.0 if last_s is None else min(ts_s - last_s, 1.0)
        last_s = ts_s
        if summed_s >= open_after_s + 1e-6:
            assert verdict.incident_id is not None
        if summed_s < open_after_s - 1e-6:
            assert verdict.incident_id is None


@given(
    gaps_s=st.lists(st.sampled_from([0.04, 0.5, 1.0, 1.04, 2.0, 600.0]), min_size=60),
    open_after_s=st.sampled_from([0.0, 0.5, 2.0]),
    max_evidence_age_s=st.sampled_from([0.04, 1.0]),
)
@settings(max_examples=300)
def test_alert_side_scores_at_any_spacing_open_an_incident_after_finitely_many(
    gaps_s: list[float], open_after_s: float, max_evidence_age_s: float
) -> None:
    """Each gap counts 0.04 s at least, so 2 s take 50 gaps at most."""
    monitor = new_monitor(
        open_after_s=open_after_s,
        max_evidence_age_s=max_evidence_age_s,
        gone_after_s=600,
        smoothing={},
    )

    ts_s = 0.0
    frames = [frame(ts_s, [seen(0.99)])]
    for gap_s in gaps_s:
        ts_s += gap_s
        frames.append(frame(ts_s, [seen(0.99)]))
    events = run(monitor, *frames)

    assert [e.phase for e in events][:1] == [Phase.START]
    assert [e.phase for e in events].count(Phase.START) == 1


@given(steps=steps, close_after_s=st.sampled_from([0.1, 0.5, 2.0]))
@settings(max_examples=300)
def test_incident_ends_only_after_release_side_scores_without_unknown_between(
    steps: list[tuple[float, float | None]], close_after_s: float
) -> None:
    monitor = new_monitor(open_after_s=0, close_after_s=close_after_s, smoothing={})

    ts_s = stretch_s = 0.0
    last_s: float | None = None
    for step_s, score in steps:
        ts_s += step_s
        result = monitor.update(frame(ts_s, [seen(score)]))
        (verdict,) = result.verdicts
        ends = [e for e in result.events if e.phase is Phase.END]
        if score is None:
            assert not ends
            continue
        assert verdict.smoothed is not None
        gap_s = 0.0 if last_s is None else ts_s - last_s
        stretch_s = stretch_s + gap_s if gap_s < 1 + 1e-6 else 0.0
        last_s = ts_s if verdict.smoothed < 0.5 else None
        if verdict.smoothed >= 0.5:
            stretch_s = 0.0
        if ends:
            assert stretch_s >= close_after_s - 1e-6
