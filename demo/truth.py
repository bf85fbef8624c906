"""Ground truth of the demo clips: what the renderer drew, and which incidents must follow.

The file is written by the renderer alone; no model ever touches it. What must follow is worked
out from it and from the site's decision settings, as if every visible person were judged rightly
in every frame.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewatch.errors import RopewatchError
from ropewatch.judging import DecisionSettings

FORMAT = "ropewatch-truth-1"
MIN_VISIBLE = 0.3
"""A person of whom less can be seen brings no evidence."""
MIN_SIDE_PX = 20.0
"""Nor does one who is cut this small by the edge of the picture."""

EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class PersonTruth:
    """One person in one picture."""

    person: str
    box_ltwh_px: tuple[float, float, float, float]
    """Whole body, hidden parts included, cut at the edge of the picture; source pixels."""
    roped: bool
    visible: float
    """Share of the body's pixels that can be seen."""

    @property
    def is_evidence(self) -> bool:
        """Whether enough of the person can be seen to judge the rope."""
        return self.visible >= MIN_VISIBLE and min(self.box_ltwh_px[2:]) >= MIN_SIDE_PX


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """All pictures of one clip."""

    camera: str
    seed: int
    frame_wh_px: tuple[int, int]
    fps: int
    frames: tuple[tuple[PersonTruth, ...], ...]

    @property
    def duration_s(self) -> float:
        """Stream time of the end: one frame after the last."""
        return len(self.frames) / self.fps

    def people_at(self, t_s: float) -> tuple[PersonTruth, ...]:
        """The people of the picture that is shown at a stream time."""
        number = min(max(int(t_s * self.fps + EPSILON_S), 0), len(self.frames) - 1)
        return self.frames[number]

    def persons(self) -> tuple[str, ...]:
        """Everybody who is ever in the picture, in order of name."""
        return tuple(sorted({one.person for frame in self.frames for one in frame}))


@dataclass(frozen=True, slots=True)
class ExpectedIncident:
    """An incident that must arrive."""

    person: str
    start_s: float
    """Stream time at which it opens."""
    end_s: float
    end_reason: str
    """rope_seen, person_gone or stream_ended."""


def write_truth(truth: ClipTruth, path: Path) -> None:
    """One frame a line, so that a difference shows the frame."""
    head = {
        "format": FORMAT,
        "camera": truth.camera,
        "seed": truth.seed,
        "frame_wh_px": list(truth.frame_wh_px),
        "fps": truth.fps,
    }
    lines = [
        json.dumps(
            [
                {
                    "person": one.person,
                    "box_ltwh_px": [round(v, 1) for v in one.box_ltwh_px],
                    "roped": one.roped,
                    "visible": round(one.visible, 2),
                }
                for one in frame
            ],
            separators=(",", ":"),
        )
        for frame in truth.frames
    ]
    body = ",\n".join(lines)
    path.write_text(f'{json.dumps(head)[:-1]}, "frames": [\n{body}\n]}}\n', encoding="utf-8")


def read_truth(path: Path) -> ClipTruth:
    """Load a truth file.

    Raises:
        RopewatchError: the file is absent or not of this format.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise RopewatchError(f"{path}: format {values['format']!r}, want {FORMAT!r}")
        width, height = values["frame_wh_px"]
        frames = tuple(tuple(_person(one) for one in frame) for frame in values["frames"])
        return ClipTruth(
            str(values["camera"]),
            int(values["seed"]),
            (int(width), int(height)),
            int(values["fps"]),
            frames,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RopewatchError(
            f"{path}: {error!r}, want a truth file; write it with python -m demo.make_clips"
        ) from error


def _person(values: dict[str, Any]) -> PersonTruth:
    left, top, width, height = map(float, values["box_ltwh_px"])
    return PersonTruth(
        str(values["person"]),
        (left, top, width, height),
        bool(values["roped"]),
        float(values["visible"]),
    )


def expected_incidents(
    truth: ClipTruth, decision: DecisionSettings
) -> tuple[ExpectedIncident, ...]:
    """Incidents in order of their start.

    An incident opens when somebody has been seen without a rope for `open_after_s`; of a time
    in which he cannot be judged, `max_evidence_age_s` counts for that at most. It ends
    `rope_seen` once he has been seen with one for `close_after_s` on end, without such a time;
    `person_gone` when nothing of him is in the picture for `gone_after_s`; and `stream_ended`
    with the clip.
    """
    found: list[ExpectedIncident] = []
    for person in truth.persons():
        moments = [
            (number / truth.fps, one)
            for number, frame in enumerate(truth.frames)
            for one in frame
            if one.person == person and one.is_evidence
        ]
        found.extend(_of_one(person, moments, truth.duration_s, decision))
    return tuple(sorted(found, key=lambda incident: (incident.start_s, incident.person)))


def _of_one(
    person: str,
    moments: Sequence[tuple[float, PersonTruth]],
    duration_s: float,
    decision: DecisionSettings,
) -> list[ExpectedIncident]:
    """Incidents of one person from the moments at which the rope can be judged."""
    found: list[ExpectedIncident] = []
    started_s: float | None = None
    bare_s = held_s = 0.0
    last_s = moments[0][0] if moments else 0.0
    last_roped: bool | None = None
    for now_s, one in moments:
        step_s = now_s - last_s
        if step_s >= decision.gone_after_s - EPSILON_S:
            if started_s is not None:
                gone_s = last_s + decision.gone_after_s
                found.append(ExpectedIncident(person, started_s, gone_s, "person_gone"))
            started_s, bare_s, held_s, last_roped = None, 0.0, 0.0, None
        covered_s = min(step_s, decision.max_evidence_age_s)
        known = step_s <= decision.max_evidence_age_s + EPSILON_S
        if one.roped:
            held_s = held_s + covered_s if last_roped and known else 0.0
            bare_s = 0.0
        else:
            bare_s = bare_s + covered_s if last_roped is False else 0.0
            held_s = 0.0
        if started_s is None and not one.roped and bare_s >= decision.open_after_s - EPSILON_S:
            started_s = now_s
        elif started_s is not None and one.roped and held_s >= decision.close_after_s - EPSILON_S:
            found.append(ExpectedIncident(person, started_s, now_s, "rope_seen"))
            started_s = None
        last_s, last_roped = now_s, one.roped
    if started_s is not None:
        gone_s = last_s + decision.gone_after_s
        gone = gone_s < duration_s - EPSILON_S
        found.append(
            ExpectedIncident(
                person,
                started_s,
                gone_s if gone else duration_s,
                "person_gone" if gone else "stream_ended",
            )
        )
    return found
