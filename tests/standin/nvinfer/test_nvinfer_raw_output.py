"""Raw inputs and outputs: the files that nvinfer writes and the function that it calls."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.standin.activate import activate
from plugins.standin.gst import Gst
from plugins.standin.nvinfer.config import load_config
from plugins.standin.nvinfer.inference import Inference
from plugins.standin.nvinfer.parser_abi import _Layer, _Network
from ropewatch.errors import ModelError
from tests.standin.nvinfer import tiny
from tests.standin.pipelines import Run, play


def classifier(folder: Path, **keys: Any) -> Path:
    """Write a classifier of frames with an output whose name is a path."""
    model = tiny.classifier(folder / "rope.onnx", {"head/scores": [0.25, 0.75], "b": [1.0]})
    values = {"gie_unique_id": 7, "network_type": 100, "onnx_file": model, "batch_size": 4}
    # Beyond what a VIC could scale.
    values["scaling_compute_hw"] = 1
    return tiny.ini(folder / "rope.txt", **values, **keys)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def frames(*greys: int) -> Any:
    return tiny.batch_of(*((pad, 0, tiny.grey(grey)) for pad, grey in enumerate(greys)))


def test_each_batch_has_a_file_for_each_layer_inputs_too(tmp_path: Path) -> None:
    look = Inference(load_config(classifier(tmp_path, raw_output_file_write=1)))

    look.process(frames(10, 20))
    look.process(frames(30))

    head = "gstnvdsinfer_uid-07_layer-{}_batch-000000000{}_batchsize-0{}.bin"
    files = {path.name: path for path in tmp_path.glob("*.bin")}
    batches = [(0, 2), (1, 1)]
    assert set(files) == {
        head.format(layer, number, size)
        for layer in ("images", "head_scores", "b")
        for number, size in batches
    }
    scores = np.fromfile(files[head.format("head_scores", 0, 2)], np.float32)
    assert scores.tolist() == [0.25, 0.75, 0.25, 0.75]
    pictures = np.fromfile(files[head.format("images", 0, 2)], np.float32)
    assert pictures.reshape(2, 3, 64, 32)[:, 0, 0, 0].tolist() == [10, 20]


def test_a_place_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    look = Inference(load_config(classifier(tmp_path, raw_output_file_write=1)))
    name = "gstnvdsinfer_uid-07_layer-b_batch-0000000000_batchsize-01.bin"
    (tmp_path / name).mkdir()

    look.process(frames(10))

    assert f"raw tensors are not written file={name}" in caplog.text
    assert len(list(tmp_path.glob("*.bin"))) == 3


def test_dump_input_tensor_appends_the_first_entry_of_each_batch(tmp_path: Path) -> None:
    look = Inference(load_config(classifier(tmp_path, dump_input_tensor=1)))

    look.process(frames(10, 20))
    look.process(frames(30))

    dumped = np.fromfile(tmp_path / "ip_tensor_dump.bin", np.float32).reshape(-1, 3, 64, 32)
    assert dumped[:, 0, 0, 0].tolist() == [10, 30]


def capsule(address: int) -> Any:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, None, None)


@pytest.mark.gst
def test_the_element_calls_the_function_and_writes_when_the_property_says_so(
    tmp_path: Path,
) -> None:
    activate()
    told = []

    def look(buffer: int, network: int, layers: int, count: int, batch: int, data: int) -> None:
        size = _Network.from_address(network)
        shown = (_Layer * count).from_address(layers)
        scores = (ctypes.c_float * 2).from_address(shown[1].buffer)
        told.append(
            (
                bool(buffer),
                (size.width, size.height, size.channels),
                [(one.name, one.is_input, one.binding) for one in shown],
                list(scores),
                batch,
                data,
            )
        )

    kinds = [ctypes.c_void_p] * 3 + [ctypes.c_uint] * 2 + [ctypes.c_void_p]
    function = ctypes.CFUNCTYPE(None, *kinds)(look)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    pipeline = Gst.parse_launch(
        "nvstreammux name=m batch-size=1 width=640 height=360 ! nvinfer name=it "
        f"config-file-path={classifier(tmp_path)} raw-output-file-write=1 ! fakesink "
        "videotestsrc num-buffers=2 ! video/x-raw,format=NV12,width=640,height=360 ! m.sink_0"
    )
    element = pipeline.get_by_name("it")
    element.set_property("raw-output-generated-callback", capsule(address))
    element.set_property("raw-output-generated-userdata", capsule(99))

    run = play(pipeline, Run())

    assert run.errors == []
    layers = [(b"images", 1, 0), (b"head/scores", 0, 1), (b"b", 0, 2)]
    assert told == [(True, (32, 64, 3), layers, [0.25, 0.75], 1, 99)] * 2
    assert len(list(tmp_path.glob("gstnvdsinfer_uid-07_*_batch-000000000[01]_*.bin"))) == 6


def test_what_is_no_pointer_is_refused(tmp_path: Path) -> None:
    look = Inference(load_config(classifier(tmp_path)))

    with pytest.raises(ModelError, match=r"callback: 5: .*, want a pointer in a PyCapsule"):
        look.raw.call(5, None)
