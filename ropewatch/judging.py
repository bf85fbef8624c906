"""Settings of the judgement: smoothing, decision, view, zones; for the site, and for one camera.

`SiteSettings.judging` puts together what holds for a camera.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import Self

from ropewatch.polygon import area, meeting
from ropewatch.section import Name, Section

NEWEST = 7
LEAST_AREA = 1e-6
Share = Annotated[float, Field(ge=0, le=1)]


def _without_defaults(schema: dict[str, Any]) -> None:
    """Drop the defaults from an override's schema: what it leaves out is the site's value."""
    for of_key in schema["properties"].values():
        of_key.pop("default", None)


class SmoothingSettings(Section):
    """Temporal median of the scores."""

    strategy: Literal["reference", "track", "window"] = Field(
        "reference",
        description="reference: boxes are matched by IoU alone. "
        "track: by track id where both frames have one, by IoU otherwise. "
        "window: like track, and all scores of the window count, each for the time it stands "
        "for, so that the frame rate does not matter.",
    )
    window_s: float = Field(0.5, gt=0, le=60, description="Age of the oldest score used, seconds.")
    iou_min: float = Field(0.7, ge=0, le=1, description="Least IoU of a match.")
    newest: int = Field(
        NEWEST,
        ge=1,
        le=1000,
        description="How many of the newest scores count, with reference and track.",
    )

    @model_validator(mode="after")
    def _window_takes_all(self) -> Self:
        if self.strategy == "window" and self.newest != NEWEST:
            raise ValueError(
                f"newest: {self.newest} with strategy window, which takes all scores of the "
                "window; take newest out"
            )
        return self


class DecisionSettings(Section):
    """From smoothed scores to safe, unsafe, unknown. Times are seconds of stream time."""

    threshold: float = Field(
        ge=0,
        le=1,
        description="Operating point of the model, for score_label; it belongs to one "
        "model and one mode, so it has no default.",
    )
    release_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="With alert_when at_or_above: an unsafe person is safe "
        "again below this score. Unset: the threshold.",
    )
    release_at_or_above: float | None = Field(
        None,
        ge=0,
        le=1,
        description="With alert_when below: an unsafe person is safe again at "
        "or above this score. Unset: the threshold.",
    )
    open_after_s: float = Field(
        0.5,
        ge=0,
        le=60,
        description="An incident starts once the score has been on the alert side for this long.",
    )
    close_after_s: float = Field(
        2.0,
        ge=0,
        le=600,
        description="An incident ends once the score has been on the safe side for this long.",
    )
    gone_after_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="A person not seen, or seen outside the zones, for this long has left.",
    )
    max_evidence_age_s: float = Field(
        1.0, gt=0, le=60, description="A verdict older than this is unknown."
    )
    unknown_after_s: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="A person in view who is unknown for longer than this makes the box degraded.",
    )
    min_crop_px: int = Field(
        16,
        ge=1,
        le=4096,
        description="A person whose expanded box, cut at the frame's border, has a shorter side "
        "is not judged: unknown.",
    )
    update_every_s: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Seconds between updates of an open incident; 0: none "
        "but those of a changed state.",
    )


class ViewSettings(Section):
    """When a camera's picture is told to be blind. Times are seconds of stream time.

    The numbers rest on synthetic pictures and one clip; they are not measured on real cameras.
    """

    enabled: bool = Field(
        True, description="false: nobody notices a picture that is frozen, dark, covered or moved."
    )
    frozen_after_s: float = Field(
        30.0,
        ge=5,
        le=86_400,
        description="A picture that has not changed at all for this long is frozen. A real "
        "camera's noise changes it sooner.",
    )
    dark_after_s: float = Field(
        10.0, gt=0, le=86_400, description="A picture too dark for this long is dark."
    )
    dark_below_luma: int = Field(
        32,
        ge=1,
        le=255,
        description="Too dark: all but 2 % of the picture is below this luma, of 0 to 255; black "
        "is 16 in most video.",
    )
    covered_after_s: float = Field(
        10.0,
        gt=0,
        le=86_400,
        description="A picture with too little structure for this long is covered.",
    )
    covered_below_structure: Share = Field(
        0.005,
        description="Too little structure: a smaller share of the picture's small cells differs "
        "from a neighbour. 0: never.",
    )
    moved_after_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="A camera that has looked elsewhere than its reference view for this long is "
        "moved. For one that tours: longer than it is ever away.",
    )
    clear_after_s: float = Field(
        3.0, gt=0, le=3600, description="Each is taken back once it was over for this long."
    )


class _Overrides(Section):
    """Base: what a camera leaves out is the site's, so only what it sets is written anywhere."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @model_serializer(mode="wrap")
    def _only_what_is_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if key in self.model_fields_set}


class SmoothingOverrides(_Overrides, SmoothingSettings):
    """Temporal median of the scores of one camera; left out: the site's."""


class DecisionOverrides(_Overrides, DecisionSettings):
    """From smoothed scores to safe, unsafe, unknown, for one camera; left out: the site's."""

    threshold: float | None = Field(  # type: ignore[assignment]  # unset, not unknown
        None, ge=0, le=1, description="Unset: the site's."
    )

    @field_validator("threshold")
    @classmethod
    def _set_is_a_number(cls, value: float | None) -> float | None:
        if value is None:
            raise ValueError("nothing, want a number; take it out for the site's")
        return value


class ViewOverrides(_Overrides, ViewSettings):
    """When the picture of one camera is told to be blind; left out: the site's."""


class OverrideSettings(Section):
    """What one camera sets for itself."""

    decision: DecisionOverrides = DecisionOverrides()
    smoothing: SmoothingOverrides = SmoothingOverrides()
    view: ViewOverrides = ViewOverrides()


class ZoneSettings(Section):
    """A part of the picture in which people are judged, or are not."""

    name: Name = Field(description="Name of the zone, unique in its camera.")
    kind: Literal["include", "exclude"] = Field(
        description="include: people elsewhere are not judged. exclude: people here are not; "
        "it wins where both cover somebody."
    )
    polygon: tuple[tuple[Share, Share], ...] = Field(
        min_length=3,
        max_length=100,
        description="Corners in order, each [x, y] as shares of the frame from its left top. "
        "A person is where the middle of the lower edge of their box is.",
    )

    @model_validator(mode="after")
    def _has_one_inside(self) -> Self:
        if area(self.polygon) < LEAST_AREA:
            raise ValueError(
                f"polygon: corners of zone {self.name} enclose nothing, want an area; they lie "
                "on a line, or its edges cross"
            )
        found = meeting(self.polygon)
        # Where edges cross, what is inside depends on who looks: parts would not be watched.
        if found is not None:
            first, second = ("-".join(f"[{x:g}, {y:g}]" for x, y in edge) for edge in found)
            raise ValueError(
                f"polygon: edges {first} and {second} of zone {self.name} meet, want corners in "
                "the order in which the border passes them; for a hole, take an exclude zone"
            )
        return self


@dataclass(frozen=True, slots=True)
class Judging:
    """What holds for one camera."""

    decision: DecisionSettings
    smoothing: SmoothingSettings
    view: ViewSettings
    zones: tuple[ZoneSettings, ...]


def overridden(
    decision: DecisionSettings, smoothing: SmoothingSettings, overrides: OverrideSettings
) -> tuple[DecisionSettings, SmoothingSettings]:
    """Return the site's settings with those that a camera sets for itself.

    Raises:
        ValueError: smoothing settings that do not go together.
    """
    return (
        decision.model_copy(update=overrides.decision.model_dump()),
        SmoothingSettings.model_validate(
            smoothing.model_dump() | overrides.smoothing.model_dump()
        ),
    )
