"""The tiny site with a classifier in frame mode: a backbone made by hand, and a random head.

The backbone is a patch embedding with positions, like a ViT without its blocks: a score depends
on the frame's brightness and on where in the frame the head looks.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ropewatch.manifest import manifest_of
from ropewatch.rope_head import RoiPooling, RopeHead, head_of
from tests.pipeline.tiny_site import write_models

# Half the muxer's 640x360, so boxes have to be scaled.
NETWORK_WH = (320, 180)
PATCH_PX = 20
CHANNELS = 4
LABELS = ("roped", "unroped")


def write_frame_models(folder: Path, *, interval: int = 0) -> Path:
    """Write the tiny site's models, and a backbone with its head and its nvinfer config.

    Args:
        folder: is made.
        interval: batches that the classifier skips between two looks.

    Returns:
        The backbone.
    """
    write_models(folder)
    backbone = folder / "rope.backbone.onnx"
    rng = np.random.default_rng(5)
    _write_backbone(backbone, rng)
    head_of(backbone).write_bytes(_head(rng).to_bytes())
    manifest_of(backbone).write_text(json.dumps(_manifest(backbone)))
    width, height = NETWORK_WH
    (folder / "frames.txt").write_text(
        f"""[property]
gie-unique-id=2
process-mode=1
network-type=100
onnx-file={backbone.name}
infer-dims=3;{height};{width}
net-scale-factor=0.00392156862745098
batch-size=2
interval={interval}
scaling-filter=1
output-tensor-meta=1
"""
    )
    return backbone


def _head(rng: np.random.Generator) -> RopeHead:
    # What every random part multiplies is small beside brightness, which decides.
    weight = rng.normal(0, 0.2, (2, CHANNELS)).astype(np.float32)
    weight[:, 0] = -4, 4
    bias = np.array([2, -2], np.float32)
    pooling = RoiPooling(
        patch_px=PATCH_PX, roi_out=(3, 2), sampling_ratio=2, aligned=True, reduce="mean"
    )
    return RopeHead(LABELS, pooling, "gelu", (weight,), (bias,))


def _write_backbone(path: Path, rng: np.random.Generator) -> None:
    width, height = NETWORK_WH
    rows, columns = height // PATCH_PX, width // PATCH_PX
    kernel = rng.normal(0, 0.01, (CHANNELS, 3, PATCH_PX, PATCH_PX)).astype(np.float32)
    kernel[0] = 1 / (3 * PATCH_PX**2)
    positions = rng.normal(0, 1, (1, CHANNELS, rows, columns)).astype(np.float32)
    positions[:, 0] *= 0.05
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "kernel"], ["patches"], strides=[PATCH_PX] * 2),
            helper.make_node("Add", ["patches", "positions"], ["features"]),
        ],
        "backbone",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 3, height, width])],
        [
            helper.make_tensor_value_info(
                "features", TensorProto.FLOAT, ["B", CHANNELS, rows, columns]
            )
        ],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(positions, "positions"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _fact(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }


def _manifest(backbone: Path) -> dict[str, object]:
    width, height = NETWORK_WH
    shape = ["batch", CHANNELS, height // PATCH_PX, width // PATCH_PX]
    return {
        "format": "ropewatch-model-1",
        "kind": "classifier",
        "mode": "backbone",
        "onnx": _fact(backbone),
        "weights": _fact(backbone),
        "head": _fact(head_of(backbone)),
        "opset": 17,
        "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, height, width]}],
        "outputs": [{"name": "features", "dtype": "float32", "shape": shape}],
        "preprocessing": {
            "net_scale_factor": 1 / 255,
            "offsets": [0, 0, 0],
            "model_color_format": "RGB",
            "maintain_aspect_ratio": False,
            "symmetric_padding": False,
            "scaling_filter": 1,
        },
        "labels": LABELS,
        "operators": {"Conv": 1, "Add": 1},
        "parity": [
            {"quantity": "map", "batch": 1, "max_abs_difference": 0, "tolerance": 1e-5},
        ],
        "versions": {},
    }
