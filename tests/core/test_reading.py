import functools
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ropewatch.decision import RopeState
from ropewatch.listen import describe
from ropewatch.moment import ClockSource, ClockWatch, Moment
from ropewatch.payloads import ClockCorrection, ClockMessage, IncidentMessage
from ropewatch.reading import corrected_time, parse, parse_incident
from ropewatch.telemetry_payloads import Telemetry
from ropewatch.wire import Message, Wire
from tests.core.incident_messages import changed
from tests.core.test_wire import START

WIRE = Wire(site="yard", box="box1", boot_id="01BOOT")
S = 1_000_000_000
# The box believes that it is 1970, until a time server tells it otherwise in two steps.
STARTED = datetime(2026, 11, 21, 8, 0, 0, tzinfo=timezone.utc)
STEPS_S = {100: STARTED.timestamp() - 3600, 200: 3600}


def _moment(monotonic_s: float) -> Moment:
    unix_s = monotonic_s + sum(step for at_s, step in STEPS_S.items() if monotonic_s >= at_s)
    synced = monotonic_s >= 200
    return Moment(int(unix_s * S), int(monotonic_s * S), ClockSource.KERNEL, synced)


def _corrections(wire: Wire = WIRE) -> list[ClockCorrection]:
    """Return what a box tells that reads its clocks every second."""
    watch = ClockWatch(_moment(0))
    seen = [found for second in range(300) if (found := watch.look(_moment(second))) is not None]
    told = []
    for number, correction in enumerate(seen, start=1):
        message = wire.clock_correction(correction, number=number)
        parsed = parse(message.topic, message.payload)
        assert isinstance(parsed, ClockMessage)
        told.append(parsed.data)
    return told


@pytest.mark.parametrize("monotonic_s", [0, 99.5, 100, 150.25, 199.999, 200, 290])
def test_earlier_times_are_right_after_all_corrections_whatever_the_clock_said_then(
    monotonic_s: float,
) -> None:
    message = WIRE.incident(START, sequence=1, now=_moment(monotonic_s))

    time = corrected_time(parse_incident(message.payload), _corrections())

    assert len(_corrections()) == 2
    assert time.timestamp() == pytest.approx(STARTED.timestamp() + monotonic_s, abs=2e-3)


def test_corrections_of_another_run_or_box_are_not_taken() -> None:
    message = parse_incident(WIRE.incident(START, sequence=1, now=_moment(5)).payload)
    others = _corrections(replace(WIRE, boot_id="02BOOT")) + _corrections(replace(WIRE, box="b2"))

    assert corrected_time(message, others).year == 1970
    assert corrected_time(message, []).year == 1970


def _said_on(message: Message, topic: str) -> str:
    with pytest.raises(ValueError, match=r": ") as caught:
        parse(topic, message.payload)
    return str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        WIRE.incident(START, sequence=1, now=_moment(5)),
        WIRE.will(),
        WIRE.camera_status("gate", now=_moment(5)),
        WIRE.camera_state("gate", now=_moment(5), open_incidents=(), safe=0, unsafe=1, unknown=0),
    ],
    ids=lambda message: message.topic.rpartition("/")[2],
)
def test_whoever_writes_to_the_topic_of_another_is_not_believed(message: Message) -> None:
    levels = {"yard": "site", "box1": "box", "gate": "camera"}
    named = {name: level for name, level in levels.items() if f"/{name}/" in message.topic}

    assert parse(message.topic, message.payload) is not None
    for name, level in named.items():
        foreign = message.topic.replace(f"/{name}/", "/other/")
        assert f"{level}: '{name}', want 'other' as in its topic" in _said_on(message, foreign)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "box1:01BOOT:2"),
        ("source", "/yard/box1/roof"),
        ("subject", "other"),
        ("type", "io.ropewatch.incident.end.v1"),
    ],
)
def test_an_envelope_that_is_not_that_of_its_data_is_not_believed(field: str, value: str) -> None:
    sent = WIRE.incident(START, sequence=1, now=_moment(5))
    content = {**json.loads(sent.payload), field: value}

    with pytest.raises(ValueError, match=rf"incident: {field}: '{value}', want '.*' as in data"):
        parse(sent.topic, json.dumps(content).encode())


def test_a_correction_under_the_id_of_another_is_not_believed() -> None:
    correction = ClockWatch(_moment(0)).look(_moment(150))
    assert correction is not None
    sent = WIRE.clock_correction(correction, number=3)

    assert parse(sent.topic, sent.payload) is not None
    with pytest.raises(ValueError, match=r"clock: id: 'box1:01BOOT:clock:4', want '.*:3' as in"):
        parse(sent.topic, sent.payload.replace(b"clock:3", b"clock:4"))


def test_what_a_later_minor_version_adds_is_passed_over_and_its_words_hide_no_alert() -> None:
    clock = {"source": "ptp", "synced": True, "est_error_ms": 1, "later": {"text": [{}]}}
    sent = WIRE.incident(START, sequence=1, now=_moment(5))

    read = parse(sent.topic, changed(sent, state="hanging", clock=clock, later=[{}]).payload)

    assert isinstance(read, IncidentMessage)
    assert read.data.state is RopeState.UNKNOWN
    assert read.data.clock is not None
    assert read.data.clock.source is ClockSource.NONE
    assert read.data.sequence == 1


def test_telemetry_is_read_camera_by_camera() -> None:
    content = {
        "version": "1.9",
        "site": "yard",
        "box": "box1",
        "boot_id": "01BOOT",
        "time": "2026-11-21T05:00:00.000000Z",
        "monotonic_ms": 1,
        "interval_s": 10,
        "cameras": {
            name: {"frames_per_s": 5, "people_per_frame": 1, "scores_per_s": 2, "later": 1}
            for name in ("gate", "roof")
        },
        "delivery": {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None},
        "queue": {"messages": 0, "bytes": 0},
        "counters": {"dropped": 1},
        "temperatures_c": {},
        "disk_free_bytes": None,
        "later": {},
    }

    read = parse("ropewatch/v1/yard/box1/telemetry", json.dumps(content).encode())

    assert isinstance(read, Telemetry)
    assert read.cameras["roof"].frames_per_s == 5
    assert list(read.cameras) == ["gate", "roof"]
    assert read.counters == {"dropped": 1}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(number: str) -> None:
    message = changed(WIRE.incident(START, sequence=1, now=_moment(5)), evidence_age_s=12345.5)
    broken = message.payload.replace(b"12345.5", number.encode())

    assert "incident: " in _said_on(replace(message, payload=broken), message.topic)


@pytest.mark.parametrize("length", [10, 10_000_000])
def test_what_is_said_of_a_huge_message_is_short(length: int) -> None:
    message = changed(WIRE.incident(START, sequence=1, now=_moment(5)), phase="x" * length)

    assert len(_said_on(message, message.topic)) < 300


ODD: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "x",
    0,
    -1,
    1.5,
    True,
    2**63,
    [[]],
    [{}],
    {"a": 1},
    ["a"],
    "\0",
    "é" * 70,
)


def _places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, list):
        items = enumerate(content[:1])
    for key, each in items:
        yield from _places(each, (*place, key))


def test_whatever_stands_anywhere_is_read_or_refused_and_breaks_nothing() -> None:
    sent = WIRE.incident(START, sequence=1, now=_moment(5))
    places = [place for place in _places(json.loads(sent.payload)) if place]
    refused = 0

    for place, odd in itertools.product(places, ODD):
        content = json.loads(sent.payload)
        holder = functools.reduce(lambda held, key: held[key], place[:-1], content)
        holder[place[-1]] = odd
        try:
            describe(parse_incident(json.dumps(content).encode()))
        except ValueError:
            refused += 1

    assert len(places) > 50
    assert refused > len(places) * len(ODD) // 2
