"""The shipped nvinfer files and the manifests of the shipped models say the same."""

import configparser
from pathlib import Path

import pytest

from ropewatch.manifest import Manifest, load_verified, onnx_of_engine

CONFIGS = Path(__file__).parents[2] / "configs" / "nvinfer"
COLOURS = {"RGB": 0, "BGR": 1}


def of(name: str) -> tuple[configparser.SectionProxy, Manifest]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string((CONFIGS / name).read_text(encoding="utf-8"))
    properties = parser["property"]
    return properties, load_verified(onnx_of_engine(CONFIGS / properties["model-engine-file"]))


@pytest.mark.parametrize("name", ["demo_person.txt", "demo_rope.txt"])
def test_config_prepares_pixels_as_the_model_wants_them(name: str) -> None:
    properties, manifest = of(name)

    wanted = manifest.preprocessing
    offsets = [float(value) for value in properties.get("offsets", "0;0;0").split(";") if value]
    assert float(properties["net-scale-factor"]) == pytest.approx(wanted.net_scale_factor)
    assert offsets == pytest.approx(list(wanted.offsets))
    assert int(properties["model-color-format"]) == COLOURS[wanted.model_color_format]
    assert bool(int(properties["maintain-aspect-ratio"])) == wanted.maintain_aspect_ratio
    assert bool(int(properties.get("symmetric-padding", "0"))) == wanted.symmetric_padding
    assert int(properties["scaling-filter"]) == wanted.scaling_filter


@pytest.mark.parametrize("name", ["demo_person.txt", "demo_rope.txt"])
def test_config_names_the_size_and_the_labels_of_the_model(name: str) -> None:
    properties, manifest = of(name)

    width, height = manifest.network_wh_px
    text = (CONFIGS / properties["labelfile-path"]).read_text(encoding="utf-8")
    # A detector's file has a line a class, a classifier's one line with all of them.
    lines = text.splitlines()
    labels = lines if manifest.kind == "detector" else lines[0].strip(";").split(";")
    assert properties["infer-dims"] == f"3;{height};{width}"
    assert tuple(labels) == manifest.labels
    if manifest.kind == "detector":
        assert int(properties["num-detected-classes"]) == len(labels)
