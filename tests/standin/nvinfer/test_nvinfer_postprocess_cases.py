"""`standin post`, and the post-processing behind it against a plain second one and against C++."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.postprocess_cases import compare
from plugins.standin.nvinfer.postprocess import suppress
from plugins.standin.nvinfer.sorting import by_confidence
from ropewatch.cli import main

LIMITS = {
    "pre_cluster_threshold": 0.25,
    "post_cluster_threshold": 0.0,
    "nms_iou_threshold": 0.5,
    "topk": -1,
}


def detect(*candidates: list[Any], mode: int = 2, **limits: Any) -> dict[str, Any]:
    per_class = [{**LIMITS, **limits}]
    params = {"num_classes": 1, "cluster_mode": mode, "per_class": per_class}
    return {"id": "a", "kind": "detect", "params": params, "candidates": list(candidates)}


def post(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *cases: dict[str, Any]
) -> list[dict[str, Any]]:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(case) for case in cases))
    assert main(["standin", "post", str(path)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_plain_implementation_agrees_on_random_cases() -> None:
    seen, differences = compare(2_500, seed=3)

    assert differences == []
    assert min(seen[f"cluster-mode {mode}"] for mode in range(5)) > 100
    assert seen["thousands of boxes"] == 2
    assert seen["NaN confidence"] > 100


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_nan_confidences_are_ordered_as_by_the_cpp_library(tmp_path: Path) -> None:
    program = tmp_path / "stable_sort"
    source = Path(__file__).with_name("stable_sort.cpp")
    subprocess.run(["g++", "-std=c++17", "-O1", "-o", program, source], check=True)
    rng = np.random.default_rng(2)
    lists = []
    for count in [*range(40), *rng.integers(40, 700, 40)]:
        values = rng.choice([0.1, 0.2, 0.3, 0.4, np.nan, np.inf], count).astype(np.float32)
        lists.append(values)
    text = "\n".join(" ".join(map(str, values.view(np.uint32))) for values in lists)

    done = subprocess.run([program], input=text + "\n", text=True, capture_output=True, check=True)

    orders = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert orders == [by_confidence(values).tolist() for values in lists]


def test_a_box_of_negative_width_shares_a_negative_length() -> None:
    # Kept: 0 to 10. The other begins at 5 and ends at 2: each side shares 2 - 5 = -3, together 9,
    # and the union is 100 + 9 - 9 = 100.
    boxes = np.array([[0, 0, 10, 10], [5, 5, -3, -3]], np.float32)

    assert suppress(boxes, 0.08).tolist() == [0]
    assert suppress(boxes, 0.1).tolist() == [0, 1]


def test_post_answers_in_nvinfers_order_with_32_bit_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = post(
        tmp_path,
        capsys,
        detect([0, 0, 0, 8, 8, 0.3], [0, 50, 0, 8, 8, 0.9], [0, 50, 0, 8, 8, 0.8]),
        detect([0, 0, 0, 8, 8, "nan"], [0, "inf", 0, 8, 8, "-inf"], [1, 0, 0, 1, 1, 1], mode=4),
        detect(topk=0),
    )

    assert answers == [
        {
            "id": "a",
            "output": [
                [0, 50, 0, 8, 8, float(np.float32(0.9))],
                [0, 0, 0, 8, 8, float(np.float32(0.3))],
            ],
        },
        {"id": "a", "output": [[0, 0, 0, 8, 8, "nan"]]},
        {"id": "a", "output": []},
    ]


def test_post_classifies_with_labels_and_their_string(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = {
        "id": 7,
        "kind": "classify",
        "params": {"dims": [[2], [3, 1, 1], [1]]},
        "layers": [[0.25, 0.75], [0.5, 0.5, "nan"], [1.0]],
        "threshold": 0.25,
        "labels_text": "off;on\nred",
    }

    assert post(tmp_path, capsys, case) == [
        {
            "id": 7,
            "output": [
                {"attribute": 0, "value": 1, "confidence": 0.75, "label": "on"},
                {"attribute": 1, "value": 0, "confidence": 0.5, "label": "red"},
                {"attribute": 2, "value": 0, "confidence": 1.0, "label": None},
            ],
            "label_string": "on red ",
        }
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("{", r"not JSON", id="json"),
        pytest.param("[]", r"line: list, want a JSON object", id="list"),
        pytest.param('{"kind": "detect"}', r"id: None", id="id"),
        pytest.param('{"id": 1, "kind": "track"}', r"kind: track, want detect or", id="kind"),
        pytest.param('{"id": NaN}', r"NaN is not JSON, write it as a string", id="bare-nan"),
        pytest.param(
            json.dumps(detect([0, 1, 2, 3, 4])),
            r"candidates\[0\]: row: \[0, 1, 2, 3, 4\]",
            id="row",
        ),
        pytest.param(json.dumps(detect([0, 1, 2, 3, 4, "x"])), r"number: x, want", id="number"),
        pytest.param(json.dumps(detect(mode=5)), r"cluster_mode: 5, want 0 to 4", id="mode"),
        pytest.param(json.dumps(detect(top=3)), r"per_class\[0\]: top: unknown", id="unknown"),
        pytest.param(
            '{"id": 1, "kind": "detect", "candidates": [], "params": '
            '{"num_classes": 0, "cluster_mode": 2, "per_class": []}}',
            r"num_classes: 0, want 1 or more, nvinfer crashes",
            id="crash",
        ),
        pytest.param(
            '{"id": 1, "kind": "classify", "params": {"dims": [[2]]}, "layers": [[1]]}',
            r"layers\[0\]: values: 1, want 2 numbers",
            id="layer",
        ),
    ],
)
def test_post_names_file_and_line_of_a_case_it_cannot_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(detect()) + "\n\n" + line + "\n")

    assert main(["standin", "post", str(path)]) == 1

    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert f"{path}:3: " in said.err
    assert re.search(message, said.err)


def test_post_names_a_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["standin", "post", str(tmp_path / "none.jsonl")]) == 1

    assert "none.jsonl" in capsys.readouterr().err
