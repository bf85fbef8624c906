"""Settings changed over a real mosquitto: tried, confirmed, taken back, kept over restarts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deepstream.changes import CHANGES
from demo.broker import PrivateBroker
from ropewatch.asking import ask
from ropewatch.client import Subscriber
from ropewatch.commands import Answer, AnswerStatus, Code, with_source
from ropewatch.judging import OverrideSettings
from ropewatch.reading import parse
from tests.deepstream.commanded import LINE, ZONE, Ask, Box
from tests.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.broker


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

    wait_until(lambda: operator("set", **second).status is AnswerStatus.REVERTED)
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
            # The digest of its answer is that of both changes, and only one of them is kept.
            ask(subscriber, LINE, "set", {"camera": "cam2", "zones": [ZONE]})
            ask(subscriber, LINE, "set", change)
            kept = with_source(box.cameras.site, "cam2", OverrideSettings(), ())
            box.changes.keep(kept, "cam1", sender="operator", request_id="c-1")
        with Box(broker, tmp_path):
            confirmed = ask(subscriber, LINE, "confirm", {"of": "c-1"})

    assert confirmed.code is Code.CONFIRMED


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
