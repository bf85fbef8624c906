"""A box for tests: a machine, a road over the double, and the real gate over real answers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from export.engine.build import Builder, Request
from export.engine.gate import verify
from export.engine.onnx_runner import OnnxRunner
from export.engine.recipes import LADDERS, find_model, shapes_of
from export.engine.roads import BuildError, Order
from export.engine.tensorrt_road import TensorRtRoad
from ropewatch.engine_manifest import EngineManifest, Machine, engine_manifest_of
from ropewatch.files import sha256_of
from ropewatch.golden import golden_of
from ropewatch.manifest import manifest_of
from ropewatch.receipt import Receipt
from tests.export.engine.models import classifier, publish, weights
from tests.export.engine.tensorrt_double.building import BUILDING, onnx_of
from tests.export.engine.tensorrt_double.double import RELEASES, make_tensorrt

RUNGS = {rung.name: rung for ladder in LADDERS.values() for rung in ladder}


def machine(release: str = "10.3") -> Machine:
    return Machine(
        tensorrt=RELEASES[release],
        cuda="12.6",
        gpu="Orin",
        compute_capability="8.7",
        l4t="36.4.3",
    )


class Answers:
    """Runs an engine of the double by its ONNX; wrong where its recipe is said to be."""

    def __init__(self, engine: Path, wrong: Iterable[str]) -> None:
        recipe = manifest(engine).recipe
        self._is_wrong = recipe in wrong
        inner = engine.with_name(f".{engine.name}.onnx")
        inner.write_bytes(onnx_of(engine.read_bytes()))
        self._model = OnnxRunner(inner)
        inner.unlink()

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        outputs = self._model.run(feeds)
        if self._is_wrong:
            outputs = {name: value[:, ::-1].astype(np.float32) for name, value in outputs.items()}
        return outputs


@dataclass
class Box:
    """What a test looks at: which recipes were built, which were judged, what was told."""

    release: str = "10.3"
    wrong: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    built: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def builder(self) -> Builder:
        box = machine(self.release)
        road = _Counting(self, TensorRtRoad(make_tensorrt(self.release, BUILDING), box))
        return Builder(box, road, self._gate, self.told.append)

    def build(self, onnx: Path, **changes: Any) -> Path:
        return self.builder.build(request(onnx, **changes))

    def _gate(self, engine: Path) -> Receipt:
        self.judged.append(manifest(engine).recipe)
        return verify(engine, run=Answers(engine, self.wrong))


class _Counting:
    """A road that notes what it builds; some recipes it cannot."""

    name: Final = "python"

    def __init__(self, box: Box, road: TensorRtRoad) -> None:
        self._box, self._road = box, road

    def flags(self, rung: Any) -> tuple[str, ...]:
        return self._road.flags(rung)

    def build(self, order: Any) -> None:
        self._box.built.append(order.rung.name)
        if order.rung.name in self._box.failing:
            raise BuildError(f"{order.source.path}: no tactic")
        self._road.build(order)


def request(onnx: Path, **changes: Any) -> Request:
    asked: dict[str, Any] = {
        "precision": "fp16",
        "opt_batch": 4,
        "max_batch": 4,
        "workspace_bytes": 64 << 20,
        **changes,
    }
    return Request(onnx=onnx, **asked)


def publish_rope(folder: Path) -> Path:
    """Publish a small classifier with its "typed" ONNX beside it."""
    onnx = publish(folder, classifier(weights()), name="rope")
    add_typed(onnx)
    return onnx


def manifest(engine: Path) -> EngineManifest:
    return EngineManifest.load(engine_manifest_of(engine))


def add_typed(onnx: Path, *, precision: str = "fp16", **changes: Any) -> Path:
    """Lay a "typed" ONNX beside its parent: the same graph under the name that is looked for."""
    typed = onnx.with_name(f"{onnx.stem}.{precision}.onnx")
    # One byte more, in a field that readers pass over: another file of the same numbers.
    typed.write_bytes(onnx.read_bytes() + b"\x1a\x01t")
    golden_of(typed).write_bytes(golden_of(onnx).read_bytes())
    facts = json.loads(manifest_of(onnx).read_text("utf-8"))
    facts["onnx"] |= {
        "file": typed.name,
        "sha256": sha256_of(typed),
        "size_bytes": typed.stat().st_size,
    }
    manifest_of(typed).write_text(json.dumps(facts | changes), encoding="utf-8")
    return typed


def order(path: Path, rung: str) -> Order:
    recipe = RUNGS[rung]
    model = find_model(path, precision=recipe.precision)
    source = model.typed if recipe.typed and model.typed else model.parent
    shapes = shapes_of(source, opt_batch=2, max_batch=4, static_batch=recipe.static_batch)
    folder = path.parent
    return Order(recipe, source, shapes, 64 << 20, folder / "timings.bin", folder / "out.engine")


def describe_golden(onnx: Path) -> None:
    """Make an ONNX's manifest fit the golden outputs that lie there now."""
    facts = json.loads(manifest_of(onnx).read_text("utf-8"))
    path = golden_of(onnx)
    facts["golden"] |= {"sha256": sha256_of(path), "size_bytes": path.stat().st_size}
    manifest_of(onnx).write_text(json.dumps(facts), encoding="utf-8")
