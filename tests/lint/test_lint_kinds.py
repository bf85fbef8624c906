"""What is somebody else's configuration is told apart by its groups and keys."""

from pathlib import Path

import pytest

from ropewatch.errors import ModelError
from ropewatch.lint.check import check_files


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.txt", "[property]\nenable=1\ntarget-unique-ids=1\n[group-0]\n", "nvdspreprocess"),
        ("a.yml", "property:\n  audio-framesize: 441\n  onnx-file: a\n", "nvinferaudio"),
        ("a.yml", "BaseConfig:\n  minDetectorConfidence: 0\n", "nvtracker's library"),
        ("a.yml", "%YAML:1.0\nTargetManagement:\n  probationAge: 0\n", "nvtracker's library"),
        ("a.txt", "[property]\nenable=1\n[roi-filtering-stream-0]\n", "nvdsanalytics"),
        ("a.txt", "infer_config {\n  unique_id: 1\n}\n", "nvinferserver"),
        ("a.yml", "infer_config {\n  unique_id: 1\n}\n", "nvinferserver"),
        ("a.txt", "[application]\n[source0]\n[primary-gie]\n", "a DeepStream program"),
        ("a.txt", "[sensor0]\nid=1\n", "nvmsgconv or nvmsgbroker"),
        ("a.txt", "[property]\nalgorithm-type=1\n", "nvstreammux or nvdsmetamux"),
        ("a.txt", "[property]\nnum-batch-buffers=4\n[surface0]\n", "nvdewarper"),
        ("a.yml", "property:\n  gie-unique-id: 1\n  network-type: 1\n", "nvdspostprocess"),
    ],
)
def test_another_configuration_is_named(tmp_path: Path, name: str, text: str, kind: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(ModelError) as caught:
        check_files([path])

    assert str(caught.value) == (
        f"{path}: a configuration of {kind}, want one of nvinfer or a site file; others are not "
        "checked"
    )


@pytest.mark.parametrize(
    ("name", "form"), [("a.yml", "YAML"), ("a.txt", "ini")], ids=["ini-in-yml", "yaml-in-txt"]
)
def test_a_suffix_that_does_not_fit_is_said(tmp_path: Path, name: str, form: str) -> None:
    path = tmp_path / name
    path.write_text("[property]\n" if form == "YAML" else "[other]\na=1\n")

    with pytest.raises(ModelError, match=rf"its suffix says that it is {form}, rename it"):
        check_files([path])


def test_of_several_documents_the_first_is_read_as_by_nvinfer(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("property:\n  onnx-file: a.onnx\n  gie-unique-id: 1\n---\nproperty: [\n")

    assert "RW011" in {one.code for one in check_files([path])}
