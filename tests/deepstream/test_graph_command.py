"""`ropewatch graph`: starts nothing, needs no password, and shows no graph that cannot be."""

import json
from pathlib import Path

import pytest

from ropewatch.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_graph_needs_no_variable_of_a_camera(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CAMERA_USER", raising=False)
    uri = "sources.0.uri=rtsp://${CAMERA_USER}:${CAMERA_PASSWORD}@192.0.2.11/${STREAM}"

    assert main(["graph", "--site", str(CONFIGS / "jetson.yaml"), "--set", uri]) == 0

    sources = json.loads(capsys.readouterr().out)["elements"]
    (shown,) = (one["properties"]["uri"] for one in sources if one["name"].endswith("east"))
    assert shown == "rtsp://***@192.0.2.11/${STREAM}"


@pytest.mark.parametrize("key", ["detector.config_file", "classifier.config_file"])
def test_a_graph_without_a_configuration_is_refused(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone.txt"

    code = main(["graph", "--site", str(CONFIGS / "jetson.yaml"), "--set", f"{key}={gone}"])

    assert code == 1
    said = f"{gone}: no such file, want an nvinfer configuration; correct {key}"
    assert said in capsys.readouterr().err
