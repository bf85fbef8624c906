"""Commands over a real mosquitto: asked as an operator would, answered by the runtime's parts."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

from deepstream import floods
from deepstream.changes import (
    AUDIT,
    AUDIT_MAX_BYTES,
    AUDIT_OF_REST,
    CHANGES,
    Audit,
    Changes,
)
from deepstream.clock import read_moment
from deepstream.commander import Camera, Commander
from deepstream.inbound import Inbound
from deepstream.lanes import Lane
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from deepstream.quota import STRANGERS, STRANGERS_BURST
from demo.broker import PrivateBroker
from ropewatch.asking import Line, ask
from ropewatch.cli import main
from ropewatch.client import Subscriber
from ropewatch.commands import EXPIRY_S, PACKET_MAX_BYTES, Answer, AnswerStatus, Code
from ropewatch.errors import BrokerError
from ropewatch.incidents import Acknowledgement, Phase
from ropewatch.moment import Moment
from ropewatch.reading import parse
from ropewatch.settings import SiteSettings
from ropewatch.wire import Wire
from tests.core.builders import site_data
from tests.deepstream.posts import incident_post, post, take_all
from tests.publishing import publish

pytestmark = pytest.mark.broker

LINE = Line("yard", "box1", "operator")
# How long to wait for what must come; nothing is measured against it.
TIMEOUT_S = 60.0
HOME = "ropewatch/v1/yard/box1"
ZONE = {"name": "roof", "kind": "include", "polygon": [[0, 0], [1, 0], [1, 1]]}


class Clock:
    """The machine's clock, put forward at will."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> Moment:
        now = read_moment()
        return replace(now, monotonic_ns=now.monotonic_ns + int(self.ahead_s * 1e9))


@dataclass
class Cameras:
    """Notes what it is asked to do; one incident is open."""

    site: SiteSettings
    followed: list[str] = field(default_factory=list)
    acknowledged: list[Acknowledgement] = field(default_factory=list)

    def follow(self, site: SiteSettings, camera: str) -> None:
        self.site = site
        self.followed.append(camera)

    def acknowledge(self, incident_id: str, acknowledgement: Acknowledgement) -> bool:
        if incident_id == "01OPEN":
            self.acknowledged.append(acknowledgement)
        return incident_id == "01OPEN"

    def threshold(self, camera: str) -> float:
        return self.site.judging(camera).decision.threshold


class Box:
    """The parts of a box that have to do with commands."""

    def __init__(
        self,
        broker: PrivateBroker,
        folder: Path,
        camera: Camera | None = None,
        **decision: Any,
    ) -> None:
        data = site_data()
        data["sources"] = [{"id": "cam1", "uri": "a.mp4"}, {"id": "cam2", "uri": "b.mp4"}]
        data["mqtt"] = {"host": broker.host, "port": broker.port, "require_broker": True}
        data["mqtt"]["commands"] = {"senders": ["operator", "deputy"]}
        data["decision"] |= decision
        self.base = SiteSettings.model_validate(data)
        self.folder = folder
        self.clock = Clock()
        self.changes = Changes(folder, self.base)
        self.cameras = Cameras(self.changes.applied())
        self.outbox = Outbox(folder, self.base.mqtt.outbox)
        wire = Wire("yard", "box1", self.outbox.boot_id)
        self.publisher = Publisher(
            self.base.mqtt, self.outbox, client_id="box-1", will=wire.will()
        )
        self.commander = Commander(
            self.cameras.site,
            wire,
            self.outbox,
            self.cameras,
            camera,
            changes=self.changes,
            audit=Audit(folder),
            clock=self.clock,
        )
        self.publisher.listen(self.commander)

    def __enter__(self) -> Self:
        self.commander.start()
        self.publisher.start()
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the broker knows what the box listens to, and has sent all that it had.

        Its word on a message comes behind both.
        """
        self.outbox.offer(post(0))
        assert self.outbox.drain(TIMEOUT_S) == 0

    def __exit__(self, *_: object) -> None:
        self.publisher.stop()
        self.commander.stop()
        self.outbox.close()


@pytest.fixture
def box(broker: PrivateBroker, tmp_path: Path) -> Iterator[Box]:
    with Box(broker, tmp_path) as made:
        yield made


Ask = Callable[..., Answer]


@pytest.fixture
def operator(broker: PrivateBroker, box: Box) -> Iterator[Ask]:
    with Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber:

        def asking(verb: str, **content: Any) -> Answer:
            return ask(subscriber, LINE, verb, content, timeout_s=TIMEOUT_S)

        yield asking


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def noted(folder: Path, name: str = AUDIT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


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
    until(lambda: box.outbox.waiting == 3)
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


def test_a_change_applies_at_once_to_its_camera_and_is_kept_when_confirmed(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with (
        Box(broker, tmp_path) as box,
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
    ):
        content = {"request_id": "c-1", "camera": "cam1", "decision": {"threshold": 0.9}}
        applied = ask(subscriber, LINE, "set", content)
        zones = {"camera": "cam2", "zones": [ZONE]}
        ask(subscriber, LINE, "set", zones)
        confirmed = ask(subscriber, LINE, "confirm", {"of": "c-1"})

        assert (applied.status, applied.code) == (AnswerStatus.APPLIED, Code.UNCONFIRMED)
        assert applied.confirm_within_s == 120
        assert applied.config_digest != box.base.digest()
        assert box.cameras.followed == ["cam1", "cam2"]
        assert (box.cameras.threshold("cam1"), box.cameras.threshold("cam2")) == (0.9, 0.5)
        assert confirmed.code is Code.CONFIRMED

    with Box(broker, tmp_path) as again:
        assert again.cameras.threshold("cam1") == 0.9
        # It was not confirmed.
        assert again.cameras.site.judging("cam2").zones == ()


def test_a_change_that_is_not_confirmed_is_taken_back_and_told(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with (
        Box(broker, tmp_path) as box,
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
    ):
        content = {"camera": "cam1", "decision": {"threshold": 0.9}, "confirm_within_s": 60}
        ask(subscriber, LINE, "set", content)
        box.clock.ahead_s = 59
        ask(subscriber, LINE, "ping", {})
        assert box.cameras.threshold("cam1") == 0.9

        box.clock.ahead_s = 61
        ask(subscriber, LINE, "ping", {})
        received = next(subscriber.messages(TIMEOUT_S))

        told = parse(received.topic, received.payload)
        assert isinstance(told, Answer)
        assert (told.status, told.code) == (AnswerStatus.REVERTED, Code.NOT_CONFIRMED_IN_TIME)
        assert told.config_digest == box.base.digest()
        assert box.cameras.threshold("cam1") == 0.5
        assert box.cameras.site == box.base


def test_one_change_of_a_camera_waits_at_a_time(box: Box, operator: Ask) -> None:
    operator("set", request_id="c-1", camera="cam1", decision={"threshold": 0.9})

    second = operator("set", camera="cam1", decision={"threshold": 0.8})
    other = operator("confirm", of="c-2")

    assert second.code is Code.CHANGE_PENDING
    assert "change c-1 is not confirmed yet" in (second.reason or "")
    assert (other.code, other.reason) == (
        Code.UNKNOWN_CHANGE,
        "of: c-2: no change of operator waits under that id",
    )
    assert box.cameras.threshold("cam1") == 0.9


def test_a_change_that_does_not_fit_changes_nothing(box: Box, operator: Ask) -> None:
    refused = operator("set", camera="cam1", decision={"release_below": 0.9})
    unknown = operator("set", camera="cam9", decision={"threshold": 0.9})

    assert (refused.status, refused.code) == (AnswerStatus.REJECTED, Code.INVALID_SETTING)
    assert "want at or below threshold 0.5" in (refused.reason or "")
    assert unknown.reason == "camera: cam9, want one of cam1, cam2"
    assert box.cameras.followed == []


def test_a_command_that_comes_twice_is_carried_out_once(box: Box, operator: Ask) -> None:
    first = operator("set", request_id="c-1", camera="cam1", decision={"threshold": 0.9})
    second = operator("set", request_id="c-1", camera="cam1", decision={"threshold": 0.9})

    assert second == first
    assert box.cameras.followed == ["cam1"]


def test_an_id_is_one_commands_and_free_again_after_a_no(box: Box, operator: Ask) -> None:
    operator("set", request_id="c-1", camera="cam1", decision={"threshold": 0.9})

    taken = operator("confirm", request_id="c-1", of="c-1")
    rejected = operator("acknowledge", request_id="c-2", incident_id="01GONE")
    corrected = operator("acknowledge", request_id="c-2", incident_id="01OPEN")

    assert (taken.code, taken.reason) == (
        Code.MALFORMED,
        "request_id: c-1: another command (set) had it, want one of its own",
    )
    assert (rejected.status, corrected.status) == (AnswerStatus.REJECTED, AnswerStatus.ACCEPTED)


def test_who_asks_again_is_told_what_became_of_it(box: Box, operator: Ask) -> None:
    first = {"request_id": "c-1", "camera": "cam1", "decision": {"threshold": 0.9}}
    second = {"request_id": "c-2", "camera": "cam2", "decision": {"threshold": 0.8}}
    operator("set", **first)
    operator("set", **second)
    operator("confirm", of="c-1")
    box.clock.ahead_s = 121

    until(lambda: operator("set", **second).status is AnswerStatus.REVERTED)
    assert operator("set", **first).code is Code.CONFIRMED
    assert operator("confirm", of="c-1").code is Code.CONFIRMED
    assert operator("confirm", of="c-2").code is Code.UNKNOWN_CHANGE
    assert box.cameras.followed == ["cam1", "cam2", "cam2"]


def test_a_change_is_confirmed_by_who_has_asked_for_it(broker: PrivateBroker, box: Box) -> None:
    deputy = replace(LINE, sender="deputy")
    with Subscriber(broker.host, broker.port, (LINE.answers, deputy.answers)) as subscriber:
        for line, camera in ((LINE, "cam1"), (deputy, "cam2")):
            content = {"request_id": "c-1", "camera": camera, "decision": {"threshold": 0.9}}
            ask(subscriber, line, "set", content)
        ask(subscriber, LINE, "set", {"request_id": "c-2", "camera": "cam1"})

        foreign = ask(subscriber, deputy, "confirm", {"of": "c-2"})
        own = ask(subscriber, deputy, "confirm", {"of": "c-1"})

    assert (foreign.code, own.code) == (Code.UNKNOWN_CHANGE, Code.CONFIRMED)
    assert list(json.loads((box.folder / CHANGES).read_text())) == ["cam2"]


def test_a_command_that_comes_again_after_a_restart_is_not_carried_out_again(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    change = {"request_id": "c-1", "camera": "cam1", "decision": {"threshold": 0.9}}
    trial = {"request_id": "c-2", "camera": "cam2", "decision": {"threshold": 0.8}}
    with Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber:
        with Box(broker, tmp_path):
            ask(subscriber, LINE, "set", change)
            ask(subscriber, LINE, "confirm", {"request_id": "c-3", "of": "c-1"})
            ask(subscriber, LINE, "set", trial)
        with Box(broker, tmp_path) as again:
            told = parse(LINE.answers, next(subscriber.messages(TIMEOUT_S)).payload)
            answers = [
                ask(subscriber, LINE, "set", change),
                ask(subscriber, LINE, "confirm", {"request_id": "c-3", "of": "c-1"}),
                ask(subscriber, LINE, "set", trial),
            ]

    assert isinstance(told, Answer)
    assert (told.request_id, told.status, told.reason) == (
        "c-2",
        AnswerStatus.REVERTED,
        "the box was stopped before it was confirmed",
    )
    assert told.config_digest == again.cameras.site.digest()
    assert [answer.code for answer in answers] == [
        Code.CONFIRMED,
        Code.CONFIRMED,
        Code.NOT_CONFIRMED_IN_TIME,
    ]
    assert again.cameras.followed == []


def test_a_change_that_was_kept_just_before_a_kill_is_not_called_taken_back(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    change = {"request_id": "c-1", "camera": "cam1", "decision": {"threshold": 0.9}}
    with Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber:
        with Box(broker, tmp_path) as box:
            ask(subscriber, LINE, "set", change)
            box.changes.keep(box.cameras.site)
        with Box(broker, tmp_path):
            confirmed = ask(subscriber, LINE, "confirm", {"of": "c-1"})

    assert confirmed.code is Code.CONFIRMED


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


def test_a_kept_change_gives_way_to_an_edited_site_file(
    broker: PrivateBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Box(broker, tmp_path),
        Subscriber(broker.host, broker.port, (LINE.answers,)) as subscriber,
    ):
        content = {"request_id": "c-1", "camera": "cam1", "decision": {"threshold": 0.9}}
        ask(subscriber, LINE, "set", content)
        ask(subscriber, LINE, "confirm", {"of": "c-1"})

    edited = Box(broker, tmp_path, threshold=0.3)

    assert edited.cameras.threshold("cam1") == 0.3
    assert "change not applied, the site file is another camera=cam1" in caplog.text


@pytest.mark.parametrize("text", ["{", "[]", '{"cam1": 1}', '{"cam9": {"base": {}}}'])
def test_changes_that_cannot_be_read_leave_the_site_as_its_file_has_it(
    text: str, broker: PrivateBroker, tmp_path: Path
) -> None:
    (tmp_path / CHANGES).write_text(text)

    box = Box(broker, tmp_path)

    assert box.cameras.site == box.base


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
    until(lambda: box.commander.dropped > 100)
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
        until(box.publisher.troubles)
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
        until(lambda: not box.publisher.troubles())
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

    until(lambda: box.commander.dropped == 180 - STRANGERS_BURST)
    until(lambda: len(noted(tmp_path, AUDIT_OF_REST)) == STRANGERS_BURST)
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
        until((tmp_path / AUDIT_OF_REST).exists)

    assert noted(tmp_path, AUDIT_OF_REST)[0]["reason"].startswith("the box came to it after 35 s")
    assert box.cameras.acknowledged == []
