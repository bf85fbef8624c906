"""The stand-in's post-processing against NVIDIA's own source, on random cases.

`python -m benchmarks.postprocess_nvidia CHECKOUT --cases 100000`, a checkout of NVIDIA/DeepStream.
Its nvdsinfer_context_impl_output_parsing.cpp is compiled as it is, with the classes that its own
header declares; TensorRT, CUDA and the DBSCAN library, which it only names, are left out. Exit 1
at a difference. Nothing of NVIDIA's is kept.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.postprocess_cases import random_case
from plugins.standin.post_cases import answer

Json = dict[str, Any]

_SOURCES = Path("src/utils/nvdsinfer")
# What nvdsinfer_custom_impl.h names of TensorRT.
_TENSORRT = """#pragma once
namespace nvinfer1 {
class IBuilder; class IBuilderConfig; class ICudaEngine; class INetworkDefinition;
class IPluginFactory; enum class DataType : int;
}
"""
_HEADER = """#pragma once
#include <cstdarg>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>
#include <nvdsinfer_context.h>
#include <nvdsinfer_custom_impl.h>
#include <nvdsinfer_dbscan.h>
#define printError(...) fprintf(stderr, __VA_ARGS__)
#define private public
inline const char* safeStr(const char* text) { return text ? text : ""; }
inline const char* dataType2Str(NvDsInferDataType) { return ""; }
namespace nvdsinfer {
struct InferPostprocessor {
  InferPostprocessor(NvDsInferNetworkType, int, int) {}
  virtual ~InferPostprocessor() = default;
  void releaseFrameOutput(NvDsInferFrameOutput&);
  NvDsInferNetworkInfo m_NetworkInfo{};
  std::vector<NvDsInferLayerInfo> m_OutputLayerInfo;
  std::vector<std::vector<std::string>> m_Labels;
};
"""


def build(checkout: Path, folder: Path) -> Path:
    """Compile NVIDIA's source with our reader of cases around it."""
    source = "nvdsinfer_context_impl_output_parsing.cpp"
    shutil.copy(checkout / _SOURCES / source, folder)
    header = (checkout / _SOURCES / "nvdsinfer_context_impl.h").read_text()
    first = header.index("class DetectPostprocessor")
    classes = header[first : header.index("class OtherPostprocessor")]
    # Only what the source defines: the others' first virtual functions are elsewhere.
    for word in ("NvDsInferStatus initResource(", "NvDsInferStatus parseEachBatch("):
        while word in classes:
            start = classes.index(word)
            classes = classes[:start] + classes[classes.index(";", start) + 1 :]
    (folder / "nvdsinfer_context_impl.h").write_text(f"{_HEADER}{classes}}}\n")
    (folder / "NvInfer.h").write_text(_TENSORRT)
    for name in ("NvInferRuntime.h", "NvOnnxParser.h"):
        (folder / name).write_text("#pragma once\n")
    program = folder / "postprocess"
    ours = Path(__file__).with_name("nvidia_postprocess.cpp")
    command = ["g++", "-std=c++17", "-O2", "-w", f"-I{folder}", f"-I{checkout / 'includes'}"]
    subprocess.run([*command, ours, folder / source, "-o", program], check=True)
    return program


@contextmanager
def _running(program: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def written(case: Json) -> str:
    """Write a case as the program reads it; mode 0 with what NVIDIA's parser puts in its place."""
    if case["kind"] == "classify":
        rows = [line.split(";") for line in case["labels_text"].split("\n") if line]
        words: list[object] = ["classify", _bits(case["threshold"]), len(case["layers"])]
        for dims, layer in zip(case["params"]["dims"], case["layers"], strict=True):
            words += [len(dims), *dims, *map(_bits, layer)]
        words.append(len(rows))
        for row in rows:
            words += [len(row), *(f"={label}" for label in row)]
        return " ".join(map(str, words))
    params = case["params"]
    mode = params["cluster_mode"]
    words = ["detect", mode or 2, params["num_classes"]]
    for one in params["per_class"]:
        iou, topk = (one["nms_iou_threshold"], one["topk"]) if mode else (0.5, 20)
        words += [_bits(one[f"{when}_cluster_threshold"]) for when in ("pre", "post")]
        words += [_bits(iou), topk]
    words.append(len(case["candidates"]))
    for class_id, *numbers in case["candidates"]:
        words += [class_id, *map(_bits, numbers)]
    return " ".join(map(str, words))


def answered(case: Json, line: str) -> Json:
    """Read the program's answer as `standin post` writes one."""
    line, _bar, text = line.rstrip("\n").partition("|")
    words = line.split()
    if case["kind"] == "detect":
        rows = [words[at : at + 6] for at in range(0, len(words), 6)]
        output: list[Any] = [[int(row[0]), *map(_shown, row[1:])] for row in rows]
        return {"id": case["id"], "output": output}
    output = [
        {
            "attribute": int(index),
            "value": int(value),
            "confidence": _shown(confidence),
            "label": label[1:] if label[0] == "=" else None,
        }
        for index, value, confidence, label in zip(*[iter(words)] * 4, strict=True)
    ]
    return {"id": case["id"], "output": output, "label_string": text}


def _bits(value: float | str) -> str:
    return f"{int(np.float32(float(value)).view(np.uint32)):x}"


def _shown(bits: str) -> float | str:
    value = float(np.uint32(int(bits, 16)).view(np.float32))
    return value if np.isfinite(value) else str(value)


def main() -> int:
    """Compare, and print at most three differences."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    differences = []
    with (
        tempfile.TemporaryDirectory() as folder,
        _running(build(args.checkout, Path(folder))) as (to, back),
    ):
        for number in range(args.cases):
            case = json.loads(json.dumps(random_case(rng, number)))
            print(written(case), file=to, flush=True)
            wanted, got = answered(case, back.readline()), answer(case, where=f"case {number}")
            if got != wanted:
                differences.append(f"{json.dumps(case)}\n got {got}\nwant {wanted}")
    print("\n".join(differences[:3]))
    print(f"{args.cases} cases, seed {args.seed}: {len(differences)} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
