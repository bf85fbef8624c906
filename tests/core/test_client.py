"""The consumer's client with a real mosquitto: once, in order, and nothing lost when it dies."""

import io
import itertools
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.broker import PrivateBroker
from ropewatch import client as client_module
from ropewatch.cli import main
from ropewatch.client import Subscriber, incident_topic, incidents
from ropewatch.incidents import EndReason, Phase
from ropewatch.sequencer import Gap
from ropewatch.store import open_sqlite
from ropewatch.wire import Message
from tests.core.incident_messages import BOOT_1, changed, message
from tests.publishing import publish

pytestmark = pytest.mark.broker

KEEPING = "max_queued_messages 0\nuser root"


def send(
    broker: PrivateBroker, messages: Iterable[Message], content_type: str | None = None
) -> None:
    pairs = [(each.topic, each.payload) for each in messages]
    publish(broker.host, broker.port, pairs, content_type=content_type)


def subscribe(
    broker: PrivateBroker, client_id: str | None = None, group: str | None = None
) -> Subscriber:
    where = (broker.host, broker.port, (incident_topic(),))
    return Subscriber(*where, client_id=client_id, group=group)


def sequences(subscriber: Subscriber, count: int | None = None, for_s: float = 10) -> list[int]:
    found = itertools.islice(incidents(subscriber, for_s=for_s), count)
    return [each.message.data.sequence for each in found]


def test_incidents_come_once_and_in_order(broker: PrivateBroker) -> None:
    with subscribe(broker) as inbox:
        send(broker, [message(n) for n in (1, 2, 2, 4, 1, 3, 5, 4)])

        assert sequences(inbox, for_s=1) == [1, 2, 3, 4, 5]


def test_a_gap_is_told_and_does_not_hold_up_what_comes_later(broker: PrivateBroker) -> None:
    gaps: list[Gap] = []
    with subscribe(broker) as inbox:
        send(broker, [message(n) for n in (1, 2, 5)])
        found = [
            each.message.data.sequence
            for each in incidents(inbox, wait_s=0.3, for_s=1.5, on_gap=gaps.append)
        ]

    assert found == [1, 2, 5]
    assert gaps == [Gap("north-tower", "box-1", BOOT_1, 3, 4)]


def test_a_gap_is_logged_unless_somebody_else_is_told(
    broker: PrivateBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with subscribe(broker) as inbox:
        send(broker, [message(n) for n in (1, 4)])
        list(incidents(inbox, wait_s=0, for_s=0.5))

    assert "messages are missing site=north-tower box=box-1" in caplog.text
    assert "first=2 last=3" in caplog.text


def test_what_is_no_incident_is_passed_over_and_told(
    broker: PrivateBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Message(message(1).topic, b"{", 1, False, None, "text/plain")
    with subscribe(broker) as inbox:
        send(broker, [broken, message(1)])

        assert sequences(inbox, 1) == [1]
    assert "message passed over" in caplog.text
    assert "not JSON" in caplog.text


def test_what_one_camera_says_of_another_is_passed_over_and_told(
    broker: PrivateBroker, caplog: pytest.LogCaptureFixture
) -> None:
    own = message(2)
    foreign = replace(message(1), topic=own.topic.replace("box-1", "box-2"))
    with subscribe(broker) as inbox:
        send(broker, [foreign, own])

        assert sequences(inbox, 1) == [2]
    assert "reason=incident: box: 'box-1', want 'box-2' as in its topic" in caplog.text


def test_what_came_while_a_named_consumer_was_away_is_waiting(broker: PrivateBroker) -> None:
    with subscribe(broker, client_id="siren"):
        pass
    send(broker, [message(n) for n in (1, 2, 3)])

    with subscribe(broker, client_id="siren") as inbox:
        assert sequences(inbox, 3) == [1, 2, 3]


def test_what_a_consumer_died_over_comes_again_and_what_it_had_done_does_not(
    broker: PrivateBroker,
) -> None:
    with subscribe(broker, client_id="siren"):
        pass
    send(broker, [message(n) for n in range(1, 6)])

    def work(inbox: Subscriber) -> None:
        for each in incidents(inbox):
            if each.message.data.sequence == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), subscribe(broker, client_id="siren") as inbox:
        work(inbox)

    with subscribe(broker, client_id="siren") as inbox:
        assert sequences(inbox, for_s=1) == [3, 4, 5]


def test_what_waits_for_an_earlier_one_when_a_consumer_dies_comes_again(
    broker: PrivateBroker,
) -> None:
    with subscribe(broker, client_id="siren"):
        pass
    send(broker, [message(n) for n in (1, 3)])
    with subscribe(broker, client_id="siren") as inbox:
        assert sequences(inbox, for_s=0.5) == [1]

    send(broker, [message(2)])

    with subscribe(broker, client_id="siren") as inbox:
        assert set(sequences(inbox, for_s=1)) == {2, 3}


def test_a_named_consumer_that_is_slower_than_the_box_gets_everything() -> None:
    count = 500
    with PrivateBroker(extra_config=KEEPING) as broker, subscribe(broker, client_id="a") as inbox:
        send(broker, [message(n) for n in range(1, count + 1)])

        assert sequences(inbox, count) == list(range(1, count + 1))
        assert inbox._messages.qsize() == 0


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 10**9), (10**9, 3)])
def test_a_slow_consumer_without_a_name_has_the_newest_and_is_told_what_it_lost(
    most: int,
    most_bytes: int,
    broker: PrivateBroker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(client_module, "QUEUE_MAX", most)
    monkeypatch.setattr(client_module, "QUEUE_MAX_BYTES", most_bytes)
    with Subscriber(broker.host, broker.port, ("slow/+",)) as inbox:
        send(
            broker, [Message("slow/a", b"%d" % n, 1, False, None, "text/plain") for n in range(9)]
        )
        until_s = time.monotonic() + 30
        while inbox.dropped < 6 and time.monotonic() < until_s:
            time.sleep(0.01)

        assert [each.payload for each in inbox.messages(1.0)] == [b"6", b"7", b"8"]
    assert inbox.dropped == 6
    assert "more comes than is read, messages dropped count=4" in caplog.text


def test_nothing_is_lost_or_answered_for_another_when_the_broker_restarts(tmp_path: Path) -> None:
    config = f"{KEEPING}\npersistence true\npersistence_location {tmp_path}/"
    with PrivateBroker(extra_config=config) as broker, subscribe(broker, client_id="a") as inbox:
        send(broker, [message(n) for n in range(1, 51)])
        stream = incidents(inbox, for_s=30)
        found = [next(stream).message.data.sequence for _ in range(10)]
        broker.stop()
        broker.start()
        send(broker, [message(n) for n in range(51, 101)])
        found += [each.message.data.sequence for each in itertools.islice(stream, 90)]

    assert found == list(range(1, 101))


def test_consumers_of_a_group_share_the_messages_and_one_database(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    file, count = tmp_path / "incidents.sqlite", 60
    shares: dict[str, list[int]] = {"one": [], "other": []}
    started, everything = threading.Barrier(3), threading.Event()

    def work(name: str) -> None:
        store = open_sqlite(file)
        with subscribe(broker, group="wall") as inbox:
            started.wait(10)
            while not everything.is_set():
                for each in incidents(inbox, wait_s=0, for_s=0.3, on_gap=lambda _: None):
                    # At least once: what a member has not acknowledged goes to another.
                    if store.add(each, received_at="2026-11-21T05:00:00Z"):
                        shares[name].append(each.message.data.sequence)
        store.close()

    workers = [threading.Thread(target=work, args=(name,)) for name in shares]
    for worker in workers:
        worker.start()
    started.wait(10)
    send(broker, [message(n) for n in range(1, count + 1)])
    end_s = time.monotonic() + 20
    while sum(map(len, shares.values())) < count and time.monotonic() < end_s:
        time.sleep(0.05)
    everything.set()
    for worker in workers:
        worker.join(20)

    assert sorted(shares["one"] + shares["other"]) == list(range(1, count + 1))
    assert min(len(share) for share in shares.values()) > 0
    with sqlite3.connect(file) as database:
        (kept,) = database.execute("SELECT count(*) FROM incident_message").fetchone()
    assert kept == count
    store = open_sqlite(file)
    assert store.gaps() == []


def test_listen_keeps_incidents_and_prints_each_once_over_restarts(
    broker: PrivateBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "incidents.sqlite"
    words = f"listen --port {broker.port} --client-id desk --sqlite {file} --json".split()
    assert main([*words, "--timeout-s", "0.1"]) == 0
    send(broker, [message(1, Phase.START), message(2), message(3, Phase.END)])

    assert main([*words, "--count", "2"]) == 0
    assert main([*words, "--timeout-s", "1"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"]["sequence"] for line in lines] == [1, 2, 3]
    with sqlite3.connect(file) as database:
        found = database.execute("SELECT incident_id, end_reason, messages FROM incident")
        assert found.fetchall() == [("01INCIDENT", "rope_seen", 3)]


# What a broken or hostile sender may put into one message, and no database takes.
POISON: dict[str, dict[str, Any]] = {
    "sequence of 2^63": {"sequence": 2**63},
    "revision beyond 64 bits": {"revision": 10**30},
    "number of 4,000 digits": {"person": 10**4000},
    "infinite duration": {"duration_s": float("inf"), "end_reason": "rope_seen", "phase": "end"},
    "not a number": {"score": float("nan")},
    "NUL in a name": {"incident_id": "a\0b"},
    "name of a megabyte": {"boot_id": "x" * 1_000_000},
    "30 February": {"acknowledged": {"by": "x", "note": "", "at": "2026-02-30T00:00:00.000000Z"}},
    "nothing": {"sequence": None},
    "state that is a list": {"state": []},
}


def test_listen_passes_over_what_no_database_takes_and_is_not_given_it_again(
    broker: PrivateBroker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "incidents.sqlite"
    words = f"listen --port {broker.port} --client-id desk --sqlite {file} --json".split()
    assert main([*words, "--timeout-s", "0.1"]) == 0
    poison = [changed(message(2), **fields) for fields in POISON.values()]
    send(broker, [message(1, Phase.START)])
    send(broker, poison, "text/plain")
    send(broker, [message(2, Phase.END)])

    assert main([*words, "--count", "2"]) == 0
    seen = caplog.messages[:]
    assert main([*words, "--timeout-s", "1"]) == 0

    told = [text for text in seen if "passed over" in text]
    assert len(told) == len(POISON)
    assert f"count={len(POISON)} " in told[-1]
    assert max(map(len, told)) < 500
    assert "passed over" not in "".join(caplog.messages[len(seen) :])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"]["sequence"] for line in lines] == [1, 2]


def test_listen_says_why_every_incident_may_end(
    broker: PrivateBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [
        changed(message(n, Phase.END), end_reason=reason.value)
        for n, reason in enumerate(EndReason, start=1)
    ]
    listening = threading.Timer(0.5, send, (broker, ends))
    listening.start()

    assert main(["listen", "--port", str(broker.port), "--count", str(len(ends))]) == 0

    listening.join()
    assert "person has left the zone after" in capsys.readouterr().out


def test_listen_prints_json_of_many_lines_on_one(
    broker: PrivateBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = message(1, Phase.START)
    spread = json.dumps(json.loads(sent.payload), indent=1).replace("\n", "\r\n").encode()
    listening = threading.Timer(0.5, send, (broker, [replace(sent, payload=spread)]))
    listening.start()

    assert main(["listen", "--port", str(broker.port), "--count", "1", "--json"]) == 0

    listening.join()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads(sent.payload)


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_listen_prints_any_character_on_any_terminal(
    words: list[str], broker: PrivateBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    sent = changed(message(1, Phase.START), score_label="\u00e9\x1b[2J\n")
    raw = json.dumps(json.loads(sent.payload), ensure_ascii=False).encode()
    sending = (broker, [replace(sent, payload=raw)], "text/plain")
    listening = threading.Timer(0.5, send, sending)
    listening.start()

    assert main(["listen", "--port", str(broker.port), "--count", "1", *words]) == 0

    listening.join()
    if words:
        assert screen.getvalue() == raw + b"\n"
    else:
        assert b"p(\\xe9?[2J?) " in screen.getvalue()


def test_listen_shares_with_a_group(
    broker: PrivateBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    listening = threading.Timer(0.5, send, (broker, [message(1, Phase.START), message(9)]))
    listening.start()

    assert main(["listen", "--port", str(broker.port), "--shared", "wall", "--count", "2"]) == 0

    listening.join()
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert "missing" not in said.err
