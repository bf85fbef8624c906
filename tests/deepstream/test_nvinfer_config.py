"""What `run` reads of the nvinfer files; it refuses what `ropewatch check` calls wrong."""

import logging
import shutil
from pathlib import Path

import pytest

from deepstream.nvinfer_config import DEVICE_CODES, ENGINE_CODES, refuse_faults
from deepstream.plan import make_plan
from ropewatch.element_properties import since
from ropewatch.errors import ModelError
from ropewatch.lint.check import RULES, site_configs
from ropewatch.lint.config import Config
from ropewatch.lint.findings import Severity
from ropewatch.lint.rules_release import LIVE_PROPERTIES
from ropewatch.lint.source import read_config
from ropewatch.load import load_site
from ropewatch.nvinfer_keys import Release
from ropewatch.settings import SiteSettings
from tests.sites import site

BROKEN = Path(__file__).parents[1] / "lint" / "broken"
CLEAN = {"rope.config.txt": ("classifier-threshold=0.5", "classifier-threshold=0")}


def written(tmp_path: Path, text: str, name: str = "sgie.txt") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def read(file: Path) -> Config:
    return Config.of(read_config(file))


def refuse(site: SiteSettings, *, on_device: bool) -> None:
    refuse_faults(site_configs(site), on_device=on_device)


def site_with(tmp_path: Path, changes: dict[str, tuple[str, str]]) -> SiteSettings:
    """A site without faults, but for the given lines."""
    folder = tmp_path / "site"
    shutil.copytree(BROKEN / "RW302", folder)
    for name, (old, new) in [*CLEAN.items(), *changes.items()]:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
    return load_site(folder / "site.yaml")


def test_network_size_is_width_by_height(tmp_path: Path) -> None:
    config = read(written(tmp_path, "[property]\ninfer-dims=3;384;192\n"))

    assert config.network_wh_px == (192, 384)


def test_yaml_is_read_by_its_suffix(tmp_path: Path) -> None:
    text = "property:\n  infer-dims: 3;384;192\n  process-mode: 2\n"

    config = read(written(tmp_path, text, "sgie.yml"))

    assert config.integer("process-mode") == 2
    assert config.network_wh_px == (192, 384)


def test_a_site_without_faults_passes(tmp_path: Path) -> None:
    refuse(site_with(tmp_path, {}), on_device=True)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("rope", "process-mode=2", "process-mode=1", "RW304: process-mode=1, want 2"),
        ("rope", "output-tensor-meta=1", "", r"RW303: output-tensor-meta=0.*; set"),
        ("rope", "network-mode=2", "classifier-async-mode=1", "RW303: classifier-async-mode=1"),
        ("rope", "network-mode=2", "disable-output-host-copy=1", "readable on the host"),
        ("rope", "reinfer-interval=0", "reinfer-interval=30", "someone who unclips later"),
        ("rope", "secondary-reinfer-interval=0", "", "is endless, want 0: .*; set secondary-"),
        ("rope", "operate-on-gie-id=1", "operate-on-gie-id=7", "operate-on-gie-id=7, want 1"),
        ("rope", "gie-unique-id=2", "gie-unique-id=1", "RW305: gie-unique-id=1, want 2"),
        ("rope", "gie-unique-id=2", "gie-unique-id=two", "RW002: gie-unique-id: 'two', want an"),
        ("rope", "class-ids=0", "class-ids=5;6", "RW306: operate-on-class-ids without 0"),
        ("rope", "class-ids=0", "class-ids=a;b", "RW002: operate-on-class-ids: 'a;b', want"),
        ("rope", "network-mode=2", "input-object-min-widht=32", "write input-object-min-width"),
        ("person", "network-type=0", "network-type=1", "RW304: network-type=1, want 0"),
        ("person", "network-mode=2", "filter-out-class-ids=0;2", "filter-out-class-ids holds 0"),
    ],
)
def test_what_would_blind_the_decision_is_refused(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    changes = {f"{name}.config.txt": (old, new)}

    with pytest.raises(ModelError, match=rf"{name}\.config\.txt:\d+: .*{said}"):
        refuse(site_with(tmp_path, changes), on_device=True)


def test_every_error_is_said_at_once(tmp_path: Path) -> None:
    changes = {"rope.config.txt": ("output-tensor-meta=1", "classifier-threshold=0.3")}

    with pytest.raises(ModelError) as caught:
        refuse(site_with(tmp_path, changes), on_device=True)

    assert len(str(caught.value).splitlines()) == 2


def test_an_engine_that_is_too_small_matters_on_a_device_only(tmp_path: Path) -> None:
    small = ("batch-size=2\nmodel-engine-file=person.onnx_b2", "model-engine-file=person.onnx_b1")
    site = site_with(tmp_path, {"person.config.txt": small})

    refuse(site, on_device=False)

    with pytest.raises(ModelError, match="RW308"):
        refuse(site, on_device=True)


def test_codes_of_engines_exist() -> None:
    assert set(RULES) >= ENGINE_CODES
    assert RULES["RW001"].severity is Severity.WARNING


def test_a_key_that_looks_like_no_other_is_only_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"rope.config.txt": ("network-mode=2", "network-mode=2\nnew-in-9-5=1")}

    with caplog.at_level(logging.WARNING):
        refuse(site_with(tmp_path, changes), on_device=True)

    assert "code=RW001 what=new-in-9-5 in [property]" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("onnx-file=rope.onnx", r"RW307: onnx-file=rope\.onnx: .*; take onnx-file out"),
        ("custom-lib-path=gone.so", r"RW011: custom-lib-path: gone\.so: .*; correct the path"),
    ],
)
def test_what_check_warns_of_is_refused_where_it_runs_on_a_device(
    tmp_path: Path, text: str, said: str
) -> None:
    assert {RULES[code].severity for code in DEVICE_CODES} == {Severity.WARNING}
    changes = {"rope.config.txt": ("network-mode=2", f"network-mode=2\n{text}")}
    site = site_with(tmp_path, changes)

    refuse(site, on_device=False)

    with pytest.raises(ModelError, match=said):
        refuse(site, on_device=True)


def test_a_missing_config_names_the_key_in_the_site_file(tmp_path: Path) -> None:
    site = site_with(tmp_path, {})
    site.classifier.config_file.unlink()

    with pytest.raises(
        ModelError, match=r"rope\.config\.txt: no such file.*correct classifier\.config_file"
    ):
        site_configs(site)


def test_missing_infer_dims_say_what_they_are_for(tmp_path: Path) -> None:
    config = read(written(tmp_path, "[property]\nprocess-mode=2\n"))

    with pytest.raises(ModelError, match="the crop geometry needs the network's size"):
        _ = config.network_wh_px


def test_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a;b\n")
    config = read(written(tmp_path, "[property]\nlabelfile-path=labels.txt\nmean-file=gone\n"))

    assert config.file("labelfile-path") == tmp_path / "labels.txt"
    with pytest.raises(ModelError, match="no such file"):
        config.file("mean-file")
    with pytest.raises(ModelError, match="model-engine-file: missing"):
        config.file("model-engine-file")


def test_check_knows_every_property_of_the_graph_that_7_1_may_lack() -> None:
    plan = make_plan(site([{"id": "a", "uri": "rtsp://a"}, {"id": "b", "uri": "/b.mp4"}]))

    set_here = {(one.factory, name) for one in plan.elements for name in one.properties}

    lacking = {one for one in set_here if since(*one).has(Release.DS_7_1) is not True}
    assert lacking == set(LIVE_PROPERTIES)
