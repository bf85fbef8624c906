from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from ropewatch.settings import SiteSettings, SourceSettings
from tests.core.builders import site_data


def test_a_live_stream_cannot_loop() -> None:
    with pytest.raises(ValidationError, match="loop: true for a live stream, want a file"):
        SourceSettings(id="cam", uri="rtsp://cam/1", loop=True)


def _site(sources: list[dict[str, Any]], **sections: Any) -> SiteSettings:
    return SiteSettings.model_validate({**site_data(), "sources": sources, **sections})


def test_camera_takes_from_the_site_what_it_does_not_set_itself() -> None:
    overrides = {"decision": {"open_after_s": 2, "threshold": 0.4}, "smoothing": {"newest": 3}}
    cameras: list[dict[str, Any]] = [
        {"id": "a", "uri": "/a.mp4", "overrides": overrides},
        {"id": "b", "uri": "/b.mp4"},
    ]
    settings = _site(
        cameras, decision={"threshold": 0.5, "close_after_s": 9}, smoothing={"iou_min": 0.6}
    )

    own, plain = settings.judging("a"), settings.judging("b")

    assert (own.decision.open_after_s, own.decision.threshold) == (2, 0.4)
    assert (own.decision.close_after_s, own.smoothing.iou_min) == (9, 0.6)
    assert own.smoothing.newest == 3
    assert (plain.decision, plain.smoothing) == (settings.decision, settings.smoothing)


def test_camera_may_clear_what_the_site_sets() -> None:
    camera = {"id": "a", "uri": "/a.mp4", "overrides": {"decision": {"release_below": None}}}
    settings = _site([camera], decision={"threshold": 0.5, "release_below": 0.3})

    assert settings.judging("a").decision.release_below is None


def test_camera_that_cannot_take_a_window_of_the_sites_newest_is_named() -> None:
    camera = {"id": "a", "uri": "/a.mp4", "overrides": {"smoothing": {"strategy": "window"}}}

    with pytest.raises(
        ValidationError, match=r"sources.0.overrides.smoothing: newest: 5 with strategy window"
    ):
        _site([camera], smoothing={"newest": 5})


def test_schema_of_overrides_claims_no_default_of_its_own() -> None:
    definitions = SiteSettings.model_json_schema()["$defs"]

    for name in ("DecisionOverrides", "SmoothingOverrides"):
        assert not any("default" in of_key for of_key in definitions[name]["properties"].values())
    assert definitions["DecisionSettings"]["properties"]["open_after_s"]["default"] == 0.5
    assert definitions["DecisionSettings"]["required"] == ["threshold"]


def test_settings_that_are_written_out_and_read_again_hold_the_same_for_each_camera() -> None:
    camera = {"id": "a", "uri": "/a.mp4", "overrides": {"decision": {"open_after_s": 2}}}
    settings = _site([camera], decision={"threshold": 0.4, "close_after_s": 9})

    again = SiteSettings.model_validate_json(settings.model_dump_json())

    assert again.judging("a") == settings.judging("a")
    assert again.digest() == settings.digest()


def test_digest_is_of_what_applies_and_not_of_camera_addresses() -> None:
    plain, other = ([{"id": "a", "uri": uri}] for uri in ("/a.mp4", "/b.mp4"))

    digest = _site(plain).digest()

    assert _site(other).digest() == digest
    assert _site(plain, smoothing={"newest": 7}).digest() == digest
    assert _site(plain, smoothing={"newest": 6}).digest() != digest


def test_a_budget_of_crops_in_frame_mode_is_refused() -> None:
    frames = {
        "config_file": "/c/f.txt",
        "mode": "frame",
        "score_label": "unroped",
        "alert_when": "at_or_above",
    }
    sources = [{"id": "a", "uri": "a.mp4"}]
    assert _site(sources, classifier=frames).classifier.mode == "frame"

    with pytest.raises(ValidationError, match="max_crops_per_frame: 8 with mode frame, want"):
        _site(sources, classifier={**frames, "max_crops_per_frame": 8})


@pytest.mark.parametrize("most", ["auto", "all", 1, 32])
def test_people_take_turns_by_themselves_unless_the_site_says_otherwise(most: str | int) -> None:
    sources = [{"id": "a", "uri": "a.mp4"}]
    classifier = {"config_file": "/c/c.txt", "score_label": "a", "alert_when": "below"}
    assert _site(sources, classifier=classifier).classifier.max_crops_per_frame == "auto"

    chosen = _site(sources, classifier={**classifier, "max_crops_per_frame": most}).classifier

    assert chosen.max_crops_per_frame == most


@pytest.mark.parametrize("most", [0, None, "everybody"])
def test_another_word_for_a_budget_is_refused(most: object) -> None:
    sources = [{"id": "a", "uri": "a.mp4"}]
    classifier = {"config_file": "/c/c.txt", "score_label": "a", "alert_when": "below"}
    with pytest.raises(ValidationError, match="max_crops_per_frame"):
        _site(sources, classifier={**classifier, "max_crops_per_frame": most})


def _key(**camera: Any) -> str:
    return SourceSettings(**{"id": "cam", "uri": "rtsp://user:old@cam:554/1", **camera}).view_key()


def test_a_right_view_is_another_one_with_other_zones_address_or_mounting() -> None:
    zone = {"name": "edge", "kind": "include", "polygon": ((0, 0), (1, 0), (1, 1))}
    keys = [
        _key(),
        _key(uri="rtsp://user:old@cam:555/1"),
        _key(uri="rtsp://user:old@cam:554/2"),
        _key(zones=[zone]),
        _key(mounted="2026-11-28"),
    ]

    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


def test_a_right_view_is_the_same_with_another_password_name_or_threshold() -> None:
    overrides = {"decision": {"threshold": 0.3}, "view": {"moved_after_s": 5}}

    assert _key(uri="rtsp://user:new@cam:554/1?token=2") == _key()
    assert _key(overrides=overrides, latency_ms=100) == _key()


def test_a_date_of_mounting_may_be_written_as_a_date() -> None:
    assert _key(mounted=date(2026, 11, 28)) == _key(mounted="2026-11-28")
    assert _key(mounted=2) == _key(mounted="2")
    with pytest.raises(ValidationError, match="mounted"):
        _key(mounted=True)
