"""Small models that really compute, with all the files that lie beside them and their engines.

An "engine" here is an ONNX file that ONNX Runtime runs: the same as its model, or damaged.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.engine.onnx_runner import OnnxRunner
from ropewatch.engine_manifest import EngineManifest, engine_manifest_of
from ropewatch.files import sha256_of
from ropewatch.golden import ONNX_RUNTIME, Golden, golden_of
from ropewatch.manifest import FileFact, Manifest, manifest_of
from ropewatch.rope_head import RoiPooling, RopeHead, head_of

SIDE = 8
LABELS = ("rope_ok", "rope_not_ok")
# Columns x1, y1, x2, y2, score, class. The second is the first one's shadow, which NMS removes.
PERSONS = np.array(
    [
        [10, 10, 50, 100, 0.90, 0],
        [12, 10, 50, 100, 0.80, 0],
        [100, 20, 140, 120, 0.60, 0],
        [200, 20, 240, 120, 0.40, 0],
        [300, 20, 340, 120, 0.02, 0],
        [400, 20, 440, 120, 0.01, 0],
    ],
    np.float32,
)


def weights(seed: int = 0) -> npt.NDArray[np.float32]:
    """Pixels to logits that spread over both labels: (3 * SIDE * SIDE, 2)."""
    random = np.random.default_rng(seed)
    return (random.normal(0, 1.2, (3 * SIDE * SIDE, 2)) / SIDE).astype(np.float32)


def classifier(matrix: npt.NDArray[Any], *nodes: Any, **more: Any) -> onnx.ModelProto:
    """Softmax of pixels @ matrix, then further nodes from `raw` to `probabilities`."""
    last = nodes or (helper.make_node("Identity", ["raw"], ["probabilities"]),)
    chain = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["raw"], axis=1),
        *last,
    ]
    held = {"matrix": matrix.astype(np.float32), **more.get("held", {})}
    return _model(chain, held, "probabilities", more.get("shape", ["batch", 2]))


def backbone(gain: float = 1.0) -> onnx.ModelProto:
    """Pixels as they are, in cells of two: (batch, 3, SIDE / 2, SIDE / 2)."""
    chain = [
        helper.make_node("AveragePool", ["images"], ["map"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Mul", ["map", "gain"], ["features"]),
    ]
    held = {"gain": np.array([gain, 1, 1], np.float32).reshape(1, 3, 1, 1)}
    return _model(chain, held, "features", ["batch", 3, SIDE // 2, SIDE // 2])


def head() -> RopeHead:
    """Looks at the first channel most."""
    weight = np.array([[9, 1, 0], [-9, 0, 1]], np.float32)
    pooling = RoiPooling(patch_px=2, roi_out=(2, 2), sampling_ratio=2, aligned=True, reduce="mean")
    return RopeHead(LABELS, pooling, "gelu", (weight,), (np.zeros(2, np.float32),))


def detector(persons: npt.NDArray[Any]) -> onnx.ModelProto:
    """The same persons in each picture; brighter pictures raise every score a little."""
    gain = np.array([0, 0, 0, 0, 0.02, 0], np.float32)
    chain = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["bright"]),
        helper.make_node("Mul", ["bright", "gain"], ["more"]),
        helper.make_node("Add", ["more", "persons"], ["detections"]),
    ]
    held: dict[str, npt.NDArray[Any]] = {
        "gain": gain,
        "persons": persons.astype(np.float32),
        "last": np.array([3], np.int64),
    }
    return _model(chain, held, "detections", ["batch", len(persons), 6])


def _model(
    chain: list[Any], held: dict[str, npt.NDArray[Any]], output: str, shape: list[Any]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        chain,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pixels(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (count, 3, SIDE, SIDE)).astype(np.uint8)


def publish(folder: Path, model: onnx.ModelProto, *, name: str, count: int = 8) -> Path:
    """Write an ONNX with its golden outputs and manifest; return the ONNX."""
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    output = model.graph.output[0].name
    kind = "detector" if output == "detections" else "classifier"
    modes = {"detections": None, "probabilities": "crop", "features": "backbone"}
    facts: dict[str, Any] = {
        "format": "ropewatch-model-1",
        "kind": kind,
        "mode": modes[output],
        "onnx": _fact(path),
        "weights": {"file": "best.pt", "sha256": "0" * 64, "size_bytes": 5},
        "opset": 17,
        "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, SIDE, SIDE]}],
        "outputs": [
            {"name": output, "dtype": "float32", "shape": ["batch", 2 if kind[0] == "c" else 6]}
        ],
        "preprocessing": {
            "net_scale_factor": 1 / 255,
            "offsets": [127.5, 127.5, 127.5],
            "model_color_format": "RGB",
            "maintain_aspect_ratio": False,
            "symmetric_padding": False,
            "scaling_filter": 1,
        },
        "labels": LABELS if kind == "classifier" else ["person"],
        "operators": {"MatMul": 1},
        "parity": [{"quantity": "p", "batch": 1, "max_abs_difference": 0, "tolerance": 1e-5}],
        "versions": {"torch": "2.12"},
    }
    if output == "features":
        head_of(path).write_bytes(head().to_bytes())
        facts["head"] = _fact(head_of(path))
    bare = Golden(
        pixels(count), {}, {output: np.zeros((1, 1), np.float32)}, {"reference": ONNX_RUNTIME}
    )
    answer = OnnxRunner(path).run(bare.feeds(Manifest.model_validate(facts)))
    Golden(bare.pixels, {}, answer, bare.origin).save(golden_of(path))
    facts["golden"] = _fact(golden_of(path))
    manifest_of(path).write_text(json.dumps(facts), encoding="utf-8")
    return path


def build(
    onnx_path: Path,
    content: onnx.ModelProto,
    *,
    precision: str = "fp16",
    batches: tuple[int, int, int] = (1, 4, 16),
) -> Path:
    """Write an "engine" with its manifest beside an ONNX; return the engine."""
    engine = onnx_path.with_name(f"{onnx_path.name}_b{batches[2]}_gpu0_{precision}.engine")
    onnx.save(content, engine)
    limits = dict(
        zip(("min", "opt", "max"), ((size, 3, SIDE, SIDE) for size in batches), strict=True)
    )
    manifest = EngineManifest.model_validate(
        {
            "format": "ropewatch-engine-1",
            "onnx": onnx_path.name,
            "onnx_sha256": sha256_of(onnx_path),
            "built_from": _fact(onnx_path),
            "engine": _fact(engine),
            "machine": {
                "tensorrt": "10.3.0",
                "cuda": "12.6",
                "gpu": "Orin",
                "compute_capability": "8.7",
            },
            "precision": precision,
            "recipe": "plain",
            "road": "python",
            "profile": {"images": limits},
            "flags": (),
            "workspace_bytes": 1 << 28,
            "timing_cache": None,
            "cache_key": "1" * 64,
            "ladder": [{"recipe": "plain", "outcome": "passed", "reason": ""}],
            "built_at": "2026-01-02T03:04:05+00:00",
            "build_s": 3.5,
            "ropewatch": "0.1.0",
        }
    )
    engine_manifest_of(engine).write_text(manifest.model_dump_json(), encoding="utf-8")
    return engine


def _fact(path: Path) -> dict[str, Any]:
    fact = FileFact(file=path.name, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    return fact.model_dump()
