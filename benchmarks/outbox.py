"""What it costs to keep every start and end on disk until the broker has it.

1. Durable commits a second: the outbox, one start each, against SQLite alone with the same rows,
   log and syncs on the same disk.
2. Cameras with people, some of whom change state: smoothing, decision, journal and publishing to
   a mosquitto on loopback, paced like real frames; the share of one core that takes.
3. From the moment a frame's scores are handed to the decision until the broker has acknowledged
   the start or end that came of it, as a histogram. Inference is not in it.

Run from the checkout: python -m benchmarks.outbox
"""

import argparse
import itertools
import os
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rich.progress import track

from deepstream.dispatcher import Dispatcher
from deepstream.lanes import Entry, Lane, Post
from deepstream.outbox import Outbox
from deepstream.publisher import Publisher
from deepstream.reporter import Reporter
from demo.broker import PrivateBroker
from demo.crowd import Crowd
from ropewatch.incidents import EndReason
from ropewatch.monitor import SourceMonitor
from ropewatch.mqtt_settings import OutboxSettings
from ropewatch.reading import parse_incident
from ropewatch.settings import SiteSettings
from ropewatch.wire import Message, Wire

PAYLOAD_BYTES = 2000
WANT_SHARE = 0.8
WANT_P99_MS = 50.0
EDGES_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def sqlite_alone(folder: Path, count: int) -> float:
    """Commits a second of single rows with a sync each."""
    with closing(sqlite3.connect(folder / "alone.sqlite", isolation_level=None)) as rows:
        rows.execute("PRAGMA locking_mode = EXCLUSIVE")
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = FULL")
        rows.execute("CREATE TABLE message (n INTEGER PRIMARY KEY, l, t, p, q, r, e, c, u)")
        began_s = time.perf_counter()
        for _ in range(count):
            rows.execute("BEGIN IMMEDIATE")
            row = ("ALERT", "a/b/incident", os.urandom(PAYLOAD_BYTES), 1, 0, 600, "text/plain", 0)
            rows.execute("INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            rows.execute("COMMIT")
        return count / (time.perf_counter() - began_s)


def outbox_alone(folder: Path, count: int) -> float:
    """Commits a second of starts that are offered one by one."""
    outbox = Outbox(folder / "outbox", OutboxSettings())
    began_s = time.perf_counter()
    for _ in range(count):
        message = Message("a/b/incident", os.urandom(PAYLOAD_BYTES), 1, False, 600, "text/plain")
        outbox.offer(Post(message, Lane.ALERT))
    rate = count / (time.perf_counter() - began_s)
    outbox.close()
    return rate


def commits(folder: Path, count: int, rounds: int) -> None:
    """Print both rates; rounds alternate, since disks have moods."""
    alone, ours = [], []
    for number in track(range(rounds), description="durable commits", transient=True):
        part = folder / str(number)
        part.mkdir()
        alone.append(sqlite_alone(part, count))
        ours.append(outbox_alone(part, count))
    share = statistics.median(o / a for o, a in zip(ours, alone, strict=True))
    print(
        f"durable commits: SQLite alone {statistics.median(alone):.0f}/s, outbox "
        f"{statistics.median(ours):.0f}/s, {share:.0%} (want {WANT_SHARE:.0%})"
    )


class TimedOutbox(Outbox):
    """Remembers when each incident message was acknowledged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OutboxSettings())
        self.acknowledged_s: list[tuple[bytes, float]] = []

    def delivered(self, entry: Entry) -> None:
        """Forget a message, and note when."""
        super().delivered(entry)
        if entry.lane is Lane.ALERT:
            self.acknowledged_s.append((entry.message.payload, time.perf_counter()))


def settings(cameras: int, fps: float, broker: PrivateBroker) -> SiteSettings:
    """Return a site with the default decision."""
    return SiteSettings.model_validate(
        {
            "site": "bench",
            "box": "box",
            "sources": [{"id": f"cam{n}", "uri": "/dev/null"} for n in range(cameras)],
            "muxer": {"fps": fps},
            "detector": {"config_file": "/pgie.txt"},
            "tracker": {"ll_config_file": "/tracker.yml"},
            "classifier": {
                "config_file": "/sgie.txt",
                "score_label": "unroped",
                "alert_when": "at_or_above",
            },
            "decision": {"threshold": 0.5},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
    )


def whole(folder: Path, args: argparse.Namespace) -> None:
    """Print the share of one core and the time from frame to acknowledgement."""
    with PrivateBroker() as broker:
        site = settings(args.cameras, args.fps, broker)
        outbox = TimedOutbox(folder / "whole")
        wire = Wire(site=site.site, box=site.box, boot_id=outbox.boot_id)
        publisher = Publisher(site.mqtt, outbox, client_id="bench", will=wire.will())
        reporter = Reporter(wire, outbox, backend="cpu", versions={}, status_every_s=30)
        dispatcher = Dispatcher([reporter])
        ids = (f"incident-{number}" for number in itertools.count())
        names = [source.id for source in site.sources]
        monitors = [SourceMonitor(name, site, lambda: next(ids)) for name in names]
        crowds = [
            Crowd(name, people=args.people, fps=args.fps, changing=args.changing) for name in names
        ]
        publisher.start()
        dispatcher.start()
        while not publisher.connected:
            time.sleep(0.01)
        handed_s, crowd_s, decision_s, began = paced(crowds, monitors, dispatcher, args)
        for monitor, crowd in zip(monitors, crowds, strict=True):
            dispatcher.offer_closed(crowd.camera, monitor.close(EndReason.SHUTDOWN, 10**15))
        wall_s, used_s = time.perf_counter() - began[0], time.process_time() - began[1]
        dispatcher.stop()
        undelivered = outbox.drain(30)
        publisher.stop()
        outbox.close()
    rest = (used_s - crowd_s - decision_s) / wall_s
    print(
        f"{args.cameras} cameras x {args.fps:g} fps x {args.people} people, {args.changing:.0%} "
        f"changing: decision {decision_s / wall_s:.0%} of one core, journal and publishing "
        f"{rest:.0%}, together {(used_s - crowd_s) / wall_s:.0%}, "
        f"{dispatcher.counters.dropped_frames} frames dropped, "
        f"{outbox.counters.delivered / wall_s:.0f} messages/s, {undelivered} undelivered"
    )
    histogram(outbox.acknowledged_s, handed_s)


def paced(
    crowds: list[Crowd],
    monitors: list[SourceMonitor],
    dispatcher: Dispatcher,
    args: argparse.Namespace,
) -> tuple[dict[tuple[str, int], float], float, float, tuple[float, float]]:
    """Hand over frames at their times.

    Returns:
        When the frame of each incident revision was handed over; the processor time of making
        the frames, and of deciding; wall and processor time at the beginning.
    """
    handed_s: dict[tuple[str, int], float] = {}
    crowd_s = decision_s = 0.0
    began = time.perf_counter(), time.process_time()
    frames = range(int(args.seconds * args.fps))
    for number in track(frames, description="paced frames", transient=True):
        ahead_s = began[0] + number / args.fps - time.perf_counter()
        if ahead_s > 0:
            time.sleep(ahead_s)
        for crowd, monitor in zip(crowds, monitors, strict=True):
            made_s = time.thread_time()
            frame = crowd.frame(number)
            crowd_s += time.thread_time() - made_s
            at_s, decided_s = time.perf_counter(), time.thread_time()
            result = monitor.update(frame)
            decision_s += time.thread_time() - decided_s
            for event in result.events:
                handed_s[event.incident_id, event.revision] = at_s
            dispatcher.offer_frame(frame, result)
    late_s = time.perf_counter() - began[0] - args.seconds
    print(f"last frame {max(late_s, 0) * 1e3:.0f} ms behind its time")
    return handed_s, crowd_s, decision_s, began


def histogram(
    acknowledged_s: list[tuple[bytes, float]], handed_s: dict[tuple[str, int], float]
) -> None:
    """Print how long starts and ends took."""
    took_ms = []
    for payload, at_s in acknowledged_s:
        data = parse_incident(payload).data
        # Ends at the close of the cameras come all at once, and no frame made them.
        if (began_s := handed_s.get((data.incident_id, data.revision))) is not None:
            took_ms.append((at_s - began_s) * 1e3)
    took_ms.sort()
    p50, p99 = (took_ms[int(len(took_ms) * share)] for share in (0.5, 0.99))
    print(
        f"frame to PUBACK, {len(took_ms)} starts and ends: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"largest {took_ms[-1]:.1f} ms (want p99 below {WANT_P99_MS:g} ms)"
    )
    below = 0
    for edge_ms in EDGES_MS:
        count = sum(one < edge_ms for one in took_ms) - below
        below += count
        if count:
            print(f"  below {edge_ms:5d} ms  {count:6d}  {'#' * (60 * count // len(took_ms))}")


def main() -> None:
    """Run all three on one disk."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("out"), help="on the disk to measure")
    parser.add_argument("--commits", type=int, default=300, help="each round; %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="%(default)s")
    parser.add_argument("--cameras", type=int, default=16, help="%(default)s")
    parser.add_argument("--fps", type=float, default=30.0, help="%(default)s")
    parser.add_argument("--people", type=int, default=20, help="each camera; %(default)s")
    parser.add_argument(
        "--changing", type=float, default=0.01, help="share of people each frame; %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="%(default)s")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        commits(Path(folder), args.commits, args.rounds)
        whole(Path(folder), args)


if __name__ == "__main__":
    main()
