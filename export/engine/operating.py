"""Where a site decides: the thresholds at which an engine is compared with the golden outputs."""

from pathlib import Path
from typing import Literal

from export.engine.judging import OperatingPoint
from ropewatch.lint.config import Config
from ropewatch.lint.source import read_config
from ropewatch.load import ANY_ENVIRONMENT, load_site
from ropewatch.nvinfer_keys import CLASS_KEYS


def operating_point(site: Path, kind: Literal["classifier", "detector"]) -> OperatingPoint:
    """The thresholds of a site's decisions, each camera's, or what its detector's file keeps.

    Args:
        site: the site file; variables in it need not be set.
        kind: of the model.

    Raises:
        SettingsError: the site cannot be used.
        ModelError: the detector's file cannot be read.
    """
    settings = load_site(site, environment=ANY_ENVIRONMENT)
    if kind == "classifier":
        found = {settings.judging(source.id).decision.threshold for source in settings.sources}
        return OperatingPoint(tuple(sorted(found)), origin=site.name)
    classes = Config.of(read_config(settings.detector.config_file)).classes
    groups = (str(settings.detector.person_class_id), "all")
    values = {
        key: next(
            (classes[group][key] for group in groups if key in classes.get(group, {})),
            CLASS_KEYS[key].default,
        )
        for key in ("pre-cluster-threshold", "nms-iou-threshold")
    }
    threshold, nms_iou = (float(str(value)) for value in values.values())
    return OperatingPoint((threshold,), nms_iou=nms_iou, origin=site.name)
