from pathlib import Path

import pytest

from ropewatch.load import load_site
from ropewatch.settings import AlertWhen
from tests.house.tree import ROOT

CONFIGS = ROOT / "configs"
SITES = sorted(CONFIGS.glob("*.yaml"))
# What a site file may take from the environment.
ENVIRONMENT = {"CAMERA_USER": "user", "CAMERA_PASSWORD": "secret"}


@pytest.mark.parametrize("path", SITES, ids=lambda p: p.name)
def test_site_file_loads(path: Path) -> None:
    site = load_site(path, environment=ENVIRONMENT)

    assert site.sources


@pytest.mark.parametrize("path", SITES, ids=lambda p: p.name)
def test_site_file_names_nvinfer_and_tracker_files_that_are_there(path: Path) -> None:
    site = load_site(path, environment=ENVIRONMENT)

    for file in (
        site.detector.config_file,
        site.classifier.config_file,
        site.tracker.ll_config_file,
    ):
        assert file.is_file(), file


def test_box_carries_the_operating_point_of_the_models_report() -> None:
    site = load_site(CONFIGS / "jetson.yaml")

    assert (site.muxer.width_px, site.muxer.height_px) == (1280, 720)
    assert site.decision.threshold == 0.461
    assert site.classifier.score_label == "rope_not_ok"
    assert site.classifier.alert_when is AlertWhen.AT_OR_ABOVE
    expansion = site.classifier.expansion
    assert (expansion.x_each_side, expansion.y_top, expansion.y_bottom) == (1.0, 0.2, 1.5)
