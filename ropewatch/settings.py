"""What a site may set, and what a valid setting is. Loading is `load.py`'s job.

Every section is frozen and refuses unknown keys. Relative paths are relative to the site file
and are made absolute when the file is loaded.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from typing_extensions import Self

from ropewatch.judging import (
    DecisionSettings,
    Judging,
    OverrideSettings,
    SmoothingSettings,
    ViewSettings,
    ZoneSettings,
    overridden,
)
from ropewatch.mqtt_settings import MqttSettings
from ropewatch.section import Name, Section
from ropewatch.zones import Zones


class AlertWhen(str, Enum):
    """Which side of the threshold alerts."""

    AT_OR_ABOVE = "at_or_above"
    BELOW = "below"


class SourceSettings(Section):
    """One camera."""

    id: Name = Field(description="Name of the camera in topics, logs and reports.")
    uri: str = Field(
        min_length=1,
        description="rtsp://, rtsps://, file:// or http(s):// URI, a path to a video file, or a "
        "folder: each video file in a folder becomes a camera of its own, named id-filename. "
        "RTSP credentials: write ${NAME} and set NAME in the environment.",
    )
    rtsp_reconnect_interval_s: int = Field(
        10,
        ge=0,
        le=3600,
        description="Seconds without data before an RTSP source is reset; "
        "0 never reconnects (nvurisrcbin's own default, under which a camera stays lost), "
        "nor does an rtsps:// camera.",
    )
    latency_ms: int = Field(200, ge=0, le=60_000, description="RTSP jitter buffer, milliseconds.")
    select_rtp_protocol: Literal["auto", "tcp"] = Field(
        "tcp", description="tcp survives lossy site networks; auto tries UDP first."
    )
    loop: bool = Field(False, description="Play a file for ever (nvurisrcbin file-loop).")
    overrides: OverrideSettings = Field(
        OverrideSettings(), description="What differs from the site's sections for this camera."
    )
    zones: tuple[ZoneSettings, ...] = Field(
        (), description="Where in the picture to judge people."
    )
    mounted: str | None = Field(
        None,
        max_length=64,
        description="When it was mounted or last turned, in any words. Once this, uri or zones "
        "differ from the last start, its reference view is learnt anew, see docs/blindness.md.",
    )

    @field_validator("mounted", mode="before")
    @classmethod
    def _date_is_text(cls, value: object) -> object:
        # YAML reads 2026-11-28 as a date, and 2 as a number.
        is_other = isinstance(value, (date, int)) and not isinstance(value, bool)
        return str(value) if is_other else value

    @model_validator(mode="after")
    def _zone_names_are_unique(self) -> Self:
        twice = twice_in(zone.name for zone in self.zones)
        if twice:
            raise ValueError(f"zones: name {twice[0]} is used twice; give each zone its own")
        return self

    @model_validator(mode="after")
    def _zones_leave_something(self) -> Self:
        if not Zones(self.zones).leave_something():
            raise ValueError(
                "zones: the exclude zones leave next to nothing of the picture to judge, so "
                "nobody would be watched; make them smaller, or take the camera out of the site"
            )
        return self

    @model_validator(mode="after")
    def _only_a_file_can_loop(self) -> Self:
        if self.loop and self.uri.lower().startswith(("rtsp://", "rtsps://")):
            raise ValueError("loop: true for a live stream, want a file; take loop out")
        return self

    def view_key(self) -> str:
        """Return the SHA-256 of all by which its right view is another one: 64 hex digits.

        Of the address only host, port and path: a new password turns no camera.
        """
        address = urlsplit(self.uri)
        host = address.netloc.rpartition("@")[2]
        zones = [zone.model_dump(mode="json") for zone in self.zones]
        text = json.dumps([address.scheme, host, address.path, zones, self.mounted])
        return hashlib.sha256(text.encode()).hexdigest()


class MuxerSettings(Section):
    """nvstreammux: the frame size that all boxes refer to."""

    width_px: int = Field(1280, ge=64, le=7680, multiple_of=2, description="Muxer output width.")
    height_px: int = Field(720, ge=64, le=4320, multiple_of=2, description="Muxer output height.")
    fps: float = Field(
        25.0,
        gt=0,
        le=240,
        description="Frame rate of the fastest camera; a batch waits at most "
        "1/fps seconds for a slow or dead one (batched-push-timeout = 1e6 / fps microseconds).",
    )


class DetectorSettings(Section):
    """The primary nvinfer: persons."""

    config_file: Path = Field(description="nvinfer configuration file, ini or YAML.")
    person_class_id: int = Field(0, ge=0, description="Class id of a person in the labels file.")


class TrackerSettings(Section):
    """nvtracker."""

    ll_config_file: Path = Field(description="Low-level tracker configuration, YAML.")
    ll_lib_file: str = Field(
        "/opt/nvidia/deepstream/deepstream/lib/libnvds_nvmultiobjecttracker.so",
        description="Low-level tracker library on the device; the CPU stand-in has its own.",
    )
    width_px: int = Field(640, ge=32, multiple_of=32, description="tracker-width.")
    height_px: int = Field(384, ge=32, multiple_of=32, description="tracker-height.")


class ExpansionSettings(Section):
    """How far the person box grows before the classifier sees it."""

    x_each_side: float = Field(
        1.0, ge=0, le=10, description="Box widths added on each side, left and right."
    )
    y_top: float = Field(0.2, ge=0, le=10, description="Box heights added above.")
    y_bottom: float = Field(1.5, ge=0, le=10, description="Box heights added below.")


class ClassifierSettings(Section):
    """The second nvinfer: the rope. Polarity has no default, on purpose."""

    config_file: Path = Field(description="nvinfer configuration file, ini or YAML.")
    mode: Literal["crop", "frame"] = Field(
        "crop",
        description="crop: the network sees each person's expanded crop. frame: it sees whole "
        "frames, and the head beside its ONNX judges the expanded boxes, see docs/frame-mode.md. "
        "A threshold belongs to one of them.",
    )
    score_label: str = Field(
        min_length=1,
        description="Label whose probability the threshold was chosen for; "
        "one of the labels in the classifier's labels file.",
    )
    alert_when: AlertWhen = Field(
        description="at_or_above: a score at or above the threshold is unsafe. "
        "below: a score below it is unsafe."
    )
    expansion: ExpansionSettings = ExpansionSettings()
    max_crops_per_frame: Annotated[int, Field(ge=1)] | Literal["auto", "all"] = Field(
        "auto",
        description="How many people of a frame are judged at most, those who need it most first. "
        "auto: everybody, and of rtsp cameras as many as the classifier keeps up with; files "
        "wait for it. all: everybody, whatever that does to the frames. A number: so many of each "
        "camera's frame. Frame mode judges everybody in one inference.",
    )

    @model_validator(mode="after")
    def _budget_is_of_crops(self) -> Self:
        if self.mode == "frame" and isinstance(self.max_crops_per_frame, int):
            raise ValueError(
                f"max_crops_per_frame: {self.max_crops_per_frame} with mode frame, want none: one "
                "inference serves everybody in a frame; take max_crops_per_frame out"
            )
        return self


class HealthSettings(Section):
    """When the box says that it does not see."""

    blind_after_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="A camera without a frame for this long is reported blind, and one whose "
        "people cannot be judged for this long; seconds of wall time.",
    )
    status_every_s: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="Seconds between status messages; a change is sent at once.",
    )
    telemetry_every_s: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="Seconds between telemetry messages, while there is a broker.",
    )


class VideoSettings(Section):
    """The optional picture branch."""

    annotated_file: Path | None = Field(None, description="MP4 with boxes, scores and states.")
    width_px: int = Field(
        1280,
        ge=128,
        le=7680,
        multiple_of=2,
        description="Width of the picture of all cameras; the height follows from the shape of "
        "the muxer's frames, so that nobody is squeezed.",
    )
    bitrate_kbps: int = Field(2000, ge=50, le=100_000, description="H.264 bit rate.")
    encoder: Literal["hardware", "software"] = Field(
        "hardware", description="software: x264enc, for Orin Nano, which has no NVENC."
    )


class SnapshotSettings(Section):
    """A picture of each incident's start. It shows people; read docs/snapshots.md first."""

    enabled: bool = Field(False, description="true: pictures of people leave the box.")
    quality: int = Field(80, ge=20, le=95, description="JPEG quality, lowered to fit max_bytes.")
    max_side_px: int = Field(1280, ge=160, le=7680, description="Longer side of the picture.")
    max_bytes: int = Field(
        256 * 1024, ge=16 * 1024, le=8 * 1024 * 1024, description="Bytes of one picture."
    )
    max_per_minute: int = Field(
        20, ge=1, le=600, description="Of each camera; what comes beyond is counted, not taken."
    )


class SiteSettings(Section):
    """A whole site file: one box with its cameras."""

    site: Name = Field(description="Name of the site in topics.")
    box: Name = Field(description="Name of this box in topics.")
    sources: tuple[SourceSettings, ...] = Field(min_length=1, description="The cameras.")
    muxer: MuxerSettings = MuxerSettings()
    detector: DetectorSettings
    tracker: TrackerSettings
    classifier: ClassifierSettings
    smoothing: SmoothingSettings = SmoothingSettings()
    decision: DecisionSettings
    view: ViewSettings = ViewSettings()
    mqtt: MqttSettings
    health: HealthSettings = HealthSettings()
    video: VideoSettings = VideoSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    state_dir: Path | None = Field(
        None,
        description="Folder, of this box alone, for what has to outlive a restart: messages that "
        "the broker does not have yet, and the open incidents. Unset: ropewatch/SITE-BOX under "
        "$STATE_DIRECTORY (systemd), else $XDG_STATE_HOME, else ~/.local/state.",
    )
    recording: Path | None = Field(
        None, description="JSON lines of every observation and decision, for replay and reports."
    )

    @model_validator(mode="after")
    def _source_ids_are_unique(self) -> Self:
        twice = twice_in(source.id for source in self.sources)
        if twice:
            raise ValueError(f"sources: id {twice[0]} is used twice; give each camera its own")
        return self

    @model_validator(mode="after")
    def _every_camera_can_be_judged(self) -> Self:
        self._check_decision(self.decision, "decision")
        for index, source in enumerate(self.sources):
            where = f"sources.{index}.overrides"
            try:
                decision, _ = overridden(self.decision, self.smoothing, source.overrides)
            except ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"{where}.smoothing: {message}") from None
            self._check_decision(decision, f"{where}.decision")
        return self

    def judging(self, source_id: str) -> Judging:
        """Return what holds for one camera: its own settings, else the site's.

        Raises:
            KeyError: there is no such camera.
        """
        source = {source.id: source for source in self.sources}[source_id]
        decision, smoothing = overridden(self.decision, self.smoothing, source.overrides)
        view = self.view.model_copy(update=source.overrides.view.model_dump())
        return Judging(decision, smoothing, view, source.zones)

    def digest(self) -> str:
        """Return the SHA-256 of the settings as they apply, defaults included.

        Camera addresses are left out: they may hold passwords, and a digest of a short secret
        can be guessed at leisure by everybody who reads it.
        """
        text = self.model_dump_json(exclude={"sources": {"__all__": {"uri"}}})
        return hashlib.sha256(text.encode()).hexdigest()

    def _check_decision(self, decision: DecisionSettings, where: str) -> None:
        frame_s, age_s = 1 / self.muxer.fps, decision.max_evidence_age_s
        if frame_s > age_s:
            raise ValueError(
                f"{where}.max_evidence_age_s: {age_s:g}, want at least {frame_s:g}, which is "
                f"1 / muxer.fps: every verdict would be unknown before the next frame; "
                f"raise it, or correct muxer.fps"
            )
        above = self.classifier.alert_when is AlertWhen.AT_OR_ABOVE
        if not above and decision.threshold == 0:
            raise ValueError(
                f"{where}.threshold: 0, want above 0 with alert_when below: no score is below 0, "
                "so nothing would ever alert; take the model's operating point"
            )
        wrong = "release_at_or_above" if above else "release_below"
        right = "release_below" if above else "release_at_or_above"
        if getattr(decision, wrong) is not None:
            polarity = self.classifier.alert_when.value
            raise ValueError(
                f"{where}.{wrong}: set with alert_when {polarity}; use {right} instead"
            )
        release = getattr(decision, right)
        if release is not None and (
            release > decision.threshold if above else release < decision.threshold
        ):
            side = "at or below" if above else "at or above"
            raise ValueError(
                f"{where}.{right}: {release:g}, want {side} threshold {decision.threshold:g}: "
                f"a score between them would open and close an incident at once"
            )


def twice_in(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, in order."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
