"""Who is photographed, how often, and what is counted when it does not come to that."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from deepstream.meta import FrameMeta
from deepstream.plan import ProbeSpec, make_plan
from deepstream.snapshots import MAX_FRAMES_WANTED, MAX_WAITING, Snapshots
from ropewatch.incidents import EndReason, Phase, Snapshot
from ropewatch.settings import SnapshotSettings
from tests.deepstream.shots import jpeg_of
from tests.incident_events import START
from tests.sites import site

JPEG = jpeg_of(np.full((36, 64, 3), 128, np.uint8))


class Encoder:
    """Gives the same JPEG for every frame, or raises."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, int]] = []
        self.jpeg_bytes: bytes | Exception = JPEG
        self.closed = False

    def jpeg(self, frame: FrameMeta) -> bytes:
        self.keys.append(frame.key)
        if isinstance(self.jpeg_bytes, Exception):
            raise self.jpeg_bytes
        return self.jpeg_bytes

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, **settings: int) -> None:
        self.encoder, self.now_s, self.is_settled = Encoder(), 0.0, True
        self.snapshots = Snapshots(
            self.encoder,
            SnapshotSettings(**settings),
            sources=2,
            settle=lambda: self.is_settled,
            clock=lambda: self.now_s,
        )

    def starts(self, pad_index: int, frame_num: int, *incident_ids: str) -> None:
        events = [replace(START, incident_id=name) for name in incident_ids]
        self.snapshots.want(pad_index, frame_num, events)

    def passes(self, pad_index: int, frame_num: int) -> None:
        self.snapshots(FrameMeta(pad_index, frame_num, 0, None, True, 0, None))

    def work(self) -> None:
        self.snapshots.start()
        self.snapshots.stop()


def test_only_a_frame_in_which_an_incident_starts_is_encoded() -> None:
    bench = Bench()
    end = replace(START, phase=Phase.END, end_reason=EndReason.ROPE_SEEN, duration_s=1.0)

    bench.snapshots.want(0, 7, [replace(START, phase=Phase.UPDATE), end])
    bench.starts(1, 8, "a")
    for pad_index in (0, 1):
        for frame_num in (7, 8, 9):
            bench.passes(pad_index, frame_num)

    assert bench.encoder.keys == [(1, 8)]


def test_no_frame_is_encoded_while_its_start_is_not_on_disk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.is_settled = False

    bench.starts(0, 8, "a")
    bench.passes(0, 8)

    assert bench.encoder.keys == []
    assert bench.snapshots.missed == 1
    assert "the start was not on disk in time" in caplog.text


def test_a_picture_is_told_once_with_its_digest_and_taken_once() -> None:
    bench = Bench()
    bench.starts(1, 8, "a")
    bench.passes(1, 8)
    bench.work()

    ((incident_id, snapshot),) = bench.snapshots.ready(1)
    jpeg = bench.snapshots.take("a")

    assert jpeg is not None
    assert (incident_id, snapshot) == (
        "a",
        Snapshot(hashlib.sha256(jpeg).hexdigest(), len(jpeg), (64, 36), START.pts_ns),
    )
    assert bench.snapshots.ready(0) == bench.snapshots.ready(1) == []
    assert bench.snapshots.take("a") is None
    assert (bench.snapshots.taken, bench.snapshots.missed) == (1, 0)


def test_people_who_unclip_together_share_one_encoded_frame_and_each_has_a_picture() -> None:
    bench = Bench()
    bench.starts(0, 8, "a", "b", "c")
    bench.passes(0, 8)
    bench.work()

    assert bench.encoder.keys == [(0, 8)]
    assert [incident_id for incident_id, _ in bench.snapshots.ready(0)] == ["a", "b", "c"]


def test_a_camera_has_its_own_bound_for_each_minute() -> None:
    bench = Bench(max_per_minute=2)
    for number, now_s in enumerate((0.0, 1.0, 2.0, 60.5)):
        bench.now_s = now_s
        bench.starts(0, number, f"a{number}")
        bench.passes(0, number)
    bench.starts(1, 0, "b")
    bench.passes(1, 0)

    # The third is over the bound; at 60.5 s the first is more than a minute ago.
    assert bench.encoder.keys == [(0, 0), (0, 1), (0, 3), (1, 0)]
    assert (bench.snapshots.over_limit, bench.snapshots.missed) == (1, 0)


def test_what_the_worker_has_no_room_for_is_counted() -> None:
    bench = Bench()
    bench.starts(0, 0, *(f"a{n}" for n in range(MAX_WAITING + 3)))
    bench.passes(0, 0)
    bench.work()

    assert len(bench.snapshots.ready(0)) == MAX_WAITING
    assert (bench.snapshots.taken, bench.snapshots.missed) == (MAX_WAITING, 3)


def test_frames_that_never_come_are_forgotten_and_counted() -> None:
    bench = Bench(max_per_minute=600)
    for number in range(MAX_FRAMES_WANTED + 2):
        bench.starts(0, number, f"a{number}")
    bench.passes(0, 0)
    bench.passes(0, 2)

    assert bench.encoder.keys == [(0, 2)]
    assert bench.snapshots.missed == 2


@pytest.mark.parametrize("broken", [RuntimeError("no JPEG"), b"this is no JPEG"])
def test_a_broken_picture_is_counted_and_the_next_one_comes(
    broken: bytes | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    for number, answer in enumerate((broken, broken, JPEG)):
        bench.encoder.jpeg_bytes = answer
        bench.starts(0, number, f"a{number}")
        bench.passes(0, number)
    bench.work()

    assert [incident_id for incident_id, _ in bench.snapshots.ready(0)] == ["a2"]
    assert bench.snapshots.missed == 2
    assert len([r for r in caplog.records if "logged once" in r.message]) == 1


def test_a_picture_of_an_incident_that_is_over_is_counted_and_gone() -> None:
    bench = Bench()
    bench.starts(0, 0, "a")
    bench.passes(0, 0)
    bench.work()

    bench.snapshots.discard("a")

    assert bench.snapshots.take("a") is None
    assert bench.snapshots.missed == 1


def test_nobody_waits_for_the_worker() -> None:
    bench = Bench(max_per_minute=600)

    # No worker runs: who waited for it would wait for ever.
    for number in range(200):
        bench.starts(0, number, f"a{number}")
        bench.passes(0, number)
        bench.snapshots.ready(0)

    assert bench.snapshots.missed == 200 - MAX_WAITING


def test_the_encoder_is_waited_for_behind_a_queue_and_before_the_tee() -> None:
    cameras = [{"id": "a", "uri": "/a.mp4"}]
    on = make_plan(site(cameras, snapshots={"enabled": True}, video={"annotated_file": "/a.mp4"}))
    off = make_plan(site(cameras))

    assert [p for p in on.probes if p.stage == "snapshot"] == [
        ProbeSpec("snapshot", "queue-out", "src")
    ]
    names = [element.name for element in on.elements]
    assert names.index("sgie") < names.index("queue-out") < names.index("split")
    assert on.element("queue-out").factory == "queue"
    assert [p for p in off.probes if p.stage == "snapshot"] == []


def test_close_lets_go_of_the_encoder() -> None:
    bench = Bench()

    bench.snapshots.close()

    assert bench.encoder.closed
