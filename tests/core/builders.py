"""Sites, people and frames for tests; every builder names only what a test changes."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ropewatch.incidents import IncidentEvent
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import BoxLtwh, FrameObservation, PersonObservation
from ropewatch.settings import SiteSettings

HERE: BoxLtwh = (100.0, 100.0, 50.0, 120.0)
THERE: BoxLtwh = (800.0, 100.0, 50.0, 120.0)
FRAME_WH_PX = (1280, 720)
S = 1_000_000_000

IMMEDIATE = {"open_after_s": 0, "close_after_s": 0, "gone_after_s": 0}


def site_data(**decision: Any) -> dict[str, Any]:
    """A whole site file's content; `decision` overrides that section."""
    return {
        "site": "yard",
        "box": "box1",
        "sources": [{"id": "cam1", "uri": "file:///clips/cam1.mp4"}],
        "detector": {"config_file": "/configs/pgie.txt"},
        "tracker": {"ll_config_file": "/configs/tracker.yml"},
        "classifier": {
            "config_file": "/configs/sgie.txt",
            "score_label": "unclipped",
            "alert_when": decision.pop("alert_when", "at_or_above"),
        },
        "smoothing": decision.pop("smoothing", {}),
        "decision": {"threshold": 0.5, **decision},
        "mqtt": {"host": "127.0.0.1"},
    }


def site_with(key: str, value: Any) -> dict[str, Any]:
    """Return a good site with one value changed, by dotted key."""
    data = site_data()
    target: Any = data
    *parents, last = key.split(".")
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value
    return data


def write_site(folder: Path, data: dict[str, Any] | str) -> Path:
    """Save a site file, made of data or as it is."""
    path = folder / "site.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def site(**decision: Any) -> SiteSettings:
    """A site whose smoothing never changes a score, unless `smoothing` says otherwise."""
    decision.setdefault("smoothing", {"newest": 1, "window_s": 1e-9})
    return SiteSettings.model_validate(site_data(**decision))


def new_ids() -> Callable[[], str]:
    """Count incidents instead of drawing ULIDs."""
    numbers = itertools.count(1)
    return lambda: f"incident-{next(numbers)}"


def seen(
    score: float | None = None,
    object_id: int | None = 7,
    box: BoxLtwh = HERE,
    crop: BoxLtwh | None = None,
) -> PersonObservation:
    """Build one person of one frame."""
    return PersonObservation(object_id, box, 0.9, score, crop)


def frame(ts_s: float, persons: Sequence[PersonObservation] = ()) -> FrameObservation:
    """Build one frame of cam1 at a stream time in seconds."""
    pts_ns = round(ts_s * S)
    return FrameObservation(
        source_id="cam1",
        frame_num=0,
        pts_ns=pts_ns,
        ntp_ns=1_700_000_000 * S + pts_ns,
        frame_wh_px=FRAME_WH_PX,
        detector_ran=True,
        persons=tuple(persons),
    )


def new_monitor(**decision: Any) -> SourceMonitor:
    """Watch cam1; its incidents are counted."""
    return SourceMonitor("cam1", site(**decision), new_ids())


def run(monitor: SourceMonitor, *frames: FrameObservation) -> list[IncidentEvent]:
    """Return the events of all frames."""
    return [event for each in frames for event in monitor.update(each).events]
