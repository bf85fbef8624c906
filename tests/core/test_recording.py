"""What is written is read back to the last bit; what is broken is named by file and line."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from ropewatch.errors import SourceError
from ropewatch.incidents import EndReason, IncidentEvent
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import FrameObservation, View
from ropewatch.recording import CutShort, RecordedFrame, frame_line, incident_line, read
from tests.core.builders import HERE, IMMEDIATE, THERE, frame, new_ids, seen, site

FRAMES = (
    frame(0, [seen(0.1 + 0.2, crop=(0, 0, 64, 64)), seen(None, object_id=None, box=THERE)]),
    replace(frame(0.04), view=View(still_s=1.5, hidden=True)),
    frame(0.08, [seen(0.9, object_id=2**63)]),
)


def _record(*frames: FrameObservation) -> tuple[list[str], list[IncidentEvent]]:
    monitor = SourceMonitor("cam1", site(**IMMEDIATE), new_ids())
    lines: list[str] = []
    events: list[IncidentEvent] = []
    for each in frames:
        result = monitor.update(each)
        lines.append(frame_line(each, result))
        events.extend(result.events)
    events.extend(monitor.close(EndReason.SHUTDOWN, 10**9))
    return lines + [incident_line(event) for event in events], events


def test_recording_is_read_back_as_it_was(tmp_path: Path) -> None:
    lines, events = _record(*FRAMES)
    path = tmp_path / "r.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))

    records = list(read(path))

    recorded = [record for record in records if isinstance(record, RecordedFrame)]
    assert tuple(record.observation() for record in recorded) == FRAMES
    assert [record for record in records if isinstance(record, IncidentEvent)] == events
    assert len(events) == 2


def test_frame_line_holds_verdicts_beside_observations() -> None:
    lines, _ = _record(FRAMES[0])

    content = json.loads(lines[0])
    first, second = content.pop("persons")
    assert content == {
        "type": "frame",
        "source_id": "cam1",
        "frame_num": 0,
        "pts_ns": 0,
        "ntp_ns": 1_700_000_000_000_000_000,
        "frame_wh_px": [1280, 720],
        "detector_ran": True,
        "view": {"still_s": 0.0, "hidden": False},
    }
    assert first == {
        "person": 1,
        "object_id": 7,
        "box_ltwh_px": list(HERE),
        "confidence": 0.9,
        "score": 0.1 + 0.2,
        "smoothed": 0.1 + 0.2,
        "state": "safe",
        "crop_ltwh_px": [0, 0, 64, 64],
        "incident_id": None,
        "watched": True,
    }
    assert (second["object_id"], second["score"], second["state"]) == (None, None, "unknown")


def test_replay_of_a_recording_decides_the_same(tmp_path: Path) -> None:
    frames = tuple(frame(0.04 * n, [seen(0.9 if 20 < n < 60 else 0.2)]) for n in range(100))
    lines, _ = _record(*frames)
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(lines))

    replayed = [r.observation() for r in read(path) if isinstance(r, RecordedFrame)]

    assert _record(*replayed)[0] == lines


@pytest.mark.parametrize("tail", [b'{"type": "frame", "sou', b"\0\0\0\0", b'{"type": "\xff'])
def test_last_line_cut_short_is_reported_and_the_rest_is_read(tmp_path: Path, tail: bytes) -> None:
    lines, _ = _record(FRAMES[1])
    path = tmp_path / "r.jsonl"
    path.write_bytes(lines[0].encode() + b"\n" + tail)

    first, last = read(path)

    assert isinstance(first, RecordedFrame)
    assert last == CutShort(path, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"r.jsonl:2: not JSON"),
        ('{"type": "sound"}', r"r.jsonl:2: type 'sound', want frame or incident"),
        ("[]", r"r.jsonl:2: type None, want frame or incident"),
        ('{"type": "frame", "source_id": "a"}', r"r.jsonl:2: frame_num: "),
        ('{"type": "incident", "phase": "middle"}', r"r.jsonl:2: phase: 'middle'"),
    ],
)
def test_line_that_does_not_fit_is_named(tmp_path: Path, line: str, message: str) -> None:
    lines, _ = _record(FRAMES[1])
    path = tmp_path / "r.jsonl"
    path.write_text(f"{lines[0]}\n{line}\n{lines[0]}\n")

    with pytest.raises(SourceError, match=message):
        list(read(path))


def test_missing_recording_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none.jsonl: No such file or directory, want a record"):
        list(read(tmp_path / "none.jsonl"))
    with pytest.raises(SourceError, match=r"Is a directory, want a recording"):
        list(read(tmp_path))


def test_empty_recording_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.touch()

    assert list(read(path)) == []


def test_nan_of_a_broken_engine_survives(tmp_path: Path) -> None:
    lines, _ = _record(frame(0, [seen(math.nan)]))
    path = tmp_path / "r.jsonl"
    path.write_text(lines[0])

    (record,) = read(path)

    assert isinstance(record, RecordedFrame)
    assert record.persons[0].score is not None
    assert math.isnan(record.persons[0].score)
