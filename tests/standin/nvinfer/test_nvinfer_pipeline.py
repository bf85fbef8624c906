"""nvinfer and nvtracker as elements, behind the real muxer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.standin import buffer_meta
from plugins.standin.activate import activate
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.nvinfer.preprocess import Crop, _rgb
from plugins.standin.surface import Surface
from tests.standin.nvinfer import tiny
from tests.standin.pipelines import Run, play, watch

pytestmark = pytest.mark.gst

TRACKER = Path(__file__).parents[3] / "configs" / "tracker" / "iou.yml"
SOURCE = (
    "videotestsrc num-buffers={frames} pattern={pattern} ! "
    "video/x-raw,format=NV12,width=640,height=360,framerate=25/1 ! m.sink_{pad}"
)
MUXER = "nvstreammux name=m batch-size={} width=640 height=360 batched-push-timeout=1000000"
PAIRS, SINGLES = MUXER.format(2), MUXER.format(1)
PERSON_ROW = [40.0, 20.0, 60.0, 60.0, 0.75, 0.0]


@pytest.fixture(scope="module", autouse=True)
def elements() -> None:
    activate()


def configs(folder: Path, **keys: Any) -> tuple[Path, Path]:
    """Write a detector of one fixed person (160x90 network) and a judge of brightness."""
    (folder / "person.txt").write_text("person\n")
    (folder / "rope.txt").write_text("bright;dark\n")
    values = {
        "gie_unique_id": 1,
        "onnx_file": tiny.detector(folder / "person.onnx", [PERSON_ROW], wh=(160, 90)),
        "labelfile_path": "person.txt",
        "custom_lib_path": tiny.PARSER,
        "parse_bbox_func_name": tiny.PARSE,
        "num_detected_classes": 1,
        "cluster_mode": 2,
        **keys,
    }
    judge = {
        "gie_unique_id": 2,
        "process_mode": 2,
        "network_type": 1,
        "onnx_file": tiny.mean_classifier(folder / "rope.onnx"),
        "labelfile_path": "rope.txt",
        "net_scale_factor": 1 / 255,
        "secondary_reinfer_interval": 0,
        "operate_on_gie_id": 1,
        "batch_size": 4,
    }
    return tiny.ini(folder / "pgie.txt", **values), tiny.ini(folder / "sgie.txt", **judge)


def run(line: str, look: Callable[[NvDsBatchMeta], None] | None = None) -> str:
    """Run a pipeline to its end; return the error's text, or nothing."""
    pipeline = Gst.parse_launch(line)
    sink = pipeline.get_by_name("sink")
    failed: list[Exception] = []

    def probe(_pad: Any, info: Any) -> Any:
        try:
            batch = buffer_meta.get(info.get_buffer())
            assert batch is not None
            if look is not None:
                look(batch)
        except Exception as error:
            failed.append(error)
        return Gst.PadProbeReturn.OK

    if sink is not None:
        sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, probe)
    pipeline.set_state(Gst.State.PLAYING)
    wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, wanted)
    pipeline.set_state(Gst.State.NULL)
    assert not failed, failed
    assert message is not None, "no end after 60 s"
    return message.parse_error()[0].message if message.type == Gst.MessageType.ERROR else ""


def test_two_sources_are_detected_tracked_and_judged_without_a_copy(tmp_path: Path) -> None:
    pgie, sgie = configs(tmp_path)
    seen: dict[int, list[tuple[int, int, str | None]]] = {0: [], 1: []}
    copies, live = buffer_meta.copy_count(), buffer_meta.live_count()

    def look(batch: NvDsBatchMeta) -> None:
        for frame in batch.frames:
            (meta,) = frame.objects
            seen[frame.pad_index].append(
                (frame.frame_num, meta.object_id, meta.text_params.stand_in_text())
            )

    error = run(
        f"{PAIRS} ! nvinfer config-file-path={pgie} batch-size=2 ! queue ! nvtracker "
        f"ll-config-file={TRACKER} tracker-width=640 tracker-height=384 ! queue ! nvinfer "
        f"config-file-path={sgie} ! fakesink name=sink "
        + SOURCE.format(frames=20, pattern="white", pad=0)
        + " "
        + SOURCE.format(frames=20, pattern="black", pad=1),
        look,
    )

    assert error == ""
    assert seen[0] == [(number, 0, "person 0 bright ") for number in range(20)]
    assert seen[1] == [(number, 0, "person 0 dark ") for number in range(20)]
    assert buffer_meta.copy_count() == copies
    assert buffer_meta.live_count() <= live


def test_interval_leaves_predicted_people_on_the_skipped_frames(tmp_path: Path) -> None:
    pgie, _ = configs(tmp_path, interval=4)
    seen: list[tuple[int, bool]] = []

    def look(batch: NvDsBatchMeta) -> None:
        (frame,) = batch.frames
        seen.append((frame.bInferDone, frame.objects[0].confidence > 0))

    line = (
        f"{SINGLES} ! nvinfer config-file-path={pgie} interval=1 ! nvtracker "
        f"ll-config-file={TRACKER} ! fakesink name=sink "
    )
    error = run(line + SOURCE.format(frames=4, pattern="white", pad=0), look)

    # The property wins over the file's interval of 4.
    assert error == ""
    assert seen == [(1, True), (0, False), (1, True), (0, False)]


def test_an_asynchronous_classifier_delays_no_frame_and_judges_a_later_one(
    tmp_path: Path,
) -> None:
    pgie, sgie = configs(tmp_path)
    sgie.write_text(f"{sgie.read_text()}classifier-async-mode=1\n")
    live = buffer_meta.live_count()
    texts: list[str | None] = []

    error = run(
        f"{SINGLES} ! nvinfer config-file-path={pgie} ! nvtracker ll-config-file={TRACKER} ! "
        f"nvinfer config-file-path={sgie} ! fakesink name=sink "
        + SOURCE.format(frames=30, pattern="white is-live=true", pad=0),
        lambda batch: texts.append(batch.frames[0].objects[0].text_params.stand_in_text()),
    )

    assert error == ""
    assert len(texts) == 30
    assert (texts[0], texts[-1]) == ("person 0", "person 0 bright ")
    assert buffer_meta.live_count() <= live


def test_stabilize_buffer_count_drops_the_first_batches(tmp_path: Path) -> None:
    pgie, _ = configs(tmp_path, stabilize_buffer_count=3)
    numbers: list[int] = []

    error = run(
        f"{SINGLES} ! nvinfer config-file-path={pgie} ! fakesink name=sink "
        + SOURCE.format(frames=5, pattern="white", pad=0),
        lambda batch: numbers.extend(frame.frame_num for frame in batch.frames),
    )

    assert (error, numbers) == ("", [3, 4])


def test_a_second_start_of_the_element_drops_nothing_again(tmp_path: Path) -> None:
    pgie, _ = configs(tmp_path, stabilize_buffer_count=3)
    line = f"{SINGLES} ! nvinfer config-file-path={pgie} ! fakesink name=sink "
    pipeline = Gst.parse_launch(line + SOURCE.format(frames=5, pattern="white", pad=0))
    counts = []

    for _ in range(2):
        run = Run()
        watch(pipeline.get_by_name("sink").get_static_pad("sink"), run)
        play(pipeline, run)
        counts.append(len(run.batches))

    assert counts == [2, 5]


def test_properties_show_what_the_file_says_in_nvinfer_s_form(tmp_path: Path) -> None:
    pgie, sgie = configs(tmp_path, filter_out_class_ids="3;1", raw_output_file_write=1)
    sgie.write_text(sgie.read_text() + "operate-on-class-ids=2;0\n")
    first, second = (Gst.ElementFactory.make("nvinfer") for _ in range(2))

    first.set_property("config-file-path", str(pgie))
    second.set_property("config-file-path", str(sgie))

    assert first.get_property("filter-out-class-ids") == "1;3;"
    assert first.get_property("raw-output-file-write")
    assert second.get_property("infer-on-class-ids") == "0:2:"
    for element in (first, second):
        Gst.Pipeline().add(element)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        pytest.param(
            "nvinfer name=it config-file-path=/none/pgie.txt", "it: /none/pgie.txt: no such file"
        ),
        pytest.param("nvinfer name=it", "it: config-file-path is not set"),
        pytest.param(
            "nvtracker name=it ll-config-file=/none/iou.yml", "it: ll-config-file: /none/iou.yml"
        ),
    ],
    ids=["missing-config", "no-config", "tracker"],
)
def test_what_cannot_start_says_so_on_the_bus(element: str, message: str) -> None:
    error = run(f"{SINGLES} ! {element} ! fakesink " + SOURCE.format(frames=2, pattern=0, pad=0))

    assert message in error


def test_an_engine_that_cannot_be_used_is_replaced_from_onnx_file(tmp_path: Path) -> None:
    pgie, _ = configs(tmp_path)

    error = run(
        f"{SINGLES} ! nvinfer config-file-path={pgie} model-engine-file=/none/x.engine ! fakesink "
        + SOURCE.format(frames=2, pattern="white", pad=0)
    )

    assert error == ""


def test_properties_show_the_files_values_until_they_are_set(tmp_path: Path) -> None:
    pgie, _ = configs(tmp_path, batch_size=4, interval=2)
    element = Gst.ElementFactory.make("nvinfer")
    element.set_property("interval", 1)

    element.set_property("config-file-path", str(pgie))

    assert element.get_property("batch-size") == 4
    assert element.get_property("unique-id") == 1
    assert element.get_property("interval") == 1


def test_a_box_outside_the_frame_stops_the_pipeline_with_its_object(tmp_path: Path) -> None:
    pgie, sgie = configs(tmp_path)
    pipeline_line = (
        f"{SINGLES} ! nvinfer config-file-path={pgie} name=pgie ! nvinfer name=sgie "
        f"config-file-path={sgie} ! fakesink name=sink "
        + SOURCE.format(frames=2, pattern="white", pad=0)
    )
    pipeline = Gst.parse_launch(pipeline_line)

    def move(_pad: Any, info: Any) -> Any:
        batch = buffer_meta.get(info.get_buffer())
        assert batch is not None
        batch.frames[0].objects[0].rect_params.left = 620.0
        return Gst.PadProbeReturn.OK

    pipeline.get_by_name("sgie").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, move)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)

    assert message is not None
    said = message.parse_error()[0].message
    assert said.startswith("sgie: Buffer conversion failed: object ")
    assert "leaves the 640x360 frame" in said


def test_nv12_and_rgba_surfaces_give_the_same_network_input() -> None:
    rng = np.random.default_rng(3)
    # Smooth pictures: what the two ways of scaling chroma do at edges is not of interest here.
    luma = np.linspace(40, 200, 640, dtype=np.uint8)[None].repeat(360, 0)
    chroma = np.full((180, 320, 2), rng.integers(80, 180, 2), np.uint8)
    nv12 = Surface(
        640, 360, "NV12", buffer=Gst.Buffer.new_wrapped(luma.tobytes() + chroma.tobytes())
    )
    rgba = Surface.from_rgba(nv12.rgba().copy())
    crop = Crop(64, 32, 400, 200)

    for size in ((100, 51), (800, 400)):
        first, second = (_rgb(surface, crop, size, 1).astype(int) for surface in (nv12, rgba))
        assert np.abs(first - second).max() <= 2
