"""What a box measures of itself, field by field; the rest of the contract is in `payloads.py`."""

from pydantic import Field

from ropewatch.payloads import (
    SCHEMA_VERSION,
    Count,
    Milliseconds,
    Payload,
    Rate,
    Rfc3339,
    Seconds,
    Version,
)
from ropewatch.section import Name


class CameraTelemetry(Payload):
    """One camera, since the telemetry before."""

    frames_per_s: Rate = Field(description="Judged frames.")
    people_per_frame: Rate | None = Field(description="null without a frame.")
    scores_per_s: Rate = Field(description="People of whom the classifier gave a score.")
    passed_over_per_s: Rate = Field(
        0,
        description="Since 1.5. People whom the classifier was not asked about in a frame, since "
        "it could not keep up or classifier.max_crops_per_frame is a number.",
    )


class ClassifierTelemetry(Payload):
    """How the classifier keeps up with live cameras."""

    crops_per_frame: Rate | None = Field(
        description="People of a frame whom it can judge, on average; null for everybody."
    )
    queue_ms: Milliseconds = Field(
        description="How long each of the newest frames has waited for it at least."
    )


class DeliveryTelemetry(Payload):
    """How long incident messages took, from their frame at the muxer to the broker's answer."""

    count: Count = Field(description="Of this run; only those of which the frame's time is known.")
    p50_ms: Milliseconds | None = Field(
        description="Half of the newest 1,000 took no longer; null before the first."
    )
    p95_ms: Milliseconds | None
    p99_ms: Milliseconds | None


class QueueTelemetry(Payload):
    """What waits for the broker."""

    messages: Count
    bytes: Count


class Telemetry(Payload):
    """What a box measures of itself. Since 1.4."""

    version: Version = SCHEMA_VERSION
    site: Name
    box: Name
    boot_id: Name
    time: Rfc3339
    monotonic_ms: Milliseconds
    interval_s: Seconds = Field(description="Since the telemetry before, or since the start.")
    cameras: dict[str, CameraTelemetry]
    classifier: ClassifierTelemetry | None = Field(
        None, description="Since 1.5. null where no source is live: files wait for it."
    )
    delivery: DeliveryTelemetry
    queue: QueueTelemetry
    counters: dict[str, Count] = Field(description="As in the box's status.")
    temperatures_c: dict[str, float] = Field(
        description="Of the kernel's thermal zones, by their type; empty where there are none."
    )
    disk_free_bytes: Count | None = Field(
        description="Where messages are kept; null when that cannot be read."
    )
