"""Site files are written to a temporary folder; every complaint is matched by its text."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ropewatch.errors import SettingsError
from ropewatch.faults import section_of
from ropewatch.load import load_site, redact
from ropewatch.settings import SiteSettings
from tests.core.builders import site_data

EXAMPLE = Path(__file__).parents[2] / "configs" / "site.example.yaml"
CREDENTIALS = {"CAMERA_USER": "installer", "CAMERA_PASSWORD": "p@ss/word"}


def _write(folder: Path, data: dict[str, Any] | str) -> Path:
    path = folder / "site.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def _with(key: str, value: Any) -> dict[str, Any]:
    """Return a good site with one value changed, by dotted key."""
    data = site_data()
    target: Any = data
    *parents, last = key.split(".")
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value
    return data


def _names(model: type[BaseModel], prefix: str = "") -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        section = section_of(field)
        names |= {f"{prefix}{name}"} if section is None else _names(section, f"{prefix}{name}.")
    return names


def _keys(data: Any, prefix: str = "") -> set[str]:
    if isinstance(data, list):
        return set().union(*(_keys(item, prefix) for item in data))
    if not isinstance(data, dict):
        return {prefix.removesuffix(".")}
    return set().union(*(_keys(value, f"{prefix}{key}.") for key, value in data.items()))


def test_example_loads() -> None:
    site = load_site(EXAMPLE, environment=CREDENTIALS)

    assert site.sources[0].uri == "rtsp://installer:p%40ss%2Fword@192.0.2.10/stream1"
    assert site.sources[1].uri == str(EXAMPLE.parent / "../recordings/yard.mp4")


def test_example_shows_every_setting() -> None:
    text = EXAMPLE.read_text()
    # The other one of each pair is shown in a comment.
    exclusive = {"decision.release_at_or_above", "mqtt.password_file"}

    shown = {name for name in _keys(yaml.safe_load(text)) if ".overrides." not in name}
    # Overrides have the keys of the sections that they override.
    names = {name for name in _names(SiteSettings) if ".overrides." not in name}

    assert shown == names - exclusive
    assert all(f"# {name.rpartition('.')[2]}:" in text for name in exclusive)


def test_relative_paths_are_relative_to_the_site_file(tmp_path: Path) -> None:
    data = site_data()
    data["classifier"]["config_file"] = "nvinfer/sgie.txt"
    data["mqtt"]["tls"] = {"ca_file": "ca.pem"}
    data["video"] = {"annotated_file": "out/a.mp4"}
    data["recording"] = "/var/log/r.jsonl"
    data["sources"] = [
        {"id": "a", "uri": "clips/a.mp4"},
        {"id": "b", "uri": "file://clips/b 1.mp4"},
        {"id": "c", "uri": "/clips/c.mp4"},
        {"id": "d", "uri": "https://example.org/d.mp4"},
    ]

    site = load_site(_write(tmp_path, data))

    assert site.classifier.config_file == tmp_path / "nvinfer/sgie.txt"
    assert site.mqtt.tls is not None
    assert site.mqtt.tls.ca_file == tmp_path / "ca.pem"
    assert site.video.annotated_file == tmp_path / "out/a.mp4"
    assert site.recording == Path("/var/log/r.jsonl")
    assert [source.uri for source in site.sources] == [
        str(tmp_path / "clips/a.mp4"),
        (tmp_path / "clips/b 1.mp4").as_uri(),
        "/clips/c.mp4",
        "https://example.org/d.mp4",
    ]


def test_folder_becomes_one_source_for_each_video_file(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("b day.MP4", "a.mp4", "a.mkv", "notes.txt"):
        (clips / name).touch()
    data = _with("sources.0", {"id": "yard", "uri": "clips", "loop": True})

    site = load_site(_write(tmp_path, data))

    assert [(source.id, source.uri, source.loop) for source in site.sources] == [
        ("yard-a-mkv", str(clips / "a.mkv"), True),
        ("yard-a-mp4", str(clips / "a.mp4"), True),
        ("yard-b-day", str(clips / "b day.MP4"), True),
    ]


def test_folder_without_video_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path, _with("sources.0.uri", str(tmp_path)))

    with pytest.raises(
        SettingsError, match=r"sources: cam1: .* holds no video file, want some of"
    ):
        load_site(path)


def test_overrides_change_single_values_and_their_paths_start_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path, site_data())
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    site = load_site(
        path,
        [
            "mqtt.port=1884",
            "video.annotated_file=a.mp4",
            "sources.0.uri=b.mp4",
            "recording=r.jsonl",
            "mqtt.tls={ca_file: ca.pem}",
        ],
    )

    assert site.mqtt.port == 1884
    assert site.video.annotated_file == here / "a.mp4"
    assert site.sources[0].uri == str(here / "b.mp4")
    assert site.recording == here / "r.jsonl"
    assert site.mqtt.tls is not None
    assert site.mqtt.tls.ca_file == here / "ca.pem"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mqtt.port", r"--set mqtt.port: want KEY=VALUE"),
        ("sources.3.loop=true", r"--set sources.3.loop=true: 3, want an index from 0 to 0"),
        ("site.name=x", r"--set site.name=x: site has no keys of its own"),
        ("mqtt.prt=1", r"site.yaml: mqtt.prt: unknown key, did you mean port\?"),
        ("mqtt.port=[", r"--set mqtt.port=\[: want a YAML value after ="),
    ],
)
def test_override_that_does_not_fit_is_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_site(_write(tmp_path, site_data()), [override])


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
        load_site(_write(tmp_path, _with(key, value)))


def test_threshold_that_no_score_can_pass_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, site_data(threshold=0, alert_when="below"))

    with pytest.raises(
        SettingsError, match=r"decision.threshold: 0, want above 0 with alert_when below: no score"
    ):
        load_site(path)


def test_boolean_settings_take_the_booleans_of_yaml(tmp_path: Path) -> None:
    site = load_site(_write(tmp_path, site_data()), ["sources.0.loop=yes"])

    assert site.sources[0].loop is True


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    data = _with("mqtt.port", 0)
    data["decision"]["threshold"] = -1

    with pytest.raises(SettingsError) as caught:
        load_site(_write(tmp_path, data))

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
        load_site(_write(tmp_path, text))


def test_missing_file_folder_and_binary_are_told_apart(tmp_path: Path) -> None:
    binary = tmp_path / "video.mp4"
    binary.write_bytes(b"\xff\xfe\x00\x80")

    with pytest.raises(SettingsError, match=r"none.yaml: no such site file; see"):
        load_site(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match=r"a folder, want a site file in it"):
        load_site(tmp_path)
    with pytest.raises(SettingsError, match=r"video.mp4: not UTF-8 text, want a YAML site file"):
        load_site(binary)


def test_placeholder_without_variable_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path, _with("sources.0.uri", "rtsp://${CAM}@h/1"))

    with pytest.raises(
        SettingsError, match=r"sources.0.uri: \$\{CAM\} is not set in the environment; export CAM"
    ):
        load_site(path, environment={})


def test_placeholder_may_be_the_whole_uri(tmp_path: Path) -> None:
    path = _write(tmp_path, _with("sources.0.uri", "${CAM}"))

    site = load_site(path, environment={"CAM": "rtsp://u:p@h/1"})

    assert site.sources[0].uri == "rtsp://u:p@h/1"


def test_password_in_a_file_that_everybody_may_read_is_refused_without_showing_it(
    tmp_path: Path,
) -> None:
    path = _write(tmp_path, _with("sources.0.uri", "rtsp://admin:hunter2@h/1"))
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
        load_site(_write(tmp_path, data))

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
    path = _write(tmp_path, _with("sources.0.kind", 1))

    with pytest.raises(SettingsError, match=r"sources\.0\.kind: unknown key") as caught:
        load_site(path)

    assert "at least 1 item" not in str(caught.value)
