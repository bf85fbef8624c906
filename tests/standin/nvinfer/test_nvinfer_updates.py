"""Another model while nvinfer runs, and what its threads keep in order."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.standin import buffer_meta
from plugins.standin.activate import activate
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.nvinfer.config import InferConfig, load_config
from plugins.standin.nvinfer.model_update import config_of_engine, config_of_file
from ropewatch.errors import ModelError
from ropewatch.manifest import manifest_of
from tests.standin.nvinfer import tiny
from tests.standin.pipelines import wait_for

pytestmark = pytest.mark.gst

MUXER = "nvstreammux name=m batch-size=1 width=640 height=360 batched-push-timeout=1000000"
ENDLESS = (
    "videotestsrc is-live=true pattern=white ! "
    "video/x-raw,format=NV12,width=640,height=360,framerate=50/1 ! m.sink_0"
)
LEFT, RIGHT = [8.0, 20.0, 28.0, 60.0, 0.75, 0.0], [100.0, 20.0, 120.0, 60.0, 0.75, 0.0]


def write(folder: Path, name: str, row: list[float], **keys: Any) -> Path:
    """Write a detector of one fixed person; its network is 160x90 unless said."""
    wh = keys.pop("wh", (160, 90))
    values = {
        "gie_unique_id": 1,
        "onnx_file": tiny.detector(folder / f"{name}.onnx", [row], wh=wh),
        "custom_lib_path": tiny.PARSER,
        "parse_bbox_func_name": tiny.PARSE,
        "num_detected_classes": 1,
        "cluster_mode": 2,
        **keys,
    }
    return tiny.ini(folder / f"{name}.txt", "[class-attrs-all]\ntopk=9\n", **values)


def vouch_for(onnx: Path) -> None:
    """Write the manifest by which the stand-in finds the model of an engine."""
    like = Path(__file__).parents[3] / "demo" / "models" / "person.onnx"
    facts = json.loads(manifest_of(like).read_text())
    content = onnx.read_bytes()
    facts["onnx"] = {
        "file": onnx.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    manifest_of(onnx).write_text(json.dumps(facts))


class Running:
    """A pipeline under way: where its persons stand, and what the signal said."""

    def __init__(self, config: Path) -> None:
        self.pipeline = Gst.parse_launch(
            f"{MUXER} ! nvinfer name=it config-file-path={config} ! fakesink name=sink {ENDLESS}"
        )
        self.element = self.pipeline.get_by_name("it")
        self.updates: list[tuple[int, str]] = []
        self.left = -1.0
        self.persons = -1
        self.element.connect(
            "model-updated", lambda _element, status, path: self.updates.append((status, path))
        )
        pad = self.pipeline.get_by_name("sink").get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.BUFFER, self._look)

    def _look(self, _pad: Any, info: Any) -> Any:
        batch = buffer_meta.get(info.get_buffer())
        self.persons = len(batch.frames[0].objects) if batch is not None else -1
        if batch is not None and batch.frames[0].objects:
            self.left = batch.frames[0].objects[0].rect_params.left
        return Gst.PadProbeReturn.OK

    def warning(self) -> str:
        """Return the text of the first warning on the bus."""
        kinds = Gst.MessageType.WARNING | Gst.MessageType.ERROR
        message = self.pipeline.get_bus().timed_pop_filtered(5 * Gst.SECOND, kinds)
        assert message is not None
        assert message.type == Gst.MessageType.WARNING
        return str(message.parse_warning()[0].message)


@contextmanager
def running(config: Path) -> Iterator[Running]:
    activate()
    run = Running(config)
    run.pipeline.set_state(Gst.State.PLAYING)
    try:
        assert wait_for(lambda: run.left >= 0)
        yield run
    finally:
        run.pipeline.set_state(Gst.State.NULL)


def test_a_configuration_set_while_playing_changes_the_model(tmp_path: Path) -> None:
    first, second = write(tmp_path, "first", LEFT), write(tmp_path, "second", RIGHT)

    with running(first) as run:
        before = run.left
        run.element.set_property("config-file-path", str(second))

        assert run.element.get_property("config-file-path") == str(first)
        assert wait_for(lambda: run.left != before)
        assert run.updates == [(0, str(first)), (0, str(second))]
        assert (before, run.left) == (32, 400)
        assert run.element.get_property("config-file-path") == str(second)


def test_an_engine_set_while_playing_changes_the_model(tmp_path: Path) -> None:
    first = write(tmp_path, "first", LEFT)
    write(tmp_path, "second", RIGHT)
    engine = tmp_path / "second.onnx_b1_gpu0_fp16.engine"
    vouch_for(tmp_path / "second.onnx")

    with running(first) as run:
        run.element.set_property("model-engine-file", str(engine))

        assert wait_for(lambda: run.left == 400)
        assert wait_for(lambda: run.updates[-1] == (0, str(engine)))
        assert run.element.get_property("model-engine-file") == str(engine)


def test_a_model_of_another_size_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    first = write(tmp_path, "first", LEFT)
    other = write(tmp_path, "other", RIGHT, wh=(320, 180))

    with running(first) as run:
        run.element.set_property("config-file-path", str(other))

        assert "its input is 320x180, want 160x90" in run.warning()
        assert wait_for(lambda: run.updates[-1] == (1, str(other)))
        assert run.left == 32


def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path, "first", LEFT)

    with running(first) as run:
        run.element.set_property("config-file-path", str(tmp_path / "none.txt"))

        warning = run.warning()
        assert warning.startswith("[UID 1]: Load new model:")
        assert "failed, reason: Initialization of new model params failed: " in warning
        assert "none.txt: no such file" in warning
        assert wait_for(lambda: run.updates[-1] == (1, str(tmp_path / "none.txt")))


def test_a_model_that_cannot_be_loaded_is_refused_as_a_context(tmp_path: Path) -> None:
    first = write(tmp_path, "first", LEFT)
    other = write(tmp_path, "other", RIGHT)
    (tmp_path / "other.onnx").write_bytes(b"no model")

    with running(first) as run:
        run.element.set_property("config-file-path", str(other))

        assert "failed, reason: Creation new model context failed: " in run.warning()
        assert wait_for(lambda: run.updates[-1] == (1, str(other)))


def old(folder: Path) -> InferConfig:
    return load_config(write(folder, "old", LEFT, batch_size=4, maintain_aspect_ratio=1))


def test_a_new_file_brings_its_model_and_no_classes_or_padding(tmp_path: Path) -> None:
    (tmp_path / "person.txt").write_text("person\n")
    path = write(
        tmp_path, "new", RIGHT, batch_size=2, net_scale_factor=0.5, labelfile_path="person.txt"
    )
    path.write_text(path.read_text().replace("topk=9", "topk=3"))

    new = config_of_file(old(tmp_path), path)

    assert new.onnx_file == tmp_path / "new.onnx"
    assert new.net_scale_factor == 0.5
    assert new.labelfile_path == tmp_path / "person.txt"
    assert (new.batch_size, new.maintain_aspect_ratio, new.classes[0].topk) == (4, True, 9)


def test_an_engine_alone_loses_cluster_mode_to_nvidias_substitute(tmp_path: Path) -> None:
    new = config_of_engine(old(tmp_path), tmp_path / "x.engine")

    assert (new.cluster_mode, new.classes[0].topk, new.onnx_file) == (0, 20, None)
    assert new.custom_lib_path == tiny.PARSER


def test_a_new_file_has_to_have_a_suffix_that_nvinfer_reads(tmp_path: Path) -> None:
    path = write(tmp_path, "new", RIGHT).rename(tmp_path / "new.cfg")

    with pytest.raises(ModelError, match=r"new\.cfg: nvinfer reads no such file while it runs"):
        config_of_file(old(tmp_path), path)


def test_the_two_pads_have_two_threads_and_keep_the_order(tmp_path: Path) -> None:
    config = write(tmp_path, "first", LEFT)
    activate()
    pipeline = Gst.parse_launch(
        f"{MUXER} ! nvinfer name=it config-file-path={config} ! fakesink name=sink "
        "videotestsrc num-buffers=30 ! "
        "video/x-raw,format=NV12,width=640,height=360,framerate=25/1 ! m.sink_0"
    )
    threads: dict[str, set[str]] = {"sink": set(), "src": set()}
    numbers: list[int] = []

    def look(name: str, batch: NvDsBatchMeta) -> None:
        threads[name].add(threading.current_thread().name)
        if name == "src":
            numbers.extend(frame.frame_num for frame in batch.frames)

    for name in threads:

        def probe(_pad: Any, info: Any, name: str = name) -> Any:
            batch = buffer_meta.get(info.get_buffer())
            assert batch is not None
            look(name, batch)
            return Gst.PadProbeReturn.OK

        pipeline.get_by_name("it").get_static_pad(name).add_probe(Gst.PadProbeType.BUFFER, probe)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS)
    pipeline.set_state(Gst.State.NULL)

    assert message is not None
    assert numbers == list(range(30))
    assert threads["src"] == {"it-output"}
    assert "it-output" not in threads["sink"]


def test_filters_set_while_playing_hold_and_the_rest_waits_for_a_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """nvinfer reads these frame by frame, whatever its property flags say."""
    with running(write(tmp_path, "first", LEFT)) as run:
        run.element.set_property("filter-out-class-ids", "0")
        assert wait_for(lambda: run.persons == 0)
        run.element.set_property("filter-out-class-ids", "7")
        assert wait_for(lambda: run.persons == 1)
        run.element.set_property("batch-size", 4)

    assert "nvinfer reads batch-size when it starts" in caplog.text
