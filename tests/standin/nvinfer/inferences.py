"""nvinfer on tiny models in ONNX Runtime, and what it made of a batch."""

from pathlib import Path
from typing import Any

import numpy as np

from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.nvinfer.config import load_config
from plugins.standin.nvinfer.inference import Inference
from tests.standin.nvinfer import tiny

PERSON = (100.0, 100.0, 40.0, 80.0)


def primary(folder: Path, rows: list[list[float]], text: str = "", **keys: Any) -> Inference:
    """A detector of 64x32; frames of 640x360 are 56x32 in it when letterboxed."""
    values = {
        "gie_unique_id": 1,
        "onnx_file": tiny.detector(folder / "person.onnx", rows),
        "custom_lib_path": tiny.PARSER,
        "parse_bbox_func_name": tiny.PARSE,
        "num_detected_classes": 1,
        "cluster_mode": 2,
        **keys,
    }
    return Inference(load_config(tiny.ini(folder / "pgie.txt", text, **values)))


def secondary(folder: Path, model: Path, **keys: Any) -> Inference:
    values = {
        "gie_unique_id": 2,
        "process_mode": 2,
        "network_type": 1,
        "onnx_file": model,
        "secondary_reinfer_interval": 0,
        "batch_size": 4,
        **keys,
    }
    return Inference(load_config(tiny.ini(folder / "sgie.txt", **values)))


def judge(folder: Path, **keys: Any) -> Inference:
    """A classifier whose first score is the mean of its input."""
    labels = folder / "labels.txt"
    labels.write_text("bright;dark\n")
    model = tiny.mean_classifier(folder / "rope.onnx")
    return secondary(folder, model, labelfile_path=labels, net_scale_factor=1 / 255, **keys)


def first_input(look: Inference, batch: NvDsBatchMeta) -> np.ndarray:
    """What the network is given for the first unit: (C, H, W) float32."""
    (pending,) = look.prepare(batch)
    assert pending.inputs is not None
    planes: np.ndarray = pending.inputs[0]
    return planes


def verdicts(batch: NvDsBatchMeta) -> list[list[str]]:
    return [
        [label.result_label for item in meta.classifiers for label in item.labels]
        for frame in batch.frames
        for meta in frame.objects
    ]
