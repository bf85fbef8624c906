"""Models and the files that configure them: those that fit, and how the others are named."""

from pathlib import Path
from typing import Any

import pytest

from ropewatch.errors import ModelError
from tests.standin.nvinfer import tiny
from tests.standin.nvinfer.inferences import PERSON, primary, secondary


def test_a_model_of_a_fixed_batch_is_padded(tmp_path: Path) -> None:
    model = tiny.fixed_batch(tmp_path / "four.onnx", 4)
    labels = tmp_path / "labels.txt"
    labels.write_text("a\n")
    look = secondary(tmp_path, model, labelfile_path=labels, output_tensor_meta=1)
    batch = tiny.batch_of((0, 0, tiny.grey(7)), boxes=[PERSON])

    look.process(batch)

    assert batch.frames[0].objects[0].user_metas[0].user_meta_data.arrays[0] == 7


def test_a_fixed_batch_below_batch_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"sgie\.txt: batch-size: 4, want at most 2"):
        secondary(tmp_path, tiny.fixed_batch(tmp_path / "two.onnx", 2))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        pytest.param(
            {"infer_dims": "3;384;640"},
            r"pgie\.txt: infer-dims: 3;384;640, want 3;32;64 as the input of .*person\.onnx",
            id="another-input-size",
        ),
        pytest.param(
            {"onnx_file": "none.onnx"}, r"onnx-file: .*none\.onnx: no such", id="missing"
        ),
        pytest.param(
            {"model_engine_file": "x.engine", "onnx_file": None},
            r"model-engine-file: .*x\.engine: the name does not say its ONNX",
            id="engine-without-model",
        ),
        pytest.param(
            {"model_color_format": 2}, "model-color-format: 2 needs 1 channel", id="grey"
        ),
        pytest.param({"labelfile_path": "none.txt"}, r"labelfile-path: .*none\.txt", id="labels"),
        pytest.param({"offsets": "1;2"}, "offsets: 2 numbers, want 3", id="offsets"),
    ],
)
def test_what_does_not_fit_names_file_key_and_value(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        primary(tmp_path, [], **keys)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_text("no model")

    with pytest.raises(ModelError, match=r"broken\.onnx: .*want an ONNX model"):
        primary(tmp_path, [], onnx_file=broken)
