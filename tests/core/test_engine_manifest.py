"""Engine names as nvinfer makes them, and the manifest beside an engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from ropewatch.engine_manifest import EngineManifest, engine_manifest_of
from ropewatch.engine_names import ENGINE_NAME, engine_name
from ropewatch.errors import ModelError
from ropewatch.manifest import onnx_of_engine

FACT = {"file": "a", "sha256": "0" * 64, "size_bytes": 1}


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "format": "ropewatch-engine-1",
        "onnx": "rope.onnx",
        "onnx_sha256": "0" * 64,
        "built_from": FACT,
        "engine": FACT,
        "machine": {
            "tensorrt": "10.3.0",
            "cuda": "12.6",
            "gpu": "Orin",
            "compute_capability": "8.7",
        },
        "precision": "fp16",
        "recipe": "typed-fp16",
        "road": "python",
        "profile": {"images": {"min": [1, 3, 8, 8], "opt": [4, 3, 8, 8], "max": [4, 3, 8, 8]}},
        "flags": [],
        "workspace_bytes": 1,
        "timing_cache": None,
        "cache_key": "0" * 64,
        "ladder": [],
        "built_at": "2026-01-02T03:04:05+00:00",
        "build_s": 1.5,
        "ropewatch": "0.1.0",
        **changes,
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        # TrtModelBuilder::buildModel: path, _b, maxBatchSize, _, gpu or dla, _, network mode.
        ({"batch": 4, "precision": "fp16"}, "det.onnx_b4_gpu0_fp16.engine"),
        ({"batch": 1, "precision": "int8", "device": "gpu1"}, "det.onnx_b1_gpu1_int8.engine"),
        ({"batch": 16, "precision": "best", "device": "dla1"}, "det.onnx_b16_dla1_best.engine"),
    ],
)
def test_engine_is_named_as_nvinfer_names_it(arguments: dict[str, Any], name: str) -> None:
    assert engine_name("det.onnx", **arguments) == name
    match = ENGINE_NAME.fullmatch(name)
    assert match is not None
    assert (match["onnx"], int(match["batch"])) == ("det.onnx", arguments["batch"])
    assert match["precision"] == arguments["precision"]


def test_manifest_of_an_engine_is_read(tmp_path: Path) -> None:
    path = engine_manifest_of(tmp_path / "x.engine")
    path.write_text(json.dumps(facts()))

    manifest = EngineManifest.load(path)

    assert path.name == "x.engine.manifest.json"
    assert manifest.machine.tensorrt_release == (10, 3)
    assert manifest.profile["images"].max == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"x\.json: manifest: Invalid JSON"),
        (json.dumps(facts(surprise=1)), "surprise: Extra inputs are not permitted, want an eng"),
        (json.dumps(facts(precision="best")), "precision: Input should be 'fp32', 'fp16' or 'in"),
    ],
)
def test_manifest_that_says_something_else_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(ModelError, match=message):
        EngineManifest.load(tmp_path / "x.json")


def test_missing_manifest_is_named_with_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No such file.*`ropewatch engine build` writes beside"):
        EngineManifest.load(tmp_path / "x.json")


def test_engine_of_another_onnx_than_the_file_is_refused(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "demo" / "models"
    for name in ("rope.onnx", "rope.onnx.manifest.json"):
        (tmp_path / name).write_bytes((demo / name).read_bytes())
    engine = tmp_path / "rope.onnx_b4_gpu0_fp16.engine"
    engine_manifest_of(engine).write_text(json.dumps(facts()))

    with pytest.raises(ModelError, match=r"built from an rope\.onnx of sha256 000000000000\.\.\."):
        onnx_of_engine(engine)
