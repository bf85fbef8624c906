"""When the muxer pushes a batch: plain arithmetic, no GStreamer."""

from dataclasses import dataclass


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

    def deadline_s(self, *, first_frame_s: float, last_batch_s: float) -> float | None:  # noqa: ARG002  the other muxer counts from there
        """Return when a batch that is not full is pushed; None is never."""
        return None if self.timeout_us < 0 else first_frame_s + self.timeout_us / 1e6


@dataclass(frozen=True)
class NewBatching:
    """nvstreammux with USE_NEW_NVSTREAMMUX=yes.

    The timeout becomes a least rate, in whole batches a second, and counts from the last batch.
    """

    batch_size: int
    min_fps: float
    adaptive: bool = True
    same_source: int = 1

    def per_source(self, pads: int) -> int:  # noqa: ARG002  the other muxer looks at them
        """Return how many frames one source may have in a batch."""
        return self.same_source

    def full_at(self, *, pads: int, open_pads: int) -> int:  # noqa: ARG002  as above
        """Return how many frames make a full batch, given the pads that have not ended."""
        return max(1, open_pads if self.adaptive else self.batch_size)

    def deadline_s(self, *, first_frame_s: float, last_batch_s: float) -> float | None:
        """Return when a batch that is not full is pushed."""
        return max(first_frame_s, last_batch_s + 1.0 / self.min_fps)


Batching = LegacyBatching | NewBatching
