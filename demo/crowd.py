"""People who were never filmed: observations of many cameras, for benchmarks and fault tests."""

import random

from ropewatch.observations import FrameObservation, PersonObservation

UNSAFE_SCORE_MIN = 0.8
SAFE_SCORE = 0.1
FRAME_WH_PX = (1280, 720)


class Crowd:
    """People of one camera, each safe or unsafe, some changing from frame to frame.

    Args:
        camera: the site's name of the camera; the same name and seed give the same frames.
        people: how many.
        fps: frames a second of stream time.
        changing: share of the people who change between safe and unsafe in a frame.
        leaving: share of the people who are replaced by somebody else in a frame.
        seed: another one gives other people.
    """

    def __init__(
        self,
        camera: str,
        *,
        people: int,
        fps: float,
        changing: float,
        leaving: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.camera = camera
        self._rng = random.Random(f"{camera} {seed}")  # noqa: S311 - no secret
        self._fps, self._changing, self._leaving = fps, changing, leaving
        self._object_ids = list(range(people))
        self._unsafe = [False] * people

    def frame(self, number: int) -> FrameObservation:
        """Make one frame with a fresh score of everybody.

        Args:
            number: 0 for the first frame.
        """
        persons = [self._person(place) for place in range(len(self._unsafe))]
        pts_ns = int(number / self._fps * 1e9)
        return FrameObservation(
            source_id=self.camera,
            frame_num=number,
            pts_ns=pts_ns,
            ntp_ns=None,
            frame_wh_px=FRAME_WH_PX,
            detector_ran=True,
            persons=tuple(person for person in persons if person is not None),
        )

    def _person(self, place: int) -> PersonObservation | None:
        """Return who stands in a place; None while nobody does."""
        rng = self._rng
        if rng.random() < self._leaving:
            self._object_ids[place] += len(self._object_ids)
            return None
        if rng.random() < self._changing:
            self._unsafe[place] = not self._unsafe[place]
        left_px = 60.0 * place + rng.uniform(-1, 1)
        score = rng.uniform(UNSAFE_SCORE_MIN, 1.0) if self._unsafe[place] else SAFE_SCORE
        return PersonObservation(
            self._object_ids[place], (left_px, 100.0, 40.0, 100.0), 0.9, score
        )
