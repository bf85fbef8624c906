"""The stand-in's post-processing against the plain one of the tests, on random cases.

`python -m benchmarks.postprocess_cases --cases 100000` prints the counts; exit 1 at a difference.
Cases go through JSON and `standin post`'s own reader, so they can be replayed one by one.
"""

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

import numpy as np

from plugins.standin.post_cases import answer
from tests.standin.nvinfer.plain_postprocess import attributes, detections

Json = dict[str, Any]
Random = np.random.Generator

ODD = ("nan", "inf", "-inf", -0.0, 0.0, 1.0)
# Where the many-boxes cases come: often enough to matter, seldom enough to end within minutes.
MANY_EVERY = 2_000


def random_case(rng: Random, number: int) -> Json:
    """Make one case; every fifth is a classifier's."""
    if number % 5 == 4:
        return _classify_case(rng, number)
    count = int(rng.integers(0, 40)) if rng.random() > 0.1 else 0
    if number % MANY_EVERY == 0:
        count = int(rng.integers(2_000, 4_000))
    classes = int(rng.integers(1, 5))
    confidences = _confidences(rng, count)
    levels = [value for value in confidences if not isinstance(value, str)] or [0.5]
    return {
        "id": number,
        "kind": "detect",
        "params": {
            "num_classes": classes,
            "cluster_mode": int(rng.choice([0, 1, 2, 2, 2, 3, 4])),
            "per_class": [_thresholds(rng, levels) for _ in range(classes)],
        },
        "candidates": [
            # The last class is one that is not configured.
            [int(rng.integers(0, classes + 1)), *_box(rng), confidence]
            for confidence in confidences
        ],
    }


def _confidences(rng: Random, count: int) -> list[float | str]:
    """Draw from a few levels, so that ties are many, or from all numbers; some are odd."""
    if rng.random() < 0.5:
        values = rng.choice(rng.random(3).astype(np.float32), count)
    else:
        values = rng.random(count).astype(np.float32)
    odd = rng.random() < 0.3
    return [
        _odd(rng) if odd and rng.random() < 0.2 else _beside(rng, float(value)) for value in values
    ]


def _thresholds(rng: Random, levels: list[float]) -> Json:
    iou = rng.choice([0.0, 0.3, 0.5, 1.0]) if rng.random() < 0.7 else rng.random()
    return {
        "pre_cluster_threshold": _beside(rng, float(rng.choice(levels)) * rng.choice([0.5, 1.0])),
        "post_cluster_threshold": _beside(rng, float(rng.choice([0.0, rng.choice(levels)]))),
        "nms_iou_threshold": _beside(rng, float(iou)),
        "topk": int(rng.choice([-1, -1, 0, 1, 3, 20])),
    }


def _beside(rng: Random, value: float) -> float:
    """Return the value or, half of the time, its neighbour in 32 bits."""
    near = np.float32(value)
    if rng.random() < 0.5:
        near = np.nextafter(near, np.float32(rng.choice([-9, 9])))
    return float(near)


def _box(rng: Random) -> list[float | str]:
    """Draw on a coarse grid, so that overlaps are round, or anywhere; seldom with an odd side."""
    if rng.random() < 0.6:
        box: list[float | str] = [float(side) for side in rng.integers(0, 5, 4)]
    else:
        box = [float(np.float32(side)) for side in rng.uniform(-4, 60, 4)]
    if rng.random() < 0.03:
        box[int(rng.integers(0, 4))] = _odd(rng)
    return box


def _odd(rng: Random) -> float | str:
    return ODD[int(rng.integers(0, len(ODD)))]


def _classify_case(rng: Random, number: int) -> Json:
    sizes = [int(size) for size in rng.integers(1, 6, int(rng.integers(0, 4)))]
    dims = [[size, *([2] if rng.random() < 0.2 else [])] for size in sizes]
    layers = [_confidences(rng, int(np.prod(shape))) for shape in dims]
    every = [value for layer in layers for value in layer if not isinstance(value, str)] or [0.0]
    rows = [
        ";".join(str(rng.choice(["", "a", "b"])) for _ in range(int(rng.integers(1, 6))))
        for _ in range(int(rng.integers(0, 5)))
    ]
    return {
        "id": number,
        "kind": "classify",
        "params": {"dims": dims},
        "layers": layers,
        "threshold": float(rng.choice([-1.0, 0.0, _beside(rng, float(rng.choice(every)))])),
        "labels_text": "\n".join(rows),
    }


def difference(case: Json) -> str:
    """Say how the two answers to a case differ, empty when they do not."""
    case = json.loads(json.dumps(case))
    got = answer(case, where=f"case {case['id']}")
    if case["kind"] == "classify":
        found, text = attributes(case)
        want: Json = {
            "output": [
                {**entry, "confidence": _number(float(entry["confidence"]))} for entry in found
            ],
            "label_string": text,
        }
    else:
        # Infinite sides are part of the cases; C does not warn either.
        with np.errstate(all="ignore"):
            rows = detections(case["params"], case["candidates"])
        want = {
            "output": [[row[0], *(_number(float(value)) for value in row[1:])] for row in rows]
        }
    want = {"id": case["id"], **want}
    return "" if got == want else f"{json.dumps(case)}\n got {got}\nwant {want}"


def _number(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def compare(cases: int, *, seed: int) -> tuple[Counter[str], list[str]]:
    """Run so many cases; return what was in them, and each difference."""
    rng = np.random.default_rng(seed)
    seen: Counter[str] = Counter()
    differences = []
    for number in range(cases):
        case = random_case(rng, number)
        seen.update(_kinds(case))
        found = difference(case)
        if found:
            differences.append(found)
    return seen, differences


def _kinds(case: Json) -> list[str]:
    if case["kind"] == "classify":
        return ["classify"]
    confidences = [row[5] for row in case["candidates"]]
    kinds = [f"cluster-mode {case['params']['cluster_mode']}"]
    kinds += ["empty"] * (not confidences) + ["thousands of boxes"] * (len(confidences) > 1_000)
    kinds += ["NaN confidence"] * ("nan" in confidences)
    kinds += ["ties"] * (len(set(confidences)) < len(confidences))
    return kinds


def main() -> int:
    """Compare, and print counts and at most three differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start = time.monotonic()
    seen, differences = compare(args.cases, seed=args.seed)
    for kind, count in sorted(seen.items()):
        print(f"{count:8d}  {kind}")
    print("\n".join(differences[:3]))
    seconds = time.monotonic() - start
    print(f"{args.cases} cases, seed {args.seed}: {len(differences)} differ, {seconds:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
