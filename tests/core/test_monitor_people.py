"""Who is who in a source: ids change, people leave, cross and come back. They stand at HERE."""

import pytest

from ropewatch.incidents import Phase
from ropewatch.observations import BoxLtwh
from tests.core.builders import HERE, THERE, frame, new_monitor, run, seen


def _moved(dx_px: float, box: BoxLtwh = HERE) -> BoxLtwh:
    return (box[0] + dx_px, *box[1:])


@pytest.mark.parametrize("new_id", [8, None])
@pytest.mark.parametrize("dx_px", [0, 20, 100])
def test_changed_track_id_does_not_restart_the_evidence(new_id: int | None, dx_px: float) -> None:
    monitor = new_monitor(open_after_s=1)
    run(monitor, frame(0, [seen(0.9)]), frame(0.5, [seen(0.9)]))

    result = monitor.update(frame(1, [seen(0.9, object_id=new_id, box=_moved(dx_px))]))

    assert [v.person for v in result.verdicts] == [1]
    assert [e.phase for e in result.events] == [Phase.START]
    assert result.events[0].object_ids == ((7,) if new_id is None else (7, new_id))


def test_person_comes_back_under_a_new_id_after_a_short_occlusion() -> None:
    monitor = new_monitor(open_after_s=0)
    run(monitor, frame(0, [seen(0.9)]), frame(0.5), frame(1.0))

    # Absent for 1.2 s: up to 0.5 + 1.2 sides of 120 px away.
    result = monitor.update(frame(1.2, [seen(0.9, object_id=8, box=_moved(200))]))

    assert result.verdicts[0].incident_id == "incident-1"


def test_stranger_far_from_an_absent_person_gets_no_evidence_of_theirs() -> None:
    monitor = new_monitor(open_after_s=1)
    run(monitor, frame(0, [seen(0.9)]), frame(0.9, [seen(0.9)]))

    result = monitor.update(frame(1, [seen(0.9, object_id=8, box=THERE)]))

    assert result.verdicts[0].person == 2
    assert result.events == ()


def test_child_sized_box_beside_an_absent_person_is_a_stranger() -> None:
    monitor = new_monitor()
    run(monitor, frame(0, [seen(0.9)]))

    result = monitor.update(frame(0.1, [seen(object_id=8, box=(110, 130, 20, 50))]))

    assert result.verdicts[0].person == 2


def test_two_people_who_cross_keep_their_evidence_while_their_ids_persist() -> None:
    monitor = new_monitor(open_after_s=0)
    persons = []
    for step in range(11):
        left, right = _moved(10.0 * step), _moved(100 - 10.0 * step)
        result = monitor.update(
            frame(
                0.1 * step, [seen(0.9, object_id=1, box=left), seen(0.1, object_id=2, box=right)]
            )
        )
        persons.append([(v.person, v.state.value) for v in result.verdicts])

    assert persons == [[(1, "unsafe"), (2, "safe")]] * 11


def test_each_of_two_switched_ids_goes_to_the_nearest_person() -> None:
    monitor = new_monitor()
    run(monitor, frame(0, [seen(0.9, 1), seen(0.1, 2, _moved(60))]))

    result = monitor.update(frame(0.1, [seen(0.1, 3, _moved(62)), seen(0.9, 4, _moved(2))]))

    assert [v.person for v in result.verdicts] == [2, 1]


def test_track_id_whose_box_jumped_absurdly_is_another_person() -> None:
    monitor = new_monitor(open_after_s=1)
    run(monitor, frame(0, [seen(0.9)]), frame(0.96, [seen(0.9)]))

    # 700 px in 0.04 s; 2.24 sides of 120 px would be believed.
    result = monitor.update(frame(1, [seen(0.9, box=THERE)]))

    assert result.verdicts[0].person == 2
    assert result.events == ()


def test_changed_track_id_keeps_the_history_of_the_track_smoother() -> None:
    monitor = new_monitor(open_after_s=0, smoothing={"strategy": "track"})
    for n in range(6):
        monitor.update(frame(0.04 * n, [seen(0.1)]))

    result = monitor.update(frame(0.24, [seen(0.9, object_id=8)]))

    assert result.verdicts[0].smoothed == pytest.approx(0.1)
