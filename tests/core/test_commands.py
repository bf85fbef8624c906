"""What may be asked of a box, and how a change is held to the rules of a site file."""

import json
from typing import Any

import pytest

from ropewatch.commands import (
    AcknowledgeRequest,
    Code,
    PingRequest,
    Refused,
    SetRequest,
    changed,
    parse_request,
)
from ropewatch.settings import SiteSettings
from tests.core.builders import site, site_data

ZONE = {"name": "roof", "kind": "include", "polygon": [[0, 0], [1, 0], [1, 1]]}


def request(verb: str, **content: Any) -> Any:
    return parse_request(verb, json.dumps({"request_id": "r1", **content}).encode())


def change(**content: Any) -> SetRequest:
    found = request("set", camera="cam1", **content)
    assert isinstance(found, SetRequest)
    return found


def refusal(verb: str, payload: bytes) -> tuple[Code, str]:
    with pytest.raises(Refused) as caught:
        parse_request(verb, payload)
    return caught.value.code, caught.value.reason


def test_commands_are_read_by_their_verb() -> None:
    assert request("ping") == PingRequest(request_id="r1")
    assert request("acknowledge", incident_id="01X") == AcknowledgeRequest(
        request_id="r1", incident_id="01X", note=""
    )


def test_what_cannot_be_read_is_refused_in_words() -> None:
    assert refusal("fly", b"{}") == (
        Code.UNKNOWN_VERB,
        "fly: unknown, want one of ping, snapshot, acknowledge, set, confirm",
    )
    assert refusal("ping", b"{")[1].startswith("not JSON: ")
    code, reason = refusal("ping", b"{}")
    assert (code, reason.partition(",")[0]) == (Code.MALFORMED, "request_id: missing")
    assert refusal("ping", b'{"request_id": "r1", "x": 1}') == (
        Code.MALFORMED,
        "x: unknown key, want one of request_id",
    )
    assert refusal("ping", b'{"request_id": "a b"}')[0] is Code.MALFORMED
    assert refusal("ping", b'{"request_id": "' + b"a" * 65 + b'"}')[0] is Code.MALFORMED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"decision": {"threshold": 1.5}},
            "decision.threshold: 1.5, want less than",
        ),
        ({"decision": {"threshold": None}}, "decision.threshold: nothing, want a number"),
        (
            {"decision": {"treshold": 0.5}},
            "decision.treshold: unknown key, did you mean",
        ),
        ({"zones": [ZONE | {"polygon": [[0, 0], [1, 1]]}]}, "zones.0.polygon: "),
        (
            {"zones": [ZONE | {"polygon": [[0, 0], [1, 0], [0.2, 1], [1, 1]]}]},
            "zones.0: polygon: edges [1, 0]-[0.2, 1] and [1, 1]-[0, 0] of zone roof meet",
        ),
        ({"confirm_within_s": 0}, "confirm_within_s: 0, want greater than or equal to 5"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_when_it_is_read(
    content: dict[str, Any], reason: str
) -> None:
    payload = json.dumps({"request_id": "r1", "camera": "cam1", **content}).encode()

    code, said = refusal("set", payload)

    assert code is Code.MALFORMED
    assert said.startswith(reason)


OVERRIDES = {"decision": {"open_after_s": 3}, "view": {"frozen_after_s": 60}}


def test_a_change_is_of_one_camera_and_leaves_what_it_does_not_name() -> None:
    data = site_data()
    data["sources"] = [
        {"id": "cam1", "uri": "a.mp4", "overrides": OVERRIDES},
        {"id": "cam2", "uri": "b.mp4"},
    ]
    before = SiteSettings.model_validate(data)

    after = changed(before, change(decision={"threshold": 0.9}, zones=[ZONE]))

    one, other = after.judging("cam1"), after.judging("cam2")
    assert (one.decision.threshold, one.decision.open_after_s) == (0.9, 3)
    assert one.view.frozen_after_s == 60
    assert [zone.name for zone in one.zones] == ["roof"]
    assert other == before.judging("cam2")
    assert after.digest() != before.digest()


def test_zones_stay_unless_they_are_given() -> None:
    first = changed(site(), change(zones=[ZONE]))

    second = changed(first, change(smoothing={"window_s": 2}))
    third = changed(second, change(zones=[]))

    assert [zone.name for zone in second.judging("cam1").zones] == ["roof"]
    assert second.judging("cam1").smoothing.window_s == 2
    assert third.judging("cam1").zones == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"decision": {"release_below": 0.9}},
            "sources.0.overrides.decision.release_below: 0.9, want at or below threshold 0.5",
        ),
        (
            {"smoothing": {"strategy": "window", "newest": 3}},
            "newest: 3 with strategy window",
        ),
        ({"zones": [ZONE, ZONE]}, "zones: name roof is used twice"),
    ],
)
def test_a_change_that_breaks_a_rule_of_the_site_is_refused(
    content: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Refused) as caught:
        changed(site(), change(**content))

    assert caught.value.code in {Code.INVALID_SETTING, Code.MALFORMED}
    assert reason in caught.value.reason


def test_a_camera_that_is_not_there_is_named_with_those_that_are() -> None:
    asked = parse_request("set", b'{"request_id": "r1", "camera": "cam9"}')
    assert isinstance(asked, SetRequest)

    with pytest.raises(Refused, match="camera: cam9, want one of cam1") as caught:
        changed(site(), asked)

    assert caught.value.code is Code.UNKNOWN_CAMERA
