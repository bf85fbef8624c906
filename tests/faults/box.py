"""A box under load: everything from decision to broker as it is, and people who were never filmed.

Keeps a diary for the judge: a line for what is about to be handed over, and one for what was.
What a process has written is in the file even if it is killed a moment later.
"""

import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType

from deepstream.clock import read_moment
from deepstream.dispatcher import Decided, Dispatcher
from deepstream.ids import IncidentIds
from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from deepstream.reporter import Reporter
from demo.crowd import Crowd
from ropewatch.incidents import EndReason, IncidentEvent, Phase, Snapshot
from ropewatch.moment import Moment
from ropewatch.monitor import SourceMonitor
from ropewatch.settings import SiteSettings
from ropewatch.wire import Wire
from tests.sites import site

FPS = 10.0
STATUS_EVERY_S = 0.5
# The publisher's longest pause, and what has piled up.
DRAIN_TIMEOUT_S = 60.0
JPEG_WH_PX = (640, 360)


@dataclass(frozen=True, slots=True)
class Load:
    """What a box has to do.

    Attributes:
        state: its folder.
        diary: a file that nobody has written yet.
        host: of the broker.
        port: of the broker.
        seed: another one gives other people.
        cameras: how many.
        people: before each camera.
        pause_s: at most so long between frames, in the mean half of it.
        changing: share of people who change in a frame.
        picture_bytes: size of an incident's picture; half of the incidents have one.
        clock_file: seconds to add to the wall clock, read each time; None for the machine's clock.
        watches: False ends the box as soon as it has delivered what was left.
        username: at the broker; the password is the same word.
    """

    state: str
    diary: str
    host: str
    port: int
    seed: int = 0
    cameras: int = 3
    people: int = 4
    pause_s: float = 0.04
    changing: float = 0.1
    picture_bytes: int = 20_000
    clock_file: str | None = None
    watches: bool = True
    username: str | None = None


def run(load: Load) -> None:
    """Watch until SIGTERM comes, then end in an orderly way; exit code 3 if messages are left."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not load.watches:
        stopping.set()
    sys.exit(3 if _Box(load).run(stopping) else 0)


class _Diary:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *lines: str) -> None:
        if lines:
            os.write(self._file, ("\n".join(lines) + "\n").encode())


class _Clock:
    """The machine's clocks, the wall clock as somebody sets it while the box runs."""

    def __init__(self, file: str | None) -> None:
        self._file = None if file is None else Path(file)

    def unix_ns(self) -> int:
        return time.time_ns() + self._offset_ns()

    def moment(self) -> Moment:
        moment = read_moment()
        return replace(moment, unix_ns=moment.unix_ns + self._offset_ns())

    def _offset_ns(self) -> int:
        return 0 if self._file is None else int(self._file.read_text()) * 10**9


class _Kept:
    """Handler after the reporter: what comes here is in the outbox."""

    def __init__(self, diary: _Diary) -> None:
        self._diary = diary

    def take(self, decided: Decided) -> None:
        """Note what is kept."""
        self._diary.write(*(f"kept {_name(event)}" for event in decided.events))


class _Box:
    def __init__(self, load: Load) -> None:
        settings = _site(load)
        self._load = load
        self._rng = random.Random(f"{load.seed} {load.diary}")
        self._diary = _Diary(load.diary)
        clock = _Clock(load.clock_file)
        self._outbox = Outbox(Path(load.state), settings.mqtt.outbox, unix_ns=clock.unix_ns)
        wire = Wire(site=settings.site, box=settings.box, boot_id=self._outbox.boot_id)
        self._wire = wire
        self._publisher = Publisher(
            settings.mqtt, self._outbox, client_id="fault-test", will=wire.will()
        )
        self._reporter = Reporter(
            wire,
            self._outbox,
            backend="cpu",
            versions={},
            status_every_s=STATUS_EVERY_S,
            clock=clock.moment,
        )
        self._dispatcher = Dispatcher([self._reporter, _Kept(self._diary)])
        self._cameras = tuple(source.id for source in settings.sources)
        self._crowds = [
            Crowd(
                name,
                people=load.people,
                fps=FPS,
                changing=load.changing,
                leaving=load.changing / 4,
                # Each run has its own.
                seed=self._rng.randrange(1 << 30),
            )
            for name in self._cameras
        ]
        new_id = IncidentIds(wire.boot_id, unix_ns=clock.unix_ns)
        self._monitors = [SourceMonitor(name, settings, new_id) for name in self._cameras]
        self._told_s = 0.0

    def run(self, stopping: threading.Event) -> int:
        """Return how many messages are left."""
        self._diary.write(f"boot {self._wire.boot_id}")
        self._dispatcher.start()
        self._publisher.start()
        self._reporter.hello(self._cameras)
        number = 0
        while not stopping.is_set():
            for place, crowd in enumerate(self._crowds):
                self._watch(place, crowd, number)
            self._tell()
            time.sleep(self._rng.random() * self._load.pause_s)
            number += 1
        for place in range(len(self._monitors)):
            self._close(place, EndReason.SHUTDOWN, number)
        self._dispatcher.stop()
        self._tell()
        self._reporter.goodbye(self._cameras, self._counters())
        left = self._outbox.drain(DRAIN_TIMEOUT_S) + len(self._outbox._lanes.aside)
        self._publisher.stop()
        self._outbox.close()
        self._diary.write(*(f"count {name} {count}" for name, count in self._counters().items()))
        return left

    def _watch(self, place: int, crowd: Crowd, number: int) -> None:
        frame = crowd.frame(number)
        result = self._monitors[place].update(frame)
        self._announce(result.events)
        self._dispatcher.offer_frame(frame, result)
        for event in result.events:
            if event.phase is Phase.START and self._rng.random() < 0.5:
                self._take_picture(place, event)
        if self._rng.random() < 0.01:
            self._close(place, EndReason.SOURCE_LOST, number)

    def _close(self, place: int, reason: EndReason, number: int) -> None:
        events = self._monitors[place].close(reason, int(number / FPS * 1e9))
        self._announce(events)
        self._dispatcher.offer_closed(self._cameras[place], events)

    def _announce(self, events: Sequence[IncidentEvent]) -> None:
        self._diary.write(*(f"deciding {_name(event)}" for event in events))

    def _take_picture(self, place: int, event: IncidentEvent) -> None:
        jpeg = self._rng.randbytes(self._load.picture_bytes)
        digest = hashlib.sha256(jpeg).hexdigest()
        picture = Snapshot(digest, len(jpeg), JPEG_WH_PX, event.pts_ns)
        if self._monitors[place].attach(event.incident_id, picture):
            message = self._wire.snapshot(event.source_id, event.incident_id, jpeg)
            self._diary.write(f"picturing {digest}")
            self._outbox.offer(Post(message, Lane.SNAPSHOT))
            self._diary.write(f"pictured {digest}")

    def _tell(self) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= STATUS_EVERY_S:
            self._told_s = now_s
            self._reporter.box_status(self._outbox.troubles(), self._counters())

    def _counters(self) -> dict[str, int]:
        counters = self._outbox.counters
        return {
            "dropped_updates": counters.dropped[Lane.UPDATE],
            "dropped_snapshots": counters.dropped[Lane.SNAPSHOT],
            "dropped_frames": self._dispatcher.counters.dropped_frames,
            "failed_handlers": self._dispatcher.counters.failed,
            "lost_messages": counters.lost,
            "refused_messages": counters.refused,
            "broker_refusals": self._publisher.refusals,
        }


def _name(event: IncidentEvent) -> str:
    return f"{event.phase.value} {event.incident_id} {event.revision}"


def _site(load: Load) -> SiteSettings:
    mqtt: dict[str, object] = {
        "host": load.host,
        "port": load.port,
        "keepalive_s": 5,
        "outbox": {"late_after_s": 1.0},
    }
    if load.username is not None:
        password = Path(load.diary).with_name("password")
        password.write_text(load.username)
        password.chmod(0o600)
        mqtt |= {"username": load.username, "password_file": password}
    return site(
        [{"id": f"cam{number}", "uri": "/dev/null"} for number in range(load.cameras)],
        smoothing={"newest": 1, "window_s": 1e-9},
        decision={
            "threshold": 0.5,
            "open_after_s": 0,
            "close_after_s": 0,
            "gone_after_s": 0,
            "update_every_s": 1.0,
        },
        mqtt=mqtt,
    )


def command(load: Load) -> list[str]:
    """Return how to run a box as a program of its own."""
    return [sys.executable, "-m", "tests.faults.box", json.dumps(asdict(load))]


if __name__ == "__main__":
    run(Load(**json.loads(sys.argv[1])))
