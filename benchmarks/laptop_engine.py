"""ONNX Runtime against OpenVINO as the engine of the stand-in nvinfer.

Run from the checkout: python -m benchmarks.laptop_engine [MODEL.onnx ...]
OpenVINO is no dependency; install it into the environment to compare. The two take turns on the
same input, so that what else the machine does meets both; compare their ratio.
"""

import argparse
import importlib
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

Run = Callable[[npt.NDArray[np.float32]], list[npt.NDArray[Any]]]

MODELS = Path(__file__).parents[1] / "demo" / "models"
ROUNDS = 40


def onnx_runtime(path: Path, threads: int) -> Run:
    """Load a model as plugins/standin/nvinfer/session.py does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: list(session.run(None, {name: batch}))


def openvino(path: Path, threads: int) -> Run:
    """Load a model for latency, in float32."""
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = importlib.import_module("openvino").Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda batch: [np.array(value) for value in request.infer({0: batch}).values()]


def compare(path: Path, threads: int) -> str:
    """Return a line: model, threads, median times, their ratio, and the largest difference."""
    shape = onnxruntime.InferenceSession(str(path)).get_inputs()[0].shape
    sizes = [1 if isinstance(size, str) else size for size in shape]
    batch = np.random.default_rng(0).random(sizes, np.float32)
    runs = {"ort": onnx_runtime(path, threads), "openvino": openvino(path, threads)}
    outputs = [run(batch) for run in runs.values()]
    difference = max(float(np.abs(a - b).max()) for a, b in zip(*outputs, strict=True))
    wall: dict[str, list[float]] = {name: [] for name in runs}
    processor = dict.fromkeys(runs, 0.0)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began_s, spent_s = time.perf_counter(), time.process_time()
            run(batch)
            wall[name].append(time.perf_counter() - began_s)
            processor[name] += time.process_time() - spent_s
    ort, other = (1000 * statistics.median(times) for times in wall.values())
    return (
        f"{path.stem:24} {threads} threads  ONNX Runtime {ort:6.1f} ms  OpenVINO {other:6.1f} ms  "
        f"wall x{other / ort:.2f}  processor x{processor['openvino'] / processor['ort']:.2f}  "
        f"outputs differ by at most {difference:.1e}"
    )


def main() -> int:
    """Print a line for each model and number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    shipped = [MODELS / "person.onnx", MODELS / "rope.onnx"]
    parser.add_argument("models", type=Path, nargs="*", default=shipped)
    args = parser.parse_args()
    if importlib.util.find_spec("openvino") is None:
        print("not measured: OpenVINO is not installed; pip install openvino")
        return 0
    cores = len(os.sched_getaffinity(0))
    for path in args.models:
        for threads in sorted({1, cores}):
            print(compare(path, threads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
