"""Raw outputs of a network through the stand-in nvinfer's own post-processing, case by case."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.classify import classify
from plugins.standin.nvinfer.config import (
    GROUP_RECTANGLES,
    NO_CLUSTERING,
    SUBSTITUTE,
    class_config,
)
from plugins.standin.nvinfer.config_file import Group
from plugins.standin.nvinfer.labels import parse_labels
from plugins.standin.nvinfer.postprocess import Candidates, cluster_classes
from ropewatch.errors import ModelError

Json = dict[str, Any]
Floats = npt.NDArray[np.float32]

_NON_FINITE = ("nan", "inf", "-inf")
_THRESHOLDS = ("pre_cluster_threshold", "post_cluster_threshold", "nms_iou_threshold")
_UINT32 = 1 << 32


def run_cases(path: Path) -> Iterator[Json]:
    """Yield the answer to each line of a file, in order; empty lines are passed over.

    Raises:
        ModelError: a line is no case; the message names file and line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield answer(_parse(line, f"{path}:{number}"), where=f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}, want a readable file with a case a line") from error


def answer(case: Json, *, where: str) -> Json:
    """Do what nvinfer does with one case; the README of the stand-ins has the form of both.

    Raises:
        ModelError: the case is malformed, or nvinfer would crash on it.
    """
    kind = case.get("kind")
    if kind == "detect":
        return _detect(case, where)
    if kind == "classify":
        return _classify(case, where)
    raise _refusal(where, "kind", kind, "detect or classify")


def _parse(line: str, where: str) -> Json:
    try:
        # RFC 8259 has no NaN and no Infinity; here they are strings.
        case = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: not JSON ({error}), want an object; correct it") from error
    if not isinstance(case, dict):
        raise _refusal(where, "line", type(case).__name__, "a JSON object")
    if "id" not in case:
        raise _refusal(where, "id", None, "a name or number that the answer repeats")
    return case


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON, write it as a string, one of {', '.join(_NON_FINITE)}")


def _detect(case: Json, where: str) -> Json:
    params = _object(case, "params", where)
    classes = _whole(params, "num_classes", where, low=0)
    mode = _whole(params, "cluster_mode", where, low=0)
    if mode > NO_CLUSTERING:
        raise _refusal(where, "cluster_mode", mode, "0 to 4")
    groups = [
        _class_group(entry, f"{where}: per_class[{index}]", mode)
        for index, entry in enumerate(_list(params, "per_class", where))
    ]
    if len(groups) != classes:
        raise _refusal(
            where, "per_class", f"{len(groups)} entries", f"{classes}, one for each class"
        )
    if classes == 0 and mode in (0, 2, 3):
        raise _refusal(
            where, "num_classes", 0, f"1 or more, nvinfer crashes on 0 with cluster_mode {mode}"
        )
    kept = cluster_classes(
        _candidates(_list(case, "candidates", where), where),
        [class_config(group) for group in groups],
        cluster_mode=mode,
    )
    rows = zip(kept.class_ids, kept.boxes_ltwh, kept.confidences, strict=True)
    output = [
        [int(class_id), *map(_shown, box), _shown(confidence)]
        for class_id, box, confidence in rows
    ]
    return {"id": case["id"], "output": output}


def _class_group(entry: Any, where: str, mode: int) -> Group:
    """Turn one class's thresholds into a class-attrs group; what is left out keeps its default."""
    if not isinstance(entry, dict):
        raise _refusal(where, "entry", type(entry).__name__, "an object")
    unknown = entry.keys() - {*_THRESHOLDS, "topk"}
    if unknown:
        raise _refusal(
            where, min(unknown), "unknown", f"one of {', '.join((*_THRESHOLDS, 'topk'))}"
        )
    group: Group = {
        name.replace("_", "-"): float(_float32(entry[name], f"{where}: {name}"))
        for name in _THRESHOLDS
        if name in entry
    }
    if "topk" in entry:
        group["topk"] = _whole(entry, "topk", where, low=None)
    return {**group, **SUBSTITUTE} if mode == GROUP_RECTANGLES else group


def _candidates(rows: list[Any], where: str) -> Candidates:
    numbers = np.zeros((len(rows), 5), np.float32)
    class_ids = np.zeros(len(rows), np.int64)
    for index, row in enumerate(rows):
        place = f"{where}: candidates[{index}]"
        if not isinstance(row, list) or len(row) != 6:
            raise _refusal(place, "row", row, "[class, left, top, width, height, confidence]")
        if type(row[0]) is not int or not -_UINT32 < row[0] < _UINT32:
            raise _refusal(place, "class", row[0], "a whole number of 32 bits")
        # Unsigned in C: a negative class is one far beyond any configured, and dropped as such.
        class_ids[index] = row[0] % _UINT32
        numbers[index] = [_float32(value, place) for value in row[1:]]
    return Candidates(class_ids, numbers[:, :4], numbers[:, 4])


def _classify(case: Json, where: str) -> Json:
    dims = _list(_object(case, "params", where), "dims", where)
    layers = _list(case, "layers", where)
    if len(dims) != len(layers):
        raise _refusal(
            where, "layers", f"{len(layers)} lists", f"{len(dims)}, one for each of dims"
        )
    arrays = tuple(
        _layer(shape, values, f"{where}: layers[{index}]")
        for index, (shape, values) in enumerate(zip(dims, layers, strict=True))
    )
    text = case.get("labels_text", "")
    if not isinstance(text, str):
        raise _refusal(where, "labels_text", text, "a labels file as a string")
    threshold = _float32(case.get("threshold"), f"{where}: threshold")
    verdict = classify(arrays, parse_labels(text), threshold=float(threshold))
    output = [
        {
            "attribute": attribute.index,
            "value": attribute.value,
            "confidence": _shown(attribute.confidence),
            "label": attribute.label,
        }
        for attribute in verdict.attributes
    ]
    return {"id": case["id"], "output": output, "label_string": verdict.text}


def _layer(shape: Any, values: Any, where: str) -> Floats:
    whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or not shape:
        raise _refusal(where, "dims", shape, "the layer's sizes, the number of classes first")
    if not isinstance(values, list) or len(values) != int(np.prod(shape, dtype=object)):
        size = len(values) if isinstance(values, list) else type(values).__name__
        raise _refusal(
            where, "values", size, f"{np.prod(shape, dtype=object)} numbers, as dims say"
        )
    numbers = np.array([_float32(value, where) for value in values], np.float32)
    layer: Floats = numbers.reshape(shape)
    return layer


def _float32(value: Any, where: str) -> np.float32:
    if value in _NON_FINITE if isinstance(value, str) else type(value) in (int, float):
        try:
            with np.errstate(over="ignore"):
                number: np.float32 = np.float32(float(value))
                return number
        except OverflowError:
            pass
    raise _refusal(where, "number", value, f"a number or one of {', '.join(_NON_FINITE)}")


def _shown(value: Any) -> float | str:
    """Write a 32-bit number so that no digit is lost; non-finite ones as strings."""
    number = float(value)
    return number if np.isfinite(number) else str(number)


def _object(case: Json, name: str, where: str) -> Json:
    value = case.get(name)
    if not isinstance(value, dict):
        raise _refusal(where, name, type(value).__name__, "an object")
    return value


def _list(case: Json, name: str, where: str) -> list[Any]:
    value = case.get(name)
    if not isinstance(value, list):
        raise _refusal(where, name, type(value).__name__, "a list")
    return value


def _whole(case: Json, name: str, where: str, *, low: int | None) -> int:
    value = case.get(name)
    if type(value) is not int or (low is not None and value < low):
        raise _refusal(
            where, name, value, "a whole number" + ("" if low is None else f" from {low} on")
        )
    return value


def _refusal(where: str, name: str, value: object, want: str) -> ModelError:
    return ModelError(f"{where}: {name}: {str(value)[:80]}, want {want}; correct the line")
