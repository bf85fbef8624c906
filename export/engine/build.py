"""Walk the ladder: build by each recipe until the parity gate passes one."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from export.engine import resources
from export.engine.cache import Cache, key_of, publish, withdraw
from export.engine.lock import locked
from export.engine.recipes import LADDERS, Model, Rung, find_model, shapes_of, why_not
from export.engine.roads import BuildError, Order, Road
from ropewatch.engine_manifest import (
    EngineManifest,
    Machine,
    Precision,
    RungFact,
    TimingCacheFact,
    engine_manifest_of,
)
from ropewatch.engine_names import ENGINE_NAME, engine_name
from ropewatch.errors import ModelError
from ropewatch.files import replace_file, sha256_of
from ropewatch.golden import golden_of, load_golden
from ropewatch.manifest import FileFact, manifest_of
from ropewatch.receipt import Receipt, receipt_of, require_passing

Gate = Callable[[Path], Receipt]


@dataclass(frozen=True, slots=True)
class Request:
    """What an operator asks for.

    Attributes:
        onnx: the exported model, with its manifest and golden outputs beside it.
        precision: of the first rung; the ladder may end in fp32.
        opt_batch: what the engine is made fast for.
        max_batch: most that nvinfer may give it, its batch-size.
        workspace_bytes: see Order.
        output: the engine's path; none: nvinfer's own name beside the ONNX. Of a name in
            nvinfer's form the precision follows the engine.
    """

    onnx: Path
    precision: Precision
    opt_batch: int
    max_batch: int
    workspace_bytes: int
    output: Path | None = None

    def target(self, precision: Precision) -> Path:
        """Where an engine of a precision goes."""
        folder, onnx = self.onnx.parent, self.onnx.name
        if self.output is not None:
            match = ENGINE_NAME.fullmatch(self.output.name)
            if match is None:
                return self.output
            folder, onnx = self.output.parent, match["onnx"]
        return folder / engine_name(onnx, batch=self.max_batch, precision=precision)


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds on one machine.

    Attributes:
        gate: verifies an engine with its manifest beside it, and leaves the receipt there.
        tell: gets lines for people.
    """

    machine: Machine
    road: Road
    gate: Gate
    tell: Callable[[str], None]

    def build(self, request: Request) -> Path:
        """Give the engine that passed, from the cache where it is there.

        Raises:
            ModelError: the model does not fit, or no recipe passed; nothing that could be taken
                for an engine of this model is left then.
            BackendError: no room to build.
        """
        model = find_model(request.onnx, precision=request.precision)
        _check_output(request)
        # Before minutes of building: without these no engine can pass.
        load_golden(request.onnx)
        cache = Cache(request.target(request.precision).parent)
        tried: list[RungFact] = []
        with locked(cache.lock, tell=self.tell):
            cache.clear_leftovers()
            for rung in LADDERS[request.precision]:
                climb = _Climb(
                    self, request, model=model, rung=rung, cache=cache, tried=tuple(tried)
                )
                fact = climb.attempt()
                self.tell(f"{fact.recipe}: {fact.outcome}{fact.reason and ': '}{fact.reason}")
                if fact.outcome == "passed":
                    target = request.target(rung.precision)
                    publish(climb.cached, target, onnx=request.onnx)
                    return target
                tried.append(fact)
            kept = _withdraw_unproven(request)
        told = "; ".join(f"{fact.recipe} {fact.outcome} ({fact.reason})" for fact in tried)
        raise ModelError(
            f"{request.onnx}: no engine of TensorRT {self.machine.tensorrt} passed: {told}; want "
            f"one that gives the golden outputs; use another TensorRT release, that is another "
            f"JetPack, or export the model anew (docs/engines.md){kept}"
        )


class _Climb:
    """One rung for one request."""

    def __init__(
        self,
        builder: Builder,
        request: Request,
        *,
        model: Model,
        rung: Rung,
        cache: Cache,
        tried: tuple[RungFact, ...],
    ) -> None:
        self._builder, self._request, self._model = builder, request, model
        self._rung, self._cache, self._tried = rung, cache, tried
        self._source = model.typed if rung.typed and model.typed is not None else model.parent
        self._shapes = shapes_of(
            self._source,
            opt_batch=request.opt_batch,
            max_batch=request.max_batch,
            static_batch=rung.static_batch,
        )
        self._key = key_of(
            {
                "onnx": model.parent.manifest.onnx.sha256,
                "built_from": self._source.manifest.onnx.sha256,
                "machine": builder.machine.model_dump(),
                "recipe": rung.name,
                "road": builder.road.name,
                "flags": builder.road.flags(rung),
                "profile": {name: shape.model_dump() for name, shape in self._shapes.items()},
                "workspace_bytes": request.workspace_bytes,
            }
        )

    @property
    def cached(self) -> Path:
        """The engine in the cache, there or not."""
        return self._cache.entry(self._key) / self._name

    @property
    def _name(self) -> str:
        request = self._request
        return engine_name(
            request.onnx.name, batch=request.max_batch, precision=self._rung.precision
        )

    def attempt(self) -> RungFact:
        """Take the engine from the cache or build it, and have the gate decide."""
        release = self._builder.machine.tensorrt_release
        reason = why_not(self._rung, self._model, tensorrt_release=release)
        if reason is not None:
            return RungFact(recipe=self._rung.name, outcome="skipped", reason=reason)
        receipt = self._known()
        if receipt is None:
            try:
                receipt = self._build()
            except BuildError as error:
                return RungFact(recipe=self._rung.name, outcome="failed", reason=str(error))
        return RungFact(
            recipe=self._rung.name, outcome=receipt.verdict, reason="; ".join(receipt.reasons)
        )

    def _known(self) -> Receipt | None:
        """What the cache knows: an engine that passed, or that the gate refused before."""
        try:
            built = EngineManifest.load(engine_manifest_of(self.cached))
            receipt = Receipt.load(receipt_of(self.cached))
        except ModelError:
            return None
        if not self.cached.exists():
            return receipt if receipt.verdict == "refused" and self._is_current(receipt) else None
        if sha256_of(self.cached) != built.engine.sha256:
            return None
        try:
            receipt = require_passing(self.cached)
        except ModelError:
            # The golden outputs or the ONNX's manifest changed, the engine did not.
            self._builder.tell(f"{self._rung.name}: built before, comparing it again")
            receipt = self._judge(self.cached)
        else:
            self._builder.tell(f"{self._rung.name}: built before ({built.built_at})")
        return receipt

    def _is_current(self, receipt: Receipt) -> bool:
        onnx = self._request.onnx
        return receipt.ropewatch == version("ropewatch") and all(
            sha256_of(file) == fact.sha256
            for file, fact in (
                (manifest_of(onnx), receipt.manifest),
                (golden_of(onnx), receipt.golden),
            )
        )

    def _build(self) -> Receipt:
        builder, request = self._builder, self._request
        size_bytes = self._source.manifest.onnx.size_bytes
        with self._cache.staging() as folder:
            room = resources.require(
                folder, onnx_bytes=size_bytes, workspace_bytes=request.workspace_bytes
            )
            builder.tell(f"{self._rung.name}: building with {builder.road.name}; {room}")
            order = Order(
                rung=self._rung,
                source=self._source,
                shapes=self._shapes,
                workspace_bytes=request.workspace_bytes,
                timing_cache=self._cache.timing_cache(
                    tensorrt=builder.machine.tensorrt,
                    compute_capability=builder.machine.compute_capability,
                ),
                engine=folder / self._name,
            )
            warm = order.timing_cache.exists()
            begin_s = time.monotonic()
            builder.road.build(order)
            manifest = self._manifest(order, warm=warm, build_s=time.monotonic() - begin_s)
            text = manifest.model_dump_json(indent=1) + "\n"
            replace_file(engine_manifest_of(order.engine), text.encode())
            receipt = self._judge(order.engine)
            self._cache.commit(folder, self._key)
        return receipt

    def _judge(self, engine: Path) -> Receipt:
        receipt = self._builder.gate(engine)
        if receipt.verdict == "refused":
            engine.unlink()
        return receipt

    def _manifest(self, order: Order, *, warm: bool, build_s: float) -> EngineManifest:
        builder, request = self._builder, self._request
        return EngineManifest(
            format="ropewatch-engine-1",
            onnx=os.path.relpath(request.onnx, order.engine.parent),
            onnx_sha256=self._model.parent.manifest.onnx.sha256,
            built_from=self._source.manifest.onnx,
            engine=_fact(order.engine),
            machine=builder.machine,
            precision=self._rung.precision,
            recipe=self._rung.name,
            road=builder.road.name,
            profile=self._shapes,
            flags=builder.road.flags(self._rung),
            workspace_bytes=request.workspace_bytes,
            timing_cache=TimingCacheFact(file=order.timing_cache.name, warm=warm),
            cache_key=self._key,
            ladder=self._tried,
            built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            build_s=round(build_s, 1),
            ropewatch=version("ropewatch"),
        )


def _fact(path: Path) -> FileFact:
    return FileFact(file=path.name, sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _check_output(request: Request) -> None:
    if not 1 <= request.opt_batch <= request.max_batch:
        raise ModelError(
            f"--opt-batch: {request.opt_batch}, want 1 to {request.max_batch}, the greatest "
            f"batch; lower it, or raise --max-batch"
        )
    if request.output is None or ENGINE_NAME.fullmatch(request.output.name) is None:
        return
    wanted = request.target(request.precision).name
    if request.output.name != wanted:
        raise ModelError(
            f"{request.output}: a name in nvinfer's form, want {wanted} as --max-batch and "
            f"--precision say; give that --output, or none"
        )


def _withdraw_unproven(request: Request) -> str:
    """Remove engines of this model that no receipt speaks for; one that passed before stays."""
    kept = ""
    for target in {request.target(rung.precision) for rung in LADDERS[request.precision]}:
        if _is_proven(target):
            kept += f"; {target.name} is left, it passed before"
        else:
            withdraw(target)
    return kept


def _is_proven(engine: Path) -> bool:
    try:
        require_passing(engine)
    except ModelError:
        return False
    return True
