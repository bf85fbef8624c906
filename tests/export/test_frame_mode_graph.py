"""From a checkpoint to scores: the backbone that export makes, in the graph, against PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.broker import PrivateBroker
from ropewatch.boxes import ltwh_to_xyxy
from ropewatch.cli import main
from ropewatch.manifest import load_verified
from tests.pipeline.running import run
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
checkpoints = pytest.importorskip("export.checkpoints")
frame = pytest.importorskip("export.frame")
model_module = pytest.importorskip("export.classifier_model")

pytestmark = [pytest.mark.export, pytest.mark.gst, pytest.mark.broker]

NETWORK_WH = (160, 96)
MUXER_WH = (640, 384)


def tiny_vit() -> Any:
    torch.manual_seed(6)
    model = model_module.build_roi_classifier(
        model_module.Architecture(
            labels=("roped", "unroped"),
            crop_wh=(48, 80),
            backbone_kwargs={"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5},
            hidden=(16,),
        )
    ).eval()
    with torch.no_grad():
        model.head[-1].weight.mul_(20)  # otherwise all probabilities are about one half
    return model


def write_config(folder: Path, onnx: Path) -> Path:
    wanted = load_verified(onnx).preprocessing
    file = folder / "frames.txt"
    file.write_text(
        f"""[property]
gie-unique-id=2
process-mode=1
network-type=100
onnx-file={onnx.name}
infer-dims=3;{NETWORK_WH[1]};{NETWORK_WH[0]}
net-scale-factor={wanted.net_scale_factor:.17g}
offsets={";".join(f"{one:.9g}" for one in wanted.offsets)}
batch-size=1
scaling-filter={wanted.scaling_filter}
output-tensor-meta=1
"""
    )
    return file


def test_graph_gives_the_scores_of_the_checkpoint(broker: PrivateBroker, tmp_path: Path) -> None:
    models, model = tmp_path / "models", tiny_vit()
    write_models(models)
    checkpoints.save_checkpoint(model, models / "rope.pt")
    size = "x".join(map(str, NETWORK_WH))
    export = ["export", "classifier", "--mode", "frame", "--parts", "two", "--frame-wh", size]
    assert main([*export, "--weights", str(models / "rope.pt"), "--output", str(models)]) == 0
    shades = [("black", 10), ("white", 10)]
    site = tiny_site(
        models,
        {"cam": str(make_clip(tmp_path / "a.mp4", shades, wh=MUXER_WH))},
        muxer={"width_px": MUXER_WH[0], "height_px": MUXER_WH[1], "fps": 10},
        classifier={
            "config_file": write_config(models, models / "rope.backbone.onnx"),
            "mode": "frame",
            "score_label": "unroped",
            "alert_when": "at_or_above",
        },
        mqtt={"host": broker.host, "port": broker.port},
    )

    ran = run(site, tmp_path)

    assert ran.code == 0, ran.output
    people = [row["persons"][0] for row in ran.frames]
    assert len(people) == 20
    rois = (ltwh_to_xyxy([people[0]["crop_ltwh_px"]]) / 4).astype(np.float32)
    for person, value in ((people[0], 0), (people[-1], 255)):
        pixels = np.full((1, 3, NETWORK_WH[1], NETWORK_WH[0]), value, np.uint8)
        wanted = frame.frame_probabilities(model, pixels, rois, np.zeros(1, np.int64))[0, 1]
        assert person["score"] == pytest.approx(wanted, abs=1e-5)
    assert abs(people[0]["score"] - people[-1]["score"]) > 1e-3, "the comparison says nothing"
