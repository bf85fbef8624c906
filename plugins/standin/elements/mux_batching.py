"""When the muxer pushes a batch: plain arithmetic, no GStreamer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_SOURCE_MAX_FPS = 60.0
# Without a configuration: NVSTREAMMUX_DEFAULT_PROP_GROUP_OVERALL_MIN_FPS_N of MuxConfigParser.h.
DEFAULT_MIN_FPS = 5.0
# Beside a batch in the making so many frames of a source wait; more would only add latency.
_SPARE_FRAMES = 1


@dataclass(frozen=True)
class LegacyBatching:
    """nvstreammux as it is by default.

    A batch is pushed when it is full, or `timeout_us` after its first frame arrived; negative
    waits for ever. A pad gives one frame a batch, unless batch-size exceeds the pads.
    """

    batch_size: int
    timeout_us: int

    def per_source(self, pads: int) -> int:
        """Return how many frames one source may have in a batch."""
        return 1 if self.batch_size <= pads else self.batch_size

    def full_at(self, *, pads: int, open_pads: int) -> int:
        """Return how many frames make a full batch, given the pads that have not ended."""
        return max(1, min(self.batch_size, open_pads * self.per_source(pads)))

    def told_size(self, pads: int) -> int:  # noqa: ARG002  the other muxer looks at them
        """Return what is told downstream of a batch's size."""
        return self.batch_size

    def room(self, *, pads: int, open_pads: int) -> int:  # noqa: ARG002  as below
        """Return how many frames of one source may wait."""
        return self.per_source(pads) + _SPARE_FRAMES

    def hold_s(self) -> float:
        """Return how long sync-inputs holds a frame back beyond its own time."""
        return 0.0

    def deadline_s(self, *, first_frame_s: float, last_batch_s: float) -> float | None:  # noqa: ARG002  the other muxer counts from there
        """Return when a batch that is not full is pushed; None is never."""
        return None if self.timeout_us < 0 else first_frame_s + self.timeout_us / 1e6

    def not_before_s(self, *, last_batch_s: float) -> float:  # noqa: ARG002  as above
        """Return when a batch may be pushed at the earliest."""
        return 0.0

    def allowed_at_s(self, index: int, *, last_push_s: float) -> float:  # noqa: ARG002  as above
        """Return from when a source may give a frame again."""
        return 0.0

    def turns(self, indices: list[int], *, next_index: int) -> list[int]:
        """Return the order in which sources are asked: around, beginning with `next_index`."""
        return _rotated(sorted(indices), next_index)


@dataclass(frozen=True)
class NewBatching:
    """nvstreammux with USE_NEW_NVSTREAMMUX=yes.

    The time to wait is a least rate, in batches a second, and counts from the last batch.
    """

    batch_size: int
    min_fps: float = DEFAULT_MIN_FPS
    adaptive: bool = True
    same_source: int = 1
    max_fps: float | None = None
    source_max_fps: Mapping[int, float] | None = None
    priorities: Mapping[int, int] = field(default_factory=dict)
    round_robin: bool = True

    def per_source(self, pads: int) -> int:  # noqa: ARG002  the other muxer looks at them
        """Return how many frames one source may have in a batch."""
        return self.same_source

    def full_at(self, *, pads: int, open_pads: int) -> int:  # noqa: ARG002  as above
        """Return how many frames make a full batch, given the pads that have not ended."""
        return max(1, open_pads if self.adaptive else self.batch_size)

    def told_size(self, pads: int) -> int:
        """Return what is told downstream of a batch's size: get_config_batch_size of 9.1."""
        return max(self.batch_size, pads) if self.adaptive else self.batch_size

    def room(self, *, pads: int, open_pads: int) -> int:
        """Return how many frames of one source may wait: SinkPad::wait_if_queue_full of 9.1."""
        return self.full_at(pads=pads, open_pads=open_pads) + _SPARE_FRAMES

    def hold_s(self) -> float:
        """Return how long sync-inputs holds a frame back beyond its own time."""
        return 1.0 / self.min_fps

    def deadline_s(self, *, first_frame_s: float, last_batch_s: float) -> float | None:
        """Return when a batch that is not full is pushed."""
        return max(first_frame_s, last_batch_s + 1.0 / self.min_fps)

    def not_before_s(self, *, last_batch_s: float) -> float:
        """Return when a batch may be pushed at the earliest: max-fps-control."""
        return 0.0 if self.max_fps is None else last_batch_s + 1.0 / self.max_fps

    def allowed_at_s(self, index: int, *, last_push_s: float) -> float:
        """Return from when a source may give a frame again: enable-source-rate-control."""
        if self.source_max_fps is None:
            return 0.0
        return last_push_s + 1.0 / self.source_max_fps.get(index, DEFAULT_SOURCE_MAX_FPS)

    def turns(self, indices: list[int], *, next_index: int) -> list[int]:
        """Return the order in which sources are asked.

        The least priority comes first. Round robin begins with `next_index`, goes round its
        priority and then on to the next; any other algorithm begins at the front each time.
        """
        if not self.round_robin:
            return sorted(indices, key=lambda index: (self._priority(index), index))
        levels = sorted({self._priority(index) for index in indices})
        start = self._priority(next_index) if next_index in indices else levels[0]
        order: list[int] = []
        for level in _rotated(levels, start):
            at_level = sorted(index for index in indices if self._priority(index) == level)
            order += _rotated(at_level, next_index) if level == start else at_level
        return order

    def _priority(self, index: int) -> int:
        return self.priorities.get(index, 0)


def _rotated(values: list[int], first: int) -> list[int]:
    """Begin with the first value that is not below `first`."""
    at = next((at for at, value in enumerate(values) if value >= first), 0)
    return values[at:] + values[:at]


Batching = LegacyBatching | NewBatching
