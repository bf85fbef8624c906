"""Site files become settings; they are written to a temporary folder."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ropewatch.errors import SettingsError
from ropewatch.faults import section_of
from ropewatch.load import load_site
from ropewatch.settings import SiteSettings
from tests.core.builders import site_data, site_with, write_site

EXAMPLE = Path(__file__).parents[2] / "configs" / "site.example.yaml"
CREDENTIALS = {"CAMERA_USER": "installer", "CAMERA_PASSWORD": "p@ss/word"}


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

    site = load_site(write_site(tmp_path, data))

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
    data = site_with("sources.0", {"id": "yard", "uri": "clips", "loop": True})

    site = load_site(write_site(tmp_path, data))

    assert [(source.id, source.uri, source.loop) for source in site.sources] == [
        ("yard-a-mkv", str(clips / "a.mkv"), True),
        ("yard-a-mp4", str(clips / "a.mp4"), True),
        ("yard-b-day", str(clips / "b day.MP4"), True),
    ]


def test_folder_without_video_is_named(tmp_path: Path) -> None:
    path = write_site(tmp_path, site_with("sources.0.uri", str(tmp_path)))

    with pytest.raises(
        SettingsError, match=r"sources: cam1: .* holds no video file, want some of"
    ):
        load_site(path)


def test_overrides_change_single_values_and_their_paths_start_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_site(tmp_path, site_data())
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
        load_site(write_site(tmp_path, site_data()), [override])


def test_boolean_settings_take_the_booleans_of_yaml(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path, site_data()), ["sources.0.loop=yes"])

    assert site.sources[0].loop is True


def test_placeholder_without_variable_is_named(tmp_path: Path) -> None:
    path = write_site(tmp_path, site_with("sources.0.uri", "rtsp://${CAM}@h/1"))

    with pytest.raises(
        SettingsError, match=r"sources.0.uri: \$\{CAM\} is not set in the environment; export CAM"
    ):
        load_site(path, environment={})


def test_placeholder_may_be_the_whole_uri(tmp_path: Path) -> None:
    path = write_site(tmp_path, site_with("sources.0.uri", "${CAM}"))

    site = load_site(path, environment={"CAM": "rtsp://u:p@h/1"})

    assert site.sources[0].uri == "rtsp://u:p@h/1"
