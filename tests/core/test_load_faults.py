"""Site files that cannot be used; every complaint is matched by its text."""

import re
from pathlib import Path
from typing import Any

import pytest

from ropewatch.errors import SettingsError
from ropewatch.load import load_site, redact
from tests.core.builders import site_data, site_with, write_site


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "decision.threshold",
            1.5,
            r"site.yaml: decision.threshold: 1.5, want less than or equal to 1$",
        ),
        (
            "decision.treshold",
            0.5,
            r"site.yaml: decision.treshold: unknown key, did you mean threshold\?",
        ),
        ("threshold", 0.5, r"site.yaml: threshold: unknown key, it belongs at decision.threshold"),
        ("mqtt.colour", "red", r"mqtt.colour: unknown key, want one of host, port, tls"),
        ("decision", {}, r"decision.threshold: missing, want a value: Operating point"),
        (
            "classifier",
            {"config_file": "a", "score_label": "b"},
            r"classifier.alert_when: missing, want a value: at_or_above",
        ),
        (
            "classifier.alert_when",
            "above",
            r"classifier.alert_when: 'above', want 'at_or_above' or 'below'",
        ),
        ("sources", [], r"sources: \[\], want at least 1 item"),
        ("sources.0.id", "gate 1", r"sources.0.id: 'gate 1', want match pattern"),
        ("mqtt.port", "mqtt", r"mqtt.port: 'mqtt', want a valid integer"),
        (
            "mqtt.tls",
            {"cert_file": "x"},
            r"mqtt.tls: cert_file and key_file, want both or neither",
        ),
        (
            "decision.threshold",
            True,
            r"decision.threshold: true, want a number; YAML reads yes, no, on and off as booleans",
        ),
        ("mqtt.port", True, r"mqtt.port: true, want a number"),
        ("smoothing.window_s", False, r"smoothing.window_s: false, want a number"),
        ("decision.release_below", True, r"decision.release_below: true, want a number"),
        ("sources.0.latency_ms", True, r"sources.0.latency_ms: true, want a number"),
        (
            "mqtt.password_env",
            "PW",
            r"mqtt: password_env is set without username, want both: .*; set username",
        ),
        ("mqtt.password_file", "pw", r"mqtt: password_file is set without username"),
        (
            "mqtt",
            {"host": "h", "username": "u", "password_env": "PW", "password_file": "pw"},
            r"mqtt: password_env and password_file are both set, want one; remove one",
        ),
        (
            "decision.max_evidence_age_s",
            0.03,
            r"yaml: decision.max_evidence_age_s: 0.03, want at least 0.04, which is 1 / muxer.fps",
        ),
        (
            "muxer.fps",
            0.5,
            r"yaml: decision.max_evidence_age_s: 1, want at least 2, .*; raise it, or correct mux",
        ),
        ("recording", 3, r"recording: 3, want a path$"),
        ("detector.config_file", ["a"], r"detector.config_file: \['a'\], want a path$"),
        ("sources", "rtsp://h/1", r"sources: 'rtsp://h/1', want a list$"),
        (
            "mqtt.tls",
            True,
            r"mqtt.tls: true, want keys and values \(\{\} for the defaults\)$",
        ),
        ("decision", 0.5, r"decision: 0.5, want keys and values$"),
        ("sources.0", "rtsp://h/1", r"sources.0: 'rtsp://h/1', want keys and values$"),
        ("muxer", None, r"muxer: nothing, want keys and values \(\{\} for the defaults\)$"),
        (
            "decision.release_below",
            0.9,
            r"site.yaml: decision.release_below: 0.9, want at or below",
        ),
        (
            "sources.0.overrides.decision.release_below",
            0.9,
            r"site.yaml: sources.0.overrides.decision.release_below: 0.9, want at or below",
        ),
        (
            "sources.0.overrides.decision.open_after_s",
            -1,
            r"sources.0.overrides.decision.open_after_s: -1, want greater than or equal to 0",
        ),
        (
            "sources.0.overrides.decision.open_afters",
            1,
            r"sources.0.overrides.decision.open_afters: unknown key, did you mean open_after_s\?",
        ),
        (
            "sources.0.overrides.smoothing",
            {"strategy": "window", "newest": 3},
            r"sources.0.overrides.smoothing: newest: 3 with strategy window, which takes all",
        ),
        (
            "sources.0.zones",
            [{"name": "a", "kind": "include", "polygon": [[0, 0], [0.5, 0.5], [1, 1]]}],
            r"sources.0.zones.0: polygon: corners of zone a enclose nothing, want an area",
        ),
        (
            "sources.0.zones",
            [{"name": "a", "kind": "include", "polygon": [[0, 0], [1, 0], [0.2, 1], [1, 1]]}],
            r"zones.0: polygon: edges \[1, 0\]-\[0.2, 1\] and \[1, 1\]-\[0, 0\] of zone a meet",
        ),
        (
            "sources.0.zones",
            [{"name": "a", "kind": "include", "polygon": [[0, 0], [1280, 0], [1, 1]]}],
            r"sources.0.zones.0.polygon.1.0: 1280, want less than or equal to 1",
        ),
        (
            "sources.0.zones",
            2 * [{"name": "a", "kind": "include", "polygon": [[0, 0], [1, 0], [1, 1]]}],
            r"sources.0: zones: name a is used twice; give each zone its own",
        ),
    ],
)
def test_value_that_cannot_be_used_is_named_with_file_and_key(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_site(write_site(tmp_path, site_with(key, value)))


def test_threshold_that_no_score_can_pass_is_refused(tmp_path: Path) -> None:
    path = write_site(tmp_path, site_data(threshold=0, alert_when="below"))

    with pytest.raises(
        SettingsError, match=r"decision.threshold: 0, want above 0 with alert_when below: no score"
    ):
        load_site(path)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    data = site_with("mqtt.port", 0)
    data["decision"]["threshold"] = -1

    with pytest.raises(SettingsError) as caught:
        load_site(write_site(tmp_path, data))

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"site.yaml: empty, want keys and values"),
        ("- a\n- b\n", r"site.yaml: a list, want keys and values"),
        ("site: [a\nbox: b\n", r"site.yaml: not YAML: line 2, column 4"),
        ("site: a\nsite: b\n", r"not YAML: line 1, column 1: key site is given twice"),
        ("\x00", r"site.yaml: not YAML"),
    ],
)
def test_file_that_is_no_site_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_site(write_site(tmp_path, text))


def test_missing_file_folder_and_binary_are_told_apart(tmp_path: Path) -> None:
    binary = tmp_path / "video.mp4"
    binary.write_bytes(b"\xff\xfe\x00\x80")

    with pytest.raises(SettingsError, match=r"none.yaml: no such site file; see"):
        load_site(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match=r"a folder, want a site file in it"):
        load_site(tmp_path)
    with pytest.raises(SettingsError, match=r"video.mp4: not UTF-8 text, want a YAML site file"):
        load_site(binary)


def test_password_in_a_file_that_everybody_may_read_is_refused_without_showing_it(
    tmp_path: Path,
) -> None:
    path = write_site(tmp_path, site_with("sources.0.uri", "rtsp://admin:hunter2@h/1"))
    path.chmod(0o644)

    with pytest.raises(SettingsError, match=r"rtsp://\*\*\*@h/1: a password in a file") as caught:
        load_site(path)

    assert "hunter2" not in str(caught.value)
    path.chmod(0o640)
    assert load_site(path).sources[0].uri == "rtsp://admin:hunter2@h/1"


def test_complaint_never_shows_a_password(tmp_path: Path) -> None:
    data = site_data()
    data["sources"] = [{"id": "a", "uri": ["rtsp://admin:hunter2@h/1"]}]

    with pytest.raises(SettingsError) as caught:
        load_site(write_site(tmp_path, data))

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot open rtsp://u:p@h/1 today", "cannot open rtsp://***@h/1 today"),
        ("rtsp://u:p@ss/w@h/1", "rtsp://***@h/1"),
        ("rtsp://h/user=a&password=b&channel=1", "rtsp://h/user=a&password=***&channel=1"),
        ("two: rtsp://a:b@h and rtsp://c:d@i", "two: rtsp://***@h and rtsp://***@i"),
        ("nothing to hide: file:///clips/a.mp4", "nothing to hide: file:///clips/a.mp4"),
    ],
)
def test_redact_blanks_out_credentials(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_redact_leaves_no_part_of_a_password_with_any_character() -> None:
    for character in map(chr, range(33, 127)):
        text = redact(f"rtsp://admin:SEC{character}RET@h/1")
        assert not re.search("SEC|RET", text), character


def test_a_camera_that_is_refused_is_not_called_missing(tmp_path: Path) -> None:
    path = write_site(tmp_path, site_with("sources.0.kind", 1))

    with pytest.raises(SettingsError, match=r"sources\.0\.kind: unknown key") as caught:
        load_site(path)

    assert "at least 1 item" not in str(caught.value)
