"""Commands that are not carried out: old, foreign, too large, too many."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepstream import floods
from deepstream.changes import AUDIT_OF_REST
from deepstream.inbound import Inbound
from deepstream.quota import STRANGERS, STRANGERS_BURST
from demo.broker import PrivateBroker
from ropewatch.asking import ask
from ropewatch.client import Subscriber
from ropewatch.commands import EXPIRY_S, PACKET_MAX_BYTES, Answer, AnswerStatus, Code
from ropewatch.errors import BrokerError
from ropewatch.incidents import Phase
from ropewatch.reading import parse
from ropewatch.wire import Wire
from tests.deepstream.commanded import HOME, LINE, ZONE, Ask, Box, noted
from tests.deepstream.posts import incident_post
from tests.publishing import publish
from tests.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    ("sender", "retain", "expiry_s", "response_topic", "code"),
    [
        ("stranger", False, 10, None, Code.NOT_ALLOWED),
        ("operator", True, 10, None, Code.RETAINED),
        ("operator", False, None, None, Code.NO_EXPIRY),
        ("operator", False, 3600, None, Code.NO_EXPIRY),
        ("operator", False, 10, f"{HOME}/status", Code.RESPONSE_TOPIC),
        ("operator", False, 10, f"{HOME}/response/other", Code.RESPONSE_TOPIC),
        ("operator", False, 10, f"{HOME}/response/operatorx", Code.RESPONSE_TOPIC),
        ("operator", False, 10, f"$share/g/{HOME}/response/operator", Code.RESPONSE_TOPIC),
        ("operator", False, 10, "$SYS/broker", Code.RESPONSE_TOPIC),
    ],
)
def test_what_may_be_old_or_foreign_is_refused_on_the_senders_own_topic(
    sender: str,
    retain: bool,
    expiry_s: int | None,
    response_topic: str | None,
    code: Code,
    box: Box,
    broker: PrivateBroker,
) -> None:
    topic = f"{HOME}/command/{sender}/acknowledge"
    payload = b'{"request_id": "r1", "incident_id": "01OPEN"}'
    with Subscriber(broker.host, broker.port, (f"{HOME}/response/#", f"{HOME}/status")) as inbox:
        publish(
            broker.host,
            broker.port,
            [(topic, payload)],
            retain=retain,
            expiry_s=expiry_s,
            response_topic=response_topic,
        )
        received = next(inbox.messages(TIMEOUT_S))

    answer = parse(received.topic, received.payload)
    assert isinstance(answer, Answer)
    assert received.topic == f"{HOME}/response/{sender}"
    assert (answer.status, answer.code) == (AnswerStatus.REJECTED, code)
    assert box.cameras.acknowledged == []


def test_a_command_that_was_retained_before_the_box_came_is_not_read(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    topic, payload = f"{HOME}/command/operator/ping", b'{"request_id": "r1"}'
    publish(broker.host, broker.port, [(topic, payload)], retain=True, expiry_s=30)

    with (
        Subscriber(broker.host, broker.port, (f"{HOME}/response/#",)) as inbox,
        Box(broker, tmp_path),
    ):
        assert list(inbox.messages(0.5)) == []


def test_a_command_does_not_wait_at_the_broker_for_a_box_that_is_away(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    """It could be sent with a long life, of which little is left when the box is back."""
    topic = f"{HOME}/command/operator/acknowledge"
    payload = b'{"request_id": "old", "incident_id": "01OPEN"}'
    with Box(broker, tmp_path):
        pass
    publish(broker.host, broker.port, [(topic, payload)], expiry_s=EXPIRY_S + 2)
    time.sleep(3)

    with (
        Subscriber(broker.host, broker.port, (f"{HOME}/response/#",)) as inbox,
        Box(broker, tmp_path) as box,
    ):
        assert list(inbox.messages(0.5)) == []
        assert box.cameras.acknowledged == []
        # Who heard nothing asks again.
        publish(broker.host, broker.port, [(topic, payload)], expiry_s=EXPIRY_S)
        assert next(inbox.messages(TIMEOUT_S)).topic == f"{HOME}/response/operator"
        assert len(box.cameras.acknowledged) == 1


def test_a_command_that_is_too_large_never_comes_and_the_rest_goes_on(
    box: Box, operator: Ask, broker: PrivateBroker
) -> None:
    topic = f"{HOME}/command/operator/ping"
    huge = b'{"request_id": "huge", "x": "' + PACKET_MAX_BYTES * b"x" + b'"}'
    corners = [[n / 97, (1 - n / 97) ** 2] for n in range(98)] + [[1, 1], [1e-16 / 3, 1]]
    zones = [ZONE | {"name": f"z{n}", "polygon": corners} for n in range(12)]

    for _ in range(20):
        publish(broker.host, broker.port, [(topic, huge), (topic, huge)], expiry_s=EXPIRY_S)
        assert operator("ping").code is Code.OK
    largest = operator("set", camera="cam1", zones=zones)

    with pytest.raises(
        BrokerError, match=r"command: 65\d{3} bytes with its topic, want 65536 at most"
    ):
        operator("ping", x=PACKET_MAX_BYTES * "x")

    assert largest.code is Code.UNCONFIRMED
    assert len(box.cameras.site.judging("cam1").zones) == 12
    assert "huge" not in {line["request_id"] for line in noted(box.folder, AUDIT_OF_REST)}


def ping_of(sender: str, **changes: Any) -> Inbound:
    message = Inbound(f"{HOME}/command/{sender}/ping", b"{}", False, 30, None, None)
    return replace(message, **changes)


def test_a_storm_of_one_sender_is_dropped_counted_and_told_while_it_lasts(
    box: Box, broker: PrivateBroker
) -> None:
    where = (broker.host, broker.port)
    pings = [(f"{HOME}/command/operator/ping", b'{"request_id": "x"}')] * 180
    with Subscriber(*where, (f"{HOME}/response/deputy",)) as deputy:
        publish(*where, pings, expiry_s=30)
        answer = ask(deputy, replace(LINE, sender="deputy"), "ping", {}, timeout_s=TIMEOUT_S)

    assert answer.code is Code.OK
    wait_until(lambda: box.commander.dropped > 100)
    assert box.commander.troubles() == ["commands: too many of operator, some are dropped"]
    assert len(noted(box.folder, AUDIT_OF_REST)) < 80
    box.clock.ahead_s = 61
    assert box.commander.troubles() == []
    with Subscriber(*where, (LINE.answers,)) as operator:
        assert ask(operator, LINE, "ping", {}, timeout_s=TIMEOUT_S).code is Code.OK


@pytest.mark.parametrize("size_bytes", [0, 60_000])
def test_a_flood_is_not_listened_to_for_a_while_and_holds_up_no_alert(
    size_bytes: int, broker: PrivateBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the messages take to come, and until they were all seen.
    monkeypatch.setattr(floods, "WINDOW_S", 3600.0)
    monkeypatch.setattr(floods, "CLOSED_S", 3600.0)
    where = (broker.host, broker.port)
    ping = (f"{HOME}/command/operator/ping", b'{"request_id": "x"' + size_bytes * b" " + b"}")
    with (
        Box(broker, tmp_path) as box,
        Subscriber(*where, (f"{HOME}/camera/+/incident", LINE.answers)) as inbox,
    ):
        publish(*where, [ping] * 1500, expiry_s=30)
        wait_until(box.publisher.troubles)
        assert box.publisher.troubles() == [
            f"nothing is received on {HOME}/command/+/+ for 3600 s, too much came"
        ]
        before = box.commander.dropped
        box.outbox.offer(incident_post(Wire("yard", "box1", "01B"), "one", Phase.START, 1))
        alert = next(m for m in inbox.messages(TIMEOUT_S) if m.topic.endswith("/incident"))
        box.settle()
        publish(*where, [ping], expiry_s=30)
        box.settle()

        monkeypatch.setattr(floods, "WINDOW_S", 0.0)
        monkeypatch.setattr(floods, "CLOSED_S", 0.0)
        wait_until(lambda: not box.publisher.troubles())
        box.settle()
        box.clock.ahead_s = 61
        assert ask(inbox, LINE, "ping", {}, timeout_s=TIMEOUT_S).code is Code.OK

    assert alert.topic.startswith(HOME)
    assert before == box.commander.dropped <= floods.MAX_PER_WINDOW


def test_strangers_share_one_small_quota_and_put_nothing_out_of_the_audit(
    box: Box, operator: Ask, broker: PrivateBroker, tmp_path: Path
) -> None:
    operator("acknowledge", request_id="r-1", incident_id="01OPEN")
    pairs = [(f"{HOME}/command/mallory{n}/set", 8000 * b"x") for n in range(180)]

    publish(broker.host, broker.port, pairs, expiry_s=30)

    wait_until(lambda: box.commander.dropped == 180 - STRANGERS_BURST)
    wait_until(lambda: len(noted(tmp_path, AUDIT_OF_REST)) == STRANGERS_BURST)
    assert [line["request_id"] for line in noted(tmp_path)] == ["r-1"]
    assert box.commander.troubles() == [f"commands: too many of {STRANGERS}, some are dropped"]
    assert operator("ping").code is Code.OK


def test_endless_names_and_reasons_go_nowhere(
    box: Box, broker: PrivateBroker, operator: Ask
) -> None:
    endless = 3000 * "x"
    box.commander.take(ping_of(endless))
    box.commander.take(ping_of("operator", response_topic=f"{LINE.answers}/{endless}"))
    box.commander.take(ping_of("operator", correlation=endless.encode()))

    refused = operator("ping", **{endless: 1, "a": 1})

    assert box.commander.dropped == 3
    assert refused.code is Code.MALFORMED
    assert len(refused.reason or "") == 500


def test_a_command_that_waited_in_the_box_is_not_carried_out(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    box = Box(broker, tmp_path)
    box.commander.take(
        Inbound(
            f"{HOME}/command/operator/acknowledge",
            b'{"request_id": "r1", "incident_id": "01OPEN"}',
            False,
            EXPIRY_S,
            None,
            None,
        )
    )
    box.clock.ahead_s = EXPIRY_S + 5

    with box:
        wait_until((tmp_path / AUDIT_OF_REST).exists)

    assert noted(tmp_path, AUDIT_OF_REST)[0]["reason"].startswith("the box came to it after 35 s")
    assert box.cameras.acknowledged == []
