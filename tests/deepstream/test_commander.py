"""Commands over a real mosquitto: asked as an operator would, answered by the runtime's parts."""

import json
from pathlib import Path

import pytest

from deepstream.changes import AUDIT_MAX_BYTES, AUDIT_OF_REST
from deepstream.inbound import Inbound
from deepstream.lanes import Lane
from demo.broker import PrivateBroker
from ropewatch.asking import ask
from ropewatch.cli import main
from ropewatch.client import Subscriber
from ropewatch.commands import Answer, AnswerStatus, Code
from ropewatch.errors import BrokerError
from ropewatch.reading import parse
from tests.deepstream.commanded import HOME, LINE, Ask, Box, noted
from tests.deepstream.posts import post, take_all
from tests.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.broker


def test_a_ping_is_answered_with_what_holds_now(box: Box, operator: Ask) -> None:
    answer = operator("ping", request_id="r-1")

    assert (answer.status, answer.code, answer.request_id) == (
        AnswerStatus.APPLIED,
        Code.OK,
        "r-1",
    )
    assert answer.config_digest == box.base.digest()


def test_an_answer_waits_for_starts_and_ends_but_not_for_updates(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    box = Box(broker, tmp_path)
    box.outbox.offer(post(1, Lane.UPDATE), post(2, Lane.SNAPSHOT))
    box.commander.start()
    box.commander.take(Inbound(f"{HOME}/command/operator/ping", b"{}", False, 30, None, None))
    wait_until(lambda: box.outbox.waiting == 3)
    box.outbox.offer(post(3))
    box.commander.stop()

    payloads = take_all(box.outbox)

    assert [payloads[0], *payloads[2:]] == [b"3", b"1", b"2"]
    assert b"malformed" in payloads[1]
    box.outbox.close()


def test_an_incident_is_acknowledged_by_who_has_asked(box: Box, operator: Ask) -> None:
    done = operator("acknowledge", incident_id="01OPEN", note="on my way")
    unknown = operator("acknowledge", incident_id="01GONE")

    assert done.status is AnswerStatus.ACCEPTED
    assert [(each.by, each.note) for each in box.cameras.acknowledged] == [
        ("operator", "on my way")
    ]
    assert (unknown.code, unknown.reason) == (
        Code.UNKNOWN_INCIDENT,
        "incident_id: 01GONE: not open",
    )


def test_every_command_is_written_down(box: Box, operator: Ask, tmp_path: Path) -> None:
    operator("ping", request_id="r-1")
    operator("set", request_id="r-2", camera="cam9")
    operator("acknowledge", request_id="r-3", incident_id="01OPEN")

    assert [(line["request_id"], line["status"], line["code"]) for line in noted(tmp_path)] == [
        ("r-3", "accepted", "ok"),
    ]
    rest = noted(tmp_path, AUDIT_OF_REST)
    assert [(line["request_id"], line["status"], line["code"]) for line in rest] == [
        ("r-1", "applied", "ok"),
        ("r-2", "rejected", "unknown_camera"),
    ]
    assert '"cam9"' in rest[1]["asked"]


def test_without_a_box_the_question_ends_in_words(broker: PrivateBroker) -> None:
    with (
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
        pytest.raises(BrokerError, match=r"yard/box1: no answer within 0\.3 s, want a box that"),
    ):
        ask(subscriber, LINE, "ping", {}, timeout_s=0.3)


def test_the_command_line_asks_and_says_what_came_of_it(
    box: Box, broker: PrivateBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"--port {broker.port} --site-name yard --box box1 --sender operator".split()

    assert main(["command", "ping", *where]) == 0
    assert main(["command", "set", *where, "--content", '{"camera": "cam9"}']) == 1
    assert main(["command", "set", *where, "--content", "camera"]) == 1

    said = capsys.readouterr()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert [answer["code"] for answer in answers] == ["ok", "unknown_camera"]
    assert "error: --content: camera, want a JSON object such as" in said.err
    with pytest.raises(SystemExit):
        main(["command", "ping", *where, "--box", "+"])
    assert "want one name: a command goes to one box" in capsys.readouterr().err


def test_a_picture_is_refused_where_pictures_are_off(operator: Ask) -> None:
    answer = operator("snapshot", camera="cam1")

    assert (answer.code, answer.reason) == (
        Code.NOT_AVAILABLE,
        "snapshots.enabled is false on this box",
    )


class Lens:
    """A camera that takes no picture: no frame comes, or too many were asked for."""

    def __init__(self, *, takes: bool) -> None:
        self._takes = takes

    def ask(self, _pad_index: int, _taker: object) -> bool:
        return self._takes


def test_a_picture_that_does_not_come_is_given_up_and_told(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with (
        Box(broker, tmp_path, camera=Lens(takes=True)) as box,
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
    ):
        accepted = ask(subscriber, LINE, "snapshot", {"camera": "cam2"})
        box.clock.ahead_s = 11
        ask(subscriber, LINE, "ping", {})
        received = next(subscriber.messages(TIMEOUT_S))

    told = parse(received.topic, received.payload)
    assert accepted.status is AnswerStatus.ACCEPTED
    assert isinstance(told, Answer)
    assert (told.status, told.reason) == (AnswerStatus.REJECTED, "no picture within 10 s")


def test_more_pictures_than_the_bound_are_refused(broker: PrivateBroker, tmp_path: Path) -> None:
    with (
        Box(broker, tmp_path, camera=Lens(takes=False)),
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
    ):
        refused = ask(subscriber, LINE, "snapshot", {"camera": "cam2"})

    assert refused.reason == "more than snapshots.max_per_minute"


def test_a_full_audit_is_put_aside_and_a_disk_that_fails_is_counted(
    box: Box, operator: Ask, tmp_path: Path
) -> None:
    file = tmp_path / AUDIT_OF_REST
    file.write_bytes(b"x" * (AUDIT_MAX_BYTES + 1))
    operator("ping")
    assert (tmp_path / "commands-without-effect.1.jsonl").stat().st_size == AUDIT_MAX_BYTES + 1
    assert len(file.read_text().splitlines()) == 1

    file.unlink()
    file.mkdir()

    assert operator("ping").code is Code.OK
    assert box.commander.unaudited == 1
