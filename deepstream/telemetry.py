"""What the box measures of itself, told every so often."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deepstream.clock import read_moment
from deepstream.health import Counts
from deepstream.lanes import Lane, Post
from deepstream.outbox import Outbox
from ropewatch.budget import Budget
from ropewatch.moment import Moment
from ropewatch.telemetry_payloads import (
    CameraTelemetry,
    ClassifierTelemetry,
    DeliveryTelemetry,
    QueueTelemetry,
    Telemetry,
)
from ropewatch.wire import Wire, rfc3339

# https://docs.kernel.org/driver-api/thermal/sysfs-api.html: type, and temp in millidegrees.
THERMAL: Final = Path("/sys/class/thermal")
# A zone that is switched off says -256 degrees on some Jetsons, or cannot be read.
COLDEST_C: Final = -100.0


class TelemetryTeller:
    """Compares counters with those of the time before; `tick` is called once a second.

    Args:
        wire: makes the messages.
        outbox: takes them, and is measured.
        counts: reads the counters of each camera, by name.
        counters: reads those of the box.
        state_dir: whose disk is looked at.
        every_s: seconds between messages.
        clock: reads all clocks.
        budget: of the classifier; None where no source is live.
    """

    def __init__(
        self,
        wire: Wire,
        outbox: Outbox,
        *,
        counts: Callable[[], Mapping[str, Counts]],
        counters: Callable[[], Mapping[str, int]],
        state_dir: Path,
        every_s: float,
        clock: Callable[[], Moment] = read_moment,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget
        self._wire, self._outbox = wire, outbox
        self._counts, self._counters = counts, counters
        self._state_dir, self._every_s = state_dir, every_s
        self._clock = clock
        self._told = clock()
        self._told_counts = dict(counts())

    def tick(self, *, connected: bool) -> None:
        """Tell when it is time to, and somebody is there: nobody wants it later."""
        now = self._clock()
        interval_s = (now.monotonic_ns - self._told.monotonic_ns) / 1e9
        if not connected or interval_s < self._every_s:
            return
        counts = self._counts()
        measured = self._outbox.measure()
        took = measured.latency
        wire = self._wire
        telemetry = Telemetry(
            site=wire.site,
            box=wire.box,
            boot_id=wire.boot_id,
            time=rfc3339(now.unix_ns),
            monotonic_ms=now.monotonic_ns / 1e6,
            interval_s=round(interval_s, 3),
            cameras={
                name: _rates(counts[name], self._told_counts[name], interval_s) for name in counts
            },
            classifier=None if self._budget is None else _classifier(self._budget),
            delivery=DeliveryTelemetry(
                count=measured.delivered,
                p50_ms=None if took is None else _ms(took.p50_s),
                p95_ms=None if took is None else _ms(took.p95_s),
                p99_ms=None if took is None else _ms(took.p99_s),
            ),
            queue=QueueTelemetry(messages=measured.waiting, bytes=measured.waiting_bytes),
            counters=dict(self._counters()),
            temperatures_c=read_temperatures_c(),
            disk_free_bytes=_free_bytes(self._state_dir),
        )
        self._told, self._told_counts = now, dict(counts)
        self._outbox.offer(Post(wire.telemetry(telemetry), Lane.TELEMETRY))


def read_temperatures_c(folder: Path = THERMAL) -> dict[str, float]:
    """Return the temperature of each thermal zone that can be read, by the zone's type."""
    found = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        try:
            name = (zone / "type").read_text(encoding="ascii").strip()
            celsius = int((zone / "temp").read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue
        if celsius > COLDEST_C:
            found[name if name not in found else f"{name}-{zone.name}"] = celsius
    return found


def _rates(now: Counts, before: Counts, interval_s: float) -> CameraTelemetry:
    frames = now.frames - before.frames
    return CameraTelemetry(
        frames_per_s=round(frames / interval_s, 2),
        people_per_frame=round((now.seen - before.seen) / frames, 2) if frames else None,
        scores_per_s=round((now.judged - before.judged) / interval_s, 2),
        passed_over_per_s=round((now.passed_over - before.passed_over) / interval_s, 2),
    )


def _classifier(budget: Budget) -> ClassifierTelemetry:
    per_frame = budget.per_frame
    return ClassifierTelemetry(
        crops_per_frame=None if per_frame is None else round(per_frame, 2),
        queue_ms=_ms(budget.queue_s),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
