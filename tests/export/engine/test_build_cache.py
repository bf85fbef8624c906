"""The cache and the lock: nothing is built twice, and a kill leaves no engine unproved."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.cache import FOLDER
from ropewatch.engine_manifest import engine_manifest_of
from ropewatch.errors import ModelError
from ropewatch.golden import Golden, golden_of
from ropewatch.receipt import receipt_of, require_passing
from tests.export.engine.boxes import Box, add_typed, describe_golden, manifest, publish_rope
from tests.export.engine.models import classifier, publish, weights
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return publish_rope(tmp_path)


def test_same_inputs_are_not_built_again(onnx: Path) -> None:
    first = Box()
    engine = first.build(onnx)
    content = engine.read_bytes()
    again = Box()

    assert again.build(onnx) == engine

    assert (again.built, again.judged, engine.read_bytes()) == ([], [], content)


def test_removed_engine_comes_back_from_the_cache_as_a_link(onnx: Path) -> None:
    engine = Box().build(onnx)
    for path in (engine, engine_manifest_of(engine), receipt_of(engine)):
        path.unlink()
    again = Box()

    again.build(onnx)

    assert again.built == []
    assert require_passing(engine).verdict == "passed"
    assert engine.stat().st_nlink == 2


@pytest.mark.parametrize("change", ["workspace", "batch", "release", "onnx"])
def test_any_other_input_is_another_engine(onnx: Path, change: str) -> None:
    Box().build(onnx)
    if change == "onnx":
        publish(onnx.parent, classifier(weights(1)), name="rope")
        add_typed(onnx)
    again = Box("10.16" if change == "release" else "10.3")
    changes = {"workspace": {"workspace_bytes": 32 << 20}, "batch": {"max_batch": 8}}

    engine = again.build(onnx, **changes.get(change, {}))

    assert again.built == ["typed-fp16"]
    assert require_passing(engine).verdict == "passed"


def test_refused_recipes_are_not_built_again_for_the_same_golden_outputs(onnx: Path) -> None:
    Box(wrong=("typed-fp16",)).build(onnx)
    again = Box(wrong=("typed-fp16",))

    again.build(onnx)

    assert again.built == []


def test_new_golden_outputs_are_compared_with_the_old_engine(onnx: Path) -> None:
    engine = Box().build(onnx)
    golden = Golden.load(golden_of(onnx))
    Golden(golden.pixels, golden.inputs, golden.outputs, {**golden.origin, "more": "known"}).save(
        golden_of(onnx)
    )
    describe_golden(onnx)
    with pytest.raises(ModelError):
        require_passing(engine)
    again = Box()

    again.build(onnx)

    assert (again.built, again.judged) == ([], ["typed-fp16"])
    assert require_passing(engine).verdict == "passed"


def test_damaged_cache_is_built_again(onnx: Path) -> None:
    engine = Box().build(onnx)
    (cached,) = (onnx.parent / FOLDER).glob("*/*.engine")
    # The link shares its bytes: the named engine is damaged with it.
    cached.write_bytes(b"half")
    again = Box()

    again.build(onnx)

    assert again.built == ["typed-fp16"]
    assert require_passing(engine).verdict == "passed"


START = """
import sys, time
from pathlib import Path
from tests.export.engine.boxes import Box

class Aloud(list):
    def append(self, line):
        print(line, flush=True)

onnx, building, go_on = map(Path, sys.argv[1:])
box = Box(told=Aloud())
gate = box._gate
def held(engine):
    building.touch()
    while not go_on.exists():
        time.sleep(0.01)
    return gate(engine)
box._gate = held
box.build(onnx)
print(f"built {len(box.built)}")
"""


def start(onnx: Path, building: Path, go_on: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", START, str(onnx), str(building), str(go_on)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_second_start_waits_says_so_and_builds_nothing(onnx: Path, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    first = start(onnx, tmp_path / "building", go_on)
    wait_until((tmp_path / "building").exists)
    second = start(onnx, tmp_path / "other", go_on)
    assert second.stdout is not None

    assert f"process {first.pid} builds here already" in second.stdout.readline()
    go_on.touch()
    said_first, _ = first.communicate(timeout=60)
    said_second, _ = second.communicate(timeout=60)

    assert said_first.endswith("built 1\n")
    assert said_second.endswith("built 0\n")


def build_and_die(onnx: Path, place: int) -> bool:
    """Build in a child that is killed at the n-th change on disk; whether it came so far."""
    child = os.fork()
    if child == 0:
        seen = 0
        mine = str(onnx.parent)

        def kill(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            changes = event in {"os.rename", "os.link", "os.remove", "os.mkdir", "os.utime"}
            writes = event == "open" and isinstance(arguments[1], str) and "w" in arguments[1]
            if (changes or writes) and str(arguments[0]).startswith(mine):
                seen += 1
                if seen > place:
                    os.kill(os.getpid(), 9)

        sys.addaudithook(kill)
        try:
            Box().build(onnx)
        except BaseException:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


@pytest.mark.slow
def test_build_killed_at_any_step_leaves_an_engine_that_passed_or_none(
    onnx: Path, tmp_path: Path
) -> None:
    old = Box().build(onnx).read_bytes()
    publish(onnx.parent, classifier(weights(1)), name="rope")
    add_typed(onnx)
    before = tmp_path / "before"
    shutil.copytree(tmp_path, before, ignore=shutil.ignore_patterns("before"))
    refused = 0

    for place in itertools.count():
        after = tmp_path / f"after-{place}"
        shutil.copytree(before, after)
        was_killed = build_and_die(after / onnx.name, place)
        engine = after / "rope.onnx_b4_gpu0_fp16.engine"
        try:
            require_passing(engine)
        except ModelError:
            refused += 1
        else:
            # It passes with the new ONNX, so it cannot be the old one's.
            assert engine.read_bytes() != old
        Box().build(after / onnx.name)
        assert require_passing(engine).onnx.sha256 == manifest(engine).onnx_sha256
        assert not list(after.rglob("*.tmp")) + list((after / FOLDER).glob("staging-*"))
        shutil.rmtree(after)
        if not was_killed:
            break

    # Steps before and after the one that makes the engine complete were both seen.
    assert 15 < refused < place
