"""Parity of the demo's site, over its real graph on the CPU stand-ins."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ropewatch.cli import main
from ropewatch.errors import ModelError, RopewatchError
from ropewatch.load import load_site
from tests.pipeline.frame_site import write_frame_models

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("gi")
checkpoints = pytest.importorskip("export.checkpoints")
models = pytest.importorskip("export.chain.models")

pytestmark = [pytest.mark.export, pytest.mark.gst]
ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "configs"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of the demo's clips, of 1280 x 720 and of 960 x 540 px."""
    folder = tmp_path_factory.mktemp("pictures")
    for clip in ("site-a", "site-b"):
        capture = cv2.VideoCapture(str(ROOT / f"demo/clips/{clip}.mp4"))
        capture.set(cv2.CAP_PROP_POS_FRAMES, 100)
        taken, frame = capture.read()
        assert taken
        cv2.imwrite(str(folder / f"{clip}.png"), frame)
    return folder


def _config(name: str, folder: Path, **changes: str | None) -> Path:
    """One of the demo's configurations with absolute paths; None takes a key out."""
    lines = []
    for line in (CONFIGS / "nvinfer" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        given = key.replace("-", "_") in changes
        if equals and given:
            value = changes[key.replace("-", "_")] or ""
        if given and not value:
            continue
        if value.startswith("../"):
            value = str((CONFIGS / "nvinfer" / value).resolve())
        lines.append(f"{key}{equals}{value}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def _parity(output: Path, pictures: Path, *more: str) -> tuple[int, dict[str, Any]]:
    site = str(CONFIGS / "dev-cpu.yaml")
    command = ["parity", "--site", site, "--images", str(pictures), "--output", str(output)]
    code = main([*command, *more])
    return code, json.loads((output / "parity.json").read_text())


def test_parity_of_the_demo_agrees_and_says_what_could_not_be_run(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = _parity(tmp_path, pictures)

    assert (code, found["agree"], found["causes"], found["refused"]) == (0, True, [], [])
    (graph,) = found["comparisons"]
    assert graph["other"] == "graph"
    assert graph["matched"] >= 4
    assert (graph["missed"], graph["extra"]) == (0, 0)
    notes = {column["key"]: column["note"] for column in found["columns"]}
    assert notes["pytorch"] == "no weights were given (--weights)"
    assert notes["engine"].startswith("no TensorRT here: ")
    assert "agrees" in capsys.readouterr().out
    page = (tmp_path / "parity.html").read_text()
    assert "2 of 4 columns ran, and agree" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "<script" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("person", "rope", "causes"),
    [
        (
            {"model_color_format": "1"},
            {"model_color_format": "1"},
            {"demo_person.txt": "model-color-format=1", "demo_rope.txt": "model-color-format=1"},
        ),
        (
            {"maintain_aspect_ratio": "0"},
            {"net_scale_factor": None},
            {
                "demo_person.txt": "maintain-aspect-ratio=0",
                "demo_rope.txt": "net-scale-factor=1",
            },
        ),
        ({"symmetric_padding": "0"}, {}, {"demo_person.txt": "symmetric-padding=0"}),
        ({"scaling_filter": "0"}, {}, {"demo_person.txt": "scaling-filter=0"}),
        ({"net_scale_factor": None}, {}, {"demo_person.txt": "net-scale-factor=1"}),
    ],
)
def test_parity_names_the_setting_that_is_wrong(
    pictures: Path,
    tmp_path: Path,
    person: dict[str, str | None],
    rope: dict[str, str | None],
    causes: dict[str, str],
) -> None:
    detector = _config("demo_person.txt", tmp_path, **person)
    classifier = _config("demo_rope.txt", tmp_path, **rope)

    code, found = _parity(
        tmp_path / "out",
        pictures,
        *("--set", f"detector.config_file={detector}"),
        *("--set", f"classifier.config_file={classifier}"),
    )

    assert code == 1
    assert not found["agree"]
    assert {cause["config"]: cause["setting"] for cause in found["causes"]} == causes
    assert all("RW201" in line for line in found["refused"])
    assert "Likely cause: " in (tmp_path / "out/parity.html").read_text()


@pytest.mark.slow
def test_parity_with_pytorch_is_rounding(pictures: Path, tmp_path: Path) -> None:
    from export.classifier import export_classifier  # noqa: PLC0415 (torch, which may be absent)
    from export.classifier_model import Architecture, build_roi_classifier  # noqa: PLC0415

    torch.manual_seed(0)
    model = build_roi_classifier(
        Architecture(
            labels=("roped", "unroped"),
            crop_wh=(48, 80),
            backbone_kwargs={"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5},
            hidden=(16,),
        )
    )
    checkpoints.save_checkpoint(model, tmp_path / "tiny.pt")
    onnx = export_classifier(tmp_path / "tiny.pt", output_dir=tmp_path)
    red, green, blue = (255 * value for value in model.architecture.mean)
    config = _config(
        "demo_rope.txt",
        tmp_path,
        model_engine_file=f"{onnx}_b16_gpu0_fp16.engine",
        infer_dims="3;80;48",
        offsets=f"{red};{green};{blue}",
    )

    code, found = _parity(
        tmp_path / "out",
        pictures,
        *("--set", f"classifier.config_file={config}"),
        *("--weights", str(tmp_path / "tiny.pt")),
    )

    assert code == 0
    pytorch, graph = found["comparisons"]
    assert (pytorch["other"], graph["other"]) == ("pytorch", "graph")
    assert pytorch["matched"] == graph["matched"] >= 4
    assert pytorch["probability"] < 1e-5
    notes = {column["key"]: column["note"] for column in found["columns"]}
    assert notes["pytorch"] == ("detector: no weights given, as the ONNX; classifier: tiny.pt")


def test_parity_refuses_weights_of_another_export(pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"weights of something else")
    site = load_site(CONFIGS / "dev-cpu.yaml")
    demo = [
        models.read_model(site.detector.config_file, kind="detector"),
        models.read_model(site.classifier.config_file, kind="classifier"),
    ]

    with pytest.raises(ModelError, match=r"other\.pt: sha256 .*, want person\.pt .* of person"):
        models.require_use([other], demo)
    with pytest.raises(ModelError, match="no such file, want a checkpoint; fix --weights"):
        models.require_use([tmp_path / "absent.pt"], demo)


def test_parity_refuses_a_model_of_the_other_kind() -> None:
    site = load_site(CONFIGS / "dev-cpu.yaml")

    with pytest.raises(ModelError, match=r"its model is a detector \(frames\), want a classifier"):
        models.read_model(site.detector.config_file, kind="classifier")


def test_parity_refuses_a_backbone(tmp_path: Path) -> None:
    write_frame_models(tmp_path)

    with pytest.raises(ModelError, match=r"\(backbone\), want a classifier of a site"):
        models.read_model(tmp_path / "frames.txt", kind="classifier")


def test_parity_refuses_a_configuration_without_an_onnx(tmp_path: Path) -> None:
    config = _config("demo_rope.txt", tmp_path, model_engine_file="nothing.engine")

    with pytest.raises(
        ModelError, match="no ONNX, want model-engine-file or onnx-file that leads"
    ):
        models.read_model(config, kind="classifier")


def test_parity_of_pictures_without_people_is_no_agreement(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "grey.png"), np.full((720, 1280, 3), 128, np.uint8))
    command = ["parity", "--site", str(CONFIGS / "dev-cpu.yaml"), "--images", str(pictures)]

    assert main([*command, "--output", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_parity_says_what_the_graph_said_when_it_fails(pictures: Path, tmp_path: Path) -> None:
    from export.chain.frames import read_frame  # noqa: PLC0415 (cv2)
    from export.chain.graph import run_graph  # noqa: PLC0415 (the same)

    site = load_site(
        CONFIGS / "dev-cpu.yaml", overrides=[f"tracker.ll_config_file={tmp_path / 'absent.yml'}"]
    )
    frame = read_frame(pictures / "site-a.png", frame_wh_px=(1280, 720))

    with pytest.raises(RopewatchError, match=r"0 of 1 pictures judged once(.|\n)*absent\.yml"):
        run_graph(site, [frame], tmp_path)


def test_graph_of_parity_reaches_neither_broker_nor_disk_of_the_site(tmp_path: Path) -> None:
    from export.chain.graph import site_document  # noqa: PLC0415 (cv2)

    site = load_site(
        CONFIGS / "dev-cpu.yaml",
        overrides=["mqtt.host=broker.example", "recording=/var/lib/site.jsonl"],
    )

    document = site_document(site, ["picture-0"], tmp_path, port=1)

    text = yaml.safe_dump(document)
    assert "broker.example" not in text
    assert document["recording"] == str(tmp_path / "recording.jsonl")
    assert [source["uri"] for source in document["sources"]] == [str(tmp_path / "picture-0.y4m")]
    assert not re.search(r"state_dir|annotated_file", text)


def test_frame_is_what_its_planes_show(pictures: Path, tmp_path: Path) -> None:
    from export.chain.frames import read_frame, write_y4m  # noqa: PLC0415 (cv2)

    frame = read_frame(pictures / "site-b.png", frame_wh_px=(640, 360))
    write_y4m(frame, tmp_path / "f.y4m")

    head, marker, planes = (tmp_path / "f.y4m").read_bytes().split(b"\n", 2)
    assert (head.split()[:3], marker) == ([b"YUV4MPEG2", b"W640", b"H360"], b"FRAME")
    shown = cv2.cvtColor(np.frombuffer(planes, np.uint8).reshape(540, 640), cv2.COLOR_YUV2RGB_I420)
    np.testing.assert_array_equal(shown, frame.rgb)
    with pytest.raises(ModelError, match="muxer: 641x360, want even sides"):
        read_frame(pictures / "site-b.png", frame_wh_px=(641, 360))
