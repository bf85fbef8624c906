import json
from dataclasses import replace
from typing import Any

import pytest

from deepstream.dispatcher import Decided
from deepstream.lanes import Lane, Post
from deepstream.reporter import Reporter
from ropewatch.incidents import EndReason, Phase, Snapshot
from ropewatch.moment import ClockSource, Moment
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import BoxLtwh, FrameObservation, PersonObservation
from ropewatch.wire import Message, Wire
from tests.incident_events import incident_event
from tests.sites import site


class Outlet:
    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.offers: list[tuple[Post, ...]] = []
        self.left: dict[str, bytes] = {}

    @property
    def messages(self) -> list[Message]:
        return [post.message for post in self.posts]

    def offer(self, *posts: Post) -> None:
        self.posts.extend(posts)
        self.offers += [posts] if posts else []

    def left_open(self) -> dict[str, bytes]:
        left, self.left = self.left, {}
        return left

    def of(self, suffix: str) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in self.messages if m.topic.endswith(suffix)]


HERE: BoxLtwh = (10.0, 10.0, 20.0, 40.0)
OUTSIDE: BoxLtwh = (400.0, 10.0, 20.0, 40.0)


class Bench:
    """One camera's monitor in front of a reporter, with a clock to turn."""

    def __init__(self) -> None:
        self.outlet = Outlet()
        self.now_s = 100.0
        self.unix_s = 1_800_000_000.0
        self.synced: bool | None = False
        self.pictures: dict[str, bytes] = {}
        self.reporter = Reporter(
            Wire(site="s", box="b", boot_id="boot"),
            self.outlet,
            backend="cpu",
            versions={"detector": "onnx 0123456789ab"},
            status_every_s=30,
            clock=self.moment,
            pictures=lambda name: self.pictures.pop(name, None),
        )
        decision = {"threshold": 0.5, "open_after_s": 0, "close_after_s": 0, "update_every_s": 1}
        zone = {"name": "left", "kind": "include", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
        settings = site([{"id": "cam", "uri": "/a.mp4", "zones": [zone]}], decision=decision)
        ids = iter(f"id-{n}" for n in range(1000))
        self.monitor = SourceMonitor("cam", settings, lambda: next(ids))

    def moment(self) -> Moment:
        unix_ns, monotonic_ns = int((self.unix_s + self.now_s) * 1e9), int(self.now_s * 1e9)
        return Moment(unix_ns, monotonic_ns, ClockSource.KERNEL, self.synced)

    def see(self, number: int, score: float | None, *boxes: BoxLtwh) -> None:
        persons = tuple(
            PersonObservation(track, box, 0.9, score)
            for track, box in enumerate(boxes or (HERE,), start=1)
        )
        pts_ns = number * 100_000_000
        frame = FrameObservation("cam", number, pts_ns, None, (640, 360), True, persons)
        result = self.monitor.update(frame)
        self.reporter.take(Decided("cam", (frame, result), result.events))
        self.now_s += 0.1

    def close(self) -> None:
        events = self.monitor.close(EndReason.SHUTDOWN, 3_000_000_000)
        self.reporter.take(Decided("cam", None, events, closed=True))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reporter_numbers_its_incident_messages(bench: Bench) -> None:
    for number in range(25):
        bench.see(number, 0.9)
    bench.close()

    data = [message["data"] for message in bench.outlet.of("/incident")]
    assert [row["sequence"] for row in data] == list(range(1, len(data) + 1))
    assert [row["phase"] for row in data] == ["start", "update", "update", "end"]
    assert bench.reporter.incidents == 1


def test_reporter_lets_only_updates_be_dropped_and_says_which_incident_ends(bench: Bench) -> None:
    for number in range(25):
        bench.see(number, 0.9)
    bench.close()

    posts = [post for post in bench.outlet.posts if post.incident_id is not None]
    assert [(post.lane, post.incident_id, post.is_end) for post in posts] == [
        (Lane.ALERT, "id-0", False),
        (Lane.UPDATE, "id-0", False),
        (Lane.UPDATE, "id-0", False),
        (Lane.ALERT, "id-0", True),
    ]
    assert {post.lane for post in bench.outlet.posts if post not in posts} == {Lane.STATE}


PICTURE = Snapshot("ab" * 32, 4, (640, 360), 0)


def test_reporter_posts_a_picture_once_beside_the_update_that_tells_its_digest(
    bench: Bench,
) -> None:
    bench.see(0, 0.9)
    bench.pictures["id-0"] = b"jpeg"
    bench.monitor.attach("id-0", PICTURE)
    bench.see(1, 0.9)
    bench.close()

    told = [data["data"]["snapshot"] for data in bench.outlet.of("/incident")]
    (posted,) = [posts for posts in bench.outlet.offers if posts[-1].lane is Lane.SNAPSHOT]
    assert [each and each["sha256"] for each in told] == [None, PICTURE.sha256, PICTURE.sha256]
    assert [post.lane for post in posted] == [Lane.UPDATE, Lane.SNAPSHOT]
    assert posted[1].message.topic == told[1]["topic"]
    assert posted[1].message.payload == b"jpeg"
    assert bench.pictures == {}


def test_reporter_lets_an_end_go_before_the_picture_that_it_tells_of(bench: Bench) -> None:
    bench.see(0, 0.9)
    bench.pictures["id-0"] = b"jpeg"
    bench.monitor.attach("id-0", PICTURE)
    bench.close()

    lanes = [[post.lane for post in posts] for posts in bench.outlet.offers]
    assert lanes.index([Lane.SNAPSHOT]) > lanes.index([Lane.ALERT])


def test_reporter_ends_what_an_earlier_run_has_left_open(bench: Bench) -> None:
    bench.see(0, 0.9)
    bench.outlet.left = {"id-0": bench.outlet.posts[0].message.payload}
    bench.outlet.posts.clear()

    bench.reporter.hello(["cam"])
    bench.see(1, 0.9)

    end = bench.outlet.posts[0]
    assert (end.lane, end.incident_id, end.is_end) == (Lane.ALERT, "id-0", True)
    data = json.loads(end.message.payload)["data"]
    assert (data["end_reason"], data["revision"], data["sequence"]) == ("restart_recovery", 2, 2)


def test_reporter_counts_what_it_cannot_end(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.outlet.left = {"id-7": b"{}"}

    bench.reporter.hello(["cam"])

    assert bench.reporter.unrecovered == 1
    assert bench.outlet.of("/incident") == []
    assert "incident stays without an end id=id-7" in caplog.text


def test_reporter_retains_what_is_open_now(bench: Bench) -> None:
    bench.see(0, 0.9)

    states = bench.outlet.of("/camera/cam/state")
    assert states[0]["open_incidents"] == ["id-0"]

    for number in range(1, 30):
        bench.see(number, 0.1)

    last = bench.outlet.of("/camera/cam/state")[-1]
    assert last["open_incidents"] == []
    assert last["counts"] == {"safe": 1, "unsafe": 0, "unknown": 0, "unknown_lasting": 0}


def test_reporter_does_not_repeat_a_state_that_has_not_changed(bench: Bench) -> None:
    for number in range(100):
        bench.see(number, 0.1)

    assert len(bench.outlet.of("/camera/cam/state")) == 1


def test_the_retained_counts_are_those_of_the_incident_s_own_frame(bench: Bench) -> None:
    bench.see(0, 0.1)
    bench.see(1, 0.9)

    last = bench.outlet.of("/camera/cam/state")[-1]
    assert last["open_incidents"] == ["id-0"]
    assert last["counts"] == {"safe": 0, "unsafe": 1, "unknown": 0, "unknown_lasting": 0}


def test_people_outside_the_zones_are_not_counted_and_lasting_doubt_is(bench: Bench) -> None:
    for number in range(120):
        bench.see(number, None, OUTSIDE, HERE)

    last = bench.outlet.of("/camera/cam/state")[-1]
    assert last["counts"] == {"safe": 0, "unsafe": 0, "unknown": 1, "unknown_lasting": 1}


def test_a_closed_camera_counts_nobody(bench: Bench) -> None:
    bench.see(0, 0.9)

    bench.close()

    last = bench.outlet.of("/camera/cam/state")[-1]
    assert last["open_incidents"] == []
    assert last["counts"] == {"safe": 0, "unsafe": 0, "unknown": 0, "unknown_lasting": 0}


def test_an_incident_is_retained_at_once_though_its_frame_was_dropped(bench: Bench) -> None:
    bench.see(0, 0.1)
    start = incident_event("id-7", Phase.START)

    bench.reporter.take(Decided("cam", None, (replace(start, source_id="cam"),)))

    last = bench.outlet.of("/camera/cam/state")[-1]
    assert last["open_incidents"] == ["id-7"]
    assert last["counts"] == {"safe": 1, "unsafe": 0, "unknown": 0, "unknown_lasting": 0}


def test_hello_clears_what_a_killed_run_has_left_open(bench: Bench) -> None:
    bench.reporter.hello(["cam"])

    assert bench.outlet.of("/camera/cam/state")[0]["open_incidents"] == []


def test_hello_says_that_a_camera_of_an_earlier_run_is_not_watched(bench: Bench) -> None:
    bench.reporter.hello(["cam"], gone=["old"])

    assert bench.outlet.of("/camera/old/state")[0]["open_incidents"] == []
    assert bench.outlet.of("/camera/old/status")[0]["reason"] == "stopped"
    assert all(message.retain for message in bench.outlet.messages)


def test_status_is_sent_on_change_and_every_so_often(bench: Bench) -> None:
    for reasons in ((), (), ("camera cam lost",), ("camera cam lost",)):
        bench.reporter.box_status(reasons, {})
    bench.now_s += 30
    bench.reporter.box_status(("camera cam lost",), {})

    statuses = [message["status"] for message in bench.outlet.of("b/status")]
    assert statuses == ["online", "degraded", "degraded"]
    assert bench.outlet.of("b/status")[0]["versions"]["detector"] == "onnx 0123456789ab"


def test_goodbye_is_offline_and_no_camera_is_watched(bench: Bench) -> None:
    bench.reporter.goodbye(["cam"], {"failed_frames": 2})

    assert bench.outlet.of("b/status")[0]["status"] == "offline"
    assert bench.outlet.of("b/status")[0]["counters"] == {"failed_frames": 2}
    assert bench.outlet.of("/camera/cam/status")[0]["reason"] == "stopped"
    assert all(message.retain for message in bench.outlet.messages)


def test_reporter_tells_how_wrong_earlier_times_were_before_it_uses_the_new_one(
    bench: Bench,
) -> None:
    bench.see(0, 0.9)
    bench.unix_s += 3 * 365 * 86_400
    bench.synced = True
    for number in range(1, 12):
        bench.see(number, 0.9)

    topics = [m.topic.rpartition("/")[2] for m in bench.outlet.messages]
    assert topics.index("clock") < topics.index("incident", topics.index("incident") + 1)
    (correction,) = bench.outlet.of("b/clock")
    (post,) = [post for post in bench.outlet.posts if post.message.topic.endswith("/clock")]
    assert (post.lane, post.incident_id) == (Lane.ALERT, None)
    assert correction["data"]["reason"] == "stepped"
    assert correction["data"]["offset_ms"] == pytest.approx(3 * 365 * 86_400_000)
    before, after = bench.outlet.of("/incident")
    assert before["data"]["monotonic_ms"] < correction["data"]["monotonic_ms"]
    assert after["data"]["monotonic_ms"] >= correction["data"]["monotonic_ms"]
    assert (before["data"]["clock"]["synced"], after["data"]["clock"]["synced"]) == (False, True)


def test_reporter_numbers_corrections_and_notices_them_without_incidents(bench: Bench) -> None:
    bench.reporter.box_status((), {})
    bench.synced = True
    bench.reporter.box_status((), {})
    bench.unix_s -= 5
    bench.reporter.box_status((), {})

    rows = [message["data"] for message in bench.outlet.of("b/clock")]
    assert [(row["number"], row["reason"]) for row in rows] == [(1, "synced"), (2, "stepped")]
    assert rows[0]["offset_ms"] == 0
    assert rows[1]["offset_ms"] == pytest.approx(-5000)


def test_hello_tells_home_assistant_of_each_camera_if_it_is_asked_to() -> None:
    outlet = Outlet()
    reporter = Reporter(
        Wire(site="s", box="b", boot_id="boot"),
        outlet,
        backend="cpu",
        versions={},
        status_every_s=30,
        discovery_prefix="home",
    )

    reporter.hello(["cam", "gate"])

    told = [post for post in outlet.posts if post.message.topic.startswith("home/")]
    assert [post.message.topic for post in told] == [
        "home/device/ropewatch__s__b/cam/config",
        "home/device/ropewatch__s__b/gate/config",
    ]
    assert {post.lane for post in told} == {Lane.STATE}
