"""The Python road over doubles that have the names of one release each."""

import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402 (after the skip)
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402

from export.engine.progress import make_monitor  # noqa: E402
from export.engine.recipes import Source, find_model, shapes_of, why_not  # noqa: E402
from export.engine.roads import BuildError, Order  # noqa: E402
from export.engine.tensorrt_road import TensorRtRoad  # noqa: E402
from ropewatch.errors import ModelError  # noqa: E402
from ropewatch.manifest import manifest_of  # noqa: E402
from tests.export.engine.boxes import RUNGS, add_typed, machine, order  # noqa: E402
from tests.export.engine.models import classifier, publish, weights  # noqa: E402
from tests.export.engine.tensorrt_double import building  # noqa: E402
from tests.export.engine.tensorrt_double.building import BUILDING, note_of  # noqa: E402
from tests.export.engine.tensorrt_double.double import RELEASES, make_tensorrt  # noqa: E402

DEMO = Path(__file__).parents[3] / "demo" / "models"


@pytest.fixture
def rope(tmp_path: Path) -> Path:
    path = publish(tmp_path, classifier(weights()), name="rope")
    add_typed(path)
    add_typed(path, precision="int8", operators={"QuantizeLinear": 1, "DequantizeLinear": 1})
    return path


def built(release: str, wanted: Order, **more: Any) -> dict[str, Any]:
    trt = make_tensorrt(release, BUILDING)
    TensorRtRoad(trt, machine(release), **more).build(wanted)
    return note_of(wanted.engine.read_bytes())


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("rung", RUNGS)
def test_each_recipe_builds_with_the_names_of_each_release(
    rope: Path, release: str, rung: str
) -> None:
    wanted = order(rope, rung)
    model = find_model(rope, precision=RUNGS[rung].precision)
    if why_not(RUNGS[rung], model, tensorrt_release=machine(release).tensorrt_release):
        pytest.skip(f"{rung} is no recipe for {release}")

    note = built(release, wanted)

    flags = {"TF32"} if not rung.startswith("fp32") else set()
    flags |= {"FP16", "OBEY_PRECISION_CONSTRAINTS"} if rung == "flagged-fp16" else set()
    least, best = (4, 4) if rung.endswith("static") else (1, 2)
    assert set(note["flags"]) == flags
    assert note["strongly_typed"] == (rung.startswith("typed") or release == "11.1")
    assert note["workspace_bytes"] == 64 << 20
    assert note["profiles"] == [{"images": [[size, 3, 8, 8] for size in (least, best, 4)]}]
    assert note["onnx_sha256"] == wanted.source.manifest.onnx.sha256


@pytest.mark.parametrize("release", ["10.3", "10.16"])
def test_flagged_recipe_holds_every_layernorm_and_softmax_in_fp32(
    tmp_path: Path, release: str
) -> None:
    for name in ("rope.onnx", "rope.onnx.manifest.json"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    wanted = order(tmp_path / "rope.onnx", "flagged-fp16")

    note = built(release, wanted)

    operators = wanted.source.manifest.operators
    assert len(note["precisions"]) == operators["LayerNormalization"] + operators["Softmax"]
    assert set(note["precisions"].values()) == {"FLOAT"}


@pytest.mark.parametrize("release", RELEASES)
def test_timings_are_kept_from_build_to_build(rope: Path, release: str) -> None:
    wanted = order(rope, "fp32")
    built(release, wanted)
    first = wanted.timing_cache.read_bytes()

    built(release, wanted)

    assert wanted.timing_cache.read_bytes() == first + b"+"


def test_damaged_timings_are_measured_anew(rope: Path) -> None:
    wanted = order(rope, "fp32")
    wanted.timing_cache.write_bytes(b"broken")

    built("10.3", wanted)

    assert wanted.timing_cache.read_bytes() == b"+"


def test_fixed_batch_needs_no_profile(tmp_path: Path) -> None:
    model = classifier(weights())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    path = publish(tmp_path, model, name="rope", count=4)
    text = manifest_of(path).read_text("utf-8").replace('["batch", 3, 8, 8]', "[4, 3, 8, 8]")
    manifest_of(path).write_text(text, encoding="utf-8")

    assert built("10.3", order(path, "fp32"))["profiles"] == []


def test_sizes_that_nvinfer_cannot_give_are_refused(rope: Path) -> None:
    text = manifest_of(rope).read_text("utf-8")
    manifest_of(rope).write_text(text.replace("3, 8, 8]", '3, "h", 8]'), encoding="utf-8")

    with pytest.raises(
        ModelError, match=r"images is \['batch', 3, 'h', 8\], want an open batch at"
    ):
        order(rope, "fp32")


def test_operator_that_the_parser_does_not_take_is_told(rope: Path) -> None:
    wanted = order(rope, "fp32")
    model = onnx.load(rope)
    model.graph.node[0].domain = "ours"
    onnx.save(model, rope)
    digest = publish_again(rope)

    with pytest.raises(BuildError, match=r"TensorRT's parser says: no importer for Flatten"):
        built("10.3", replaced(wanted, digest))


def publish_again(path: Path) -> Source:
    """The source as its manifest would describe the changed file."""
    from ropewatch.files import sha256_of  # noqa: PLC0415
    from ropewatch.manifest import Manifest  # noqa: PLC0415

    manifest = Manifest.load(manifest_of(path))
    fact = manifest.onnx.model_copy(update={"sha256": sha256_of(path)})
    return Source(path, manifest.model_copy(update={"onnx": fact}))


def replaced(wanted: Order, source: Source) -> Order:
    return Order(
        wanted.rung,
        source,
        wanted.shapes,
        wanted.workspace_bytes,
        wanted.timing_cache,
        wanted.engine,
    )


def test_onnx_that_changes_meanwhile_is_refused(rope: Path) -> None:
    wanted = order(rope, "fp32")
    rope.write_bytes(rope.read_bytes() + b"\x1a\x01u")

    with pytest.raises(ModelError, match="changed while it was built"):
        built("10.3", wanted)


def test_half_precision_inputs_are_refused(rope: Path) -> None:
    model = onnx.load(rope)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, rope)
    wanted = order_of_changed(rope)

    with pytest.raises(BuildError, match=r"images is .*, want FP32 inputs and outputs"):
        built("10.3", wanted)


def order_of_changed(path: Path) -> Order:
    source = publish_again(path)
    shapes = shapes_of(source, opt_batch=2, max_batch=4, static_batch=False)
    folder = path.parent
    return Order(
        RUNGS["fp32"], source, shapes, 64 << 20, folder / "timings.bin", folder / "out.engine"
    )


def test_build_that_tensorrt_refuses_says_what_it_logged(rope: Path) -> None:
    extra = helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 2])
    model = onnx.load(rope)
    extra.type.tensor_type.shape.dim[0].dim_param = "any"
    model.graph.input.append(extra)
    onnx.save(model, rope)
    wanted = order_of_changed(rope)
    shapes = {**wanted.shapes, "other": wanted.shapes["images"]}

    class Refusing(building.Builder):
        def _complaints(self, network: Any, config: Any) -> Any:
            yield "Error Code 2: OutOfMemory"

    trt = make_tensorrt("10.3", {**BUILDING, "Builder": Refusing})
    refused = Order(
        wanted.rung, wanted.source, shapes, 1 << 20, wanted.timing_cache, wanted.engine
    )
    with pytest.raises(
        BuildError, match=r"TensorRT 10\.3\.0 built no engine by fp32, want one; it says: Error C"
    ):
        TensorRtRoad(trt, machine()).build(refused)
    assert not wanted.engine.exists()


@pytest.mark.parametrize("release", RELEASES)
def test_phases_become_bars(rope: Path, release: str) -> None:
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=120)
    progress = Progress(console=console, auto_refresh=False)
    shown: list[list[str]] = []

    def monitor(trt: Any) -> Any:
        made = make_monitor(trt, progress)
        finish = made.phase_finish

        def note_and_finish(phase_name: str) -> None:
            shown.append([f"{task.description} {task.completed:g}" for task in progress.tasks])
            finish(phase_name)

        made.phase_finish = note_and_finish
        return made

    built(release, order(rope, "fp32"), monitor=monitor)

    assert shown == [["  Building Engine 0", "    Tactic selection 3"], ["  Building Engine 2"]]
    assert progress.tasks == []


def test_ctrl_c_in_a_callback_ends_the_build_instead_of_crossing_tensorrt(rope: Path) -> None:
    class Interrupting(Progress):
        def update(self, *args: Any, **kwargs: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().update(*args, **kwargs)

    progress = Interrupting(console=Console(file=io.StringIO()), auto_refresh=False)
    wanted = order(rope, "fp32")

    # A job in the background of a script is started with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            built("10.3", wanted, monitor=lambda trt: make_monitor(trt, progress))
    finally:
        signal.signal(signal.SIGINT, before)

    assert not wanted.engine.exists()
