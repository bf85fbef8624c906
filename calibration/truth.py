"""What is true of one camera's recording: a JSON file, one list of people for each picture.

    {"format": "ropewatch-truth-1", "camera": "site-a", "seed": 7, "frame_wh_px": [1280, 720],
     "fps": 10, "frames": [[{"person": "p1", "box_ltwh_px": [479, 36.3, 54, 168],
                             "roped": false, "visible": 1.0}], []]}

Boxes are in the pixels of that picture, the hidden parts of a body included; `visible` is the
share of it that can be seen; picture n is shown from n / fps seconds of stream time on.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ropewatch.errors import SourceError
from ropewatch.observations import BoxLtwh

# A stream time of n / fps that was rounded down to a nanosecond still shows picture n.
ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class TruePerson:
    """One person in one picture."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    person: str
    box_ltwh_px: BoxLtwh
    roped: bool
    visible: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Truth:
    """All pictures of one camera; `seed` says how the clip was made, where it was."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: Literal["ropewatch-truth-1"]
    camera: str
    frame_wh_px: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    fps: Annotated[float, Field(gt=0)]
    frames: Annotated[tuple[tuple[TruePerson, ...], ...], Field(min_length=1)]
    seed: int | None = None

    def at(self, pts_ns: int) -> tuple[TruePerson, ...] | None:
        """The people of the picture shown at a stream time; None beyond the last one."""
        number = math.floor((pts_ns / 1e9 + ROUNDING_S) * self.fps)
        return self.frames[number] if 0 <= number < len(self.frames) else None


_TRUTH = TypeAdapter(Truth)


def read_truth(path: Path) -> Truth:
    """Read one truth file.

    Raises:
        SourceError: no such file, or not of this format.
    """
    try:
        return _TRUTH.validate_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}, want a truth file (JSON)") from None
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "truth"
        raise SourceError(f"{path}: {key}: {fault['msg']}; see calibration/truth.py") from None
