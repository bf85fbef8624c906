"""What the outbox keeps, hands out and drops, on real SQLite files and without a broker."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from deepstream import outbox as outbox_module
from deepstream.journal import ANSWERS_MAX
from deepstream.lanes import Lane, Post
from deepstream.outbox import FILE_NAME
from ropewatch.incidents import Phase
from ropewatch.reading import parse_incident
from ropewatch.wire import Wire
from tests.deepstream.posts import (
    Time,
    deliver_all,
    incident_post,
    make_outbox,
    post,
    state,
    take_all,
)

WIRE = Wire(site="s", box="b", boot_id="01BOOT")


def test_what_was_not_delivered_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    for number in range(5):
        before.offer(post(number))
    found = before.take(1)
    assert found is not None
    before.delivered(found[0])
    before.close()

    after = make_outbox(tmp_path)
    after.offer(post(5))

    assert take_all(after) == [b"1", b"2", b"3", b"4", b"5"]
    after.close()


def test_a_start_is_on_disk_before_it_can_be_sent(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.offer(post(1), post(2, Lane.UPDATE))

    # A copy of the files is what a killed program leaves.
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("outbox.sqlite*"):
        (copy / file.name).write_bytes(file.read_bytes())

    assert take_all(make_outbox(copy)) == [b"1", b"2"]
    outbox.close()


def test_states_answers_and_telemetry_do_not_outlive_a_restart(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    before.offer(state(1), post(2, Lane.TELEMETRY), post(3, Lane.SNAPSHOT), post(4, Lane.ANSWER))
    before.close()

    assert take_all(make_outbox(tmp_path)) == [b"3"]


def test_answers_are_kept_over_restarts_the_newest_thousand(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    for number in range(ANSWERS_MAX + 2):
        before.keep_answer("operator", f"r-{number}", b"first")
    before.keep_answer("operator", "r-2", b"second")
    before.close()

    after = make_outbox(tmp_path)
    answers = after.left_answers()

    assert next(iter(answers)) == ("operator", "r-3")
    assert list(answers)[-1] == ("operator", "r-2")
    assert answers["operator", "r-2"] == b"second"
    assert after.left_answers() == {}
    after.close()


def test_delivered_messages_leave_the_disk(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.offer(*(post(number) for number in range(100)))
    assert len(deliver_all(outbox)) == 100
    outbox.tick()
    outbox.close()

    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as rows:
        assert rows.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert outbox.counters.delivered == 100


def test_an_incident_that_waited_is_late_and_says_how_long(tmp_path: Path) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time, late_after_s=10)
    outbox.offer(incident_post(WIRE, "one", Phase.START, 1))
    time.pass_s(9)
    outbox.offer(incident_post(WIRE, "two", Phase.START, 2))
    time.pass_s(1)

    deliveries = [
        parse_incident(found[1].payload).data.delivery
        for found in (outbox.take(10), outbox.take(10))
        if found is not None
    ]

    assert [(d.late, d.queued_ms) for d in deliveries if d is not None] == [
        (True, 10_000),
        (False, 1000),
    ]
    outbox.close()


def test_what_waited_over_a_restart_is_late_whatever_the_clock_says(tmp_path: Path) -> None:
    before = make_outbox(tmp_path, Time(unix_s=1_800_000_000))
    before.offer(incident_post(WIRE, "one", Phase.START, 1))
    before.close()

    # A box without a battery begins in 1970.
    after = make_outbox(tmp_path, Time(unix_s=60))
    found = after.take(10)

    assert found is not None
    delivery = parse_incident(found[1].payload).data.delivery
    assert delivery is not None
    assert (delivery.late, delivery.queued_ms) == (True, 0)
    after.close()


def test_expiry_shrinks_by_the_time_waited(tmp_path: Path) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time)
    outbox.offer(post(1))
    time.pass_s(1000)

    found = outbox.take(10)

    assert found is not None
    assert found[1].expiry_s == 599_000
    outbox.close()


def test_a_lost_connection_renders_the_message_anew(tmp_path: Path) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time, late_after_s=10)
    outbox.offer(incident_post(WIRE, "one", Phase.START, 1))
    outbox.take(10)
    outbox.connection_lost()
    time.pass_s(3600)

    found = outbox.take(10)

    assert found is not None
    delivery = parse_incident(found[1].payload).data.delivery
    assert delivery is not None
    assert (delivery.late, delivery.queued_ms) == (True, 3_600_000)
    outbox.close()


def test_open_incidents_are_known_after_a_restart_and_ended_ones_are_not(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    before.offer(incident_post(WIRE, "one", Phase.START, 1))
    before.offer(incident_post(WIRE, "two", Phase.START, 2))
    before.offer(incident_post(WIRE, "one", Phase.UPDATE, 3))
    before.offer(incident_post(WIRE, "two", Phase.END, 4))
    assert before.left_open() == {}
    before.close()

    after = make_outbox(tmp_path)
    left = after.left_open()

    assert list(left) == ["one"]
    assert parse_incident(left["one"]).data.phase is Phase.UPDATE
    assert after.left_open() == {}
    after.close()
    # Not ended yet, so the next start finds it as well.
    again = make_outbox(tmp_path)
    again.offer(incident_post(WIRE, "one", Phase.END, 5))
    again.close()
    assert make_outbox(tmp_path).left_open() == {}


def test_too_much_drops_updates_and_says_so_but_keeps_every_start(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path, max_bytes=64 * 1024)
    for number in range(60):
        outbox.offer(post(number, size_bytes=1000))
        outbox.offer(post(1000 + number, Lane.UPDATE, size_bytes=1000))
    outbox.close()

    assert outbox.counters.dropped == {Lane.UPDATE: 60}
    assert outbox.troubles() == ["outbox: more starts and ends wait than mqtt.outbox.max_bytes"]
    assert take_all(make_outbox(tmp_path)) == [b"%d" % number for number in range(60)]


def test_what_is_too_old_is_dropped_while_nothing_new_comes(tmp_path: Path) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time, max_age_s=60)
    outbox.offer(post(1), post(2, Lane.UPDATE))
    time.pass_s(61)

    outbox.tick()

    assert outbox.counters.dropped == {Lane.UPDATE: 1}
    assert take_all(outbox) == [b"1"]
    outbox.close()


def test_a_large_backlog_is_on_disk_and_not_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "KEEP_BYTES", 10_000)
    outbox = make_outbox(tmp_path)
    for number in range(100):
        outbox.offer(post(number, size_bytes=1000))

    assert outbox._lanes.memory_bytes < 20_000
    assert deliver_all(outbox) == [b"%d" % number for number in range(100)]
    outbox.close()


def test_a_refused_message_is_counted_shown_and_kept(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.offer(post(1), post(2))
    found = outbox.take(10)
    assert found is not None
    outbox.refused(found[0], "Not authorized")

    assert deliver_all(outbox) == [b"2"]
    assert outbox.waiting == 0
    assert outbox.counters.refused == 1
    assert outbox.troubles() == ["1 messages set aside: Not authorized"]
    outbox.close()
    assert deliver_all(make_outbox(tmp_path)) == [b"1"]


def test_refused_telemetry_is_not_kept(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.offer(post(1, Lane.TELEMETRY))
    found = outbox.take(10)
    assert found is not None

    outbox.refused(found[0], "Not authorized")

    assert (outbox.troubles(), outbox.counters.refused) == ([], 1)
    outbox.close()


def test_an_answer_to_a_connection_that_was_given_up_changes_nothing(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    outbox.offer(post(1))
    found = outbox.take(10)
    assert found is not None
    outbox.connection_lost()

    outbox.delivered(found[0])

    assert outbox.counters.delivered == 0
    assert take_all(outbox) == [b"1"]
    outbox.close()


def test_a_waiting_sender_is_woken_by_a_message(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    timer = threading.Timer(0.1, outbox.offer, [post(1)])
    timer.start()

    found = outbox.take(10, timeout_s=30.0)

    assert found is not None
    timer.join()
    outbox.close()


def test_messages_of_one_moment_are_one_commit(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    assert outbox._keeper._journal is not None
    outbox.offer(post(0, Lane.UPDATE))
    statements: list[str] = []
    outbox._keeper._journal._connection.set_trace_callback(statements.append)

    outbox.offer(*(post(number) for number in range(20)))
    outbox.offer(Post(state(1).message, Lane.STATE))

    assert statements.count("COMMIT") == 1
    assert "PRAGMA synchronous = FULL" in statements
    outbox.close()
