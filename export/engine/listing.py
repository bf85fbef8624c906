"""What engines a folder has, which of them may run here, and which cached ones nobody needs."""

from collections.abc import Callable, Iterator
from pathlib import Path

from export.engine.cache import Cache
from export.engine.lock import locked
from ropewatch.engine_manifest import EngineManifest, Machine, engine_manifest_of
from ropewatch.errors import ModelError
from ropewatch.receipt import require_passing


def rows(folder: Path, machine: Machine) -> Iterator[str]:
    """Say of each engine of a folder whether it may run on a machine, one line each."""
    engines = sorted(folder.glob("*.engine"))
    if not engines:
        yield f"{folder}: no engines"
    for engine in engines:
        yield f"{engine.name}: {_state(engine, machine)}"
    cached = sorted(
        (manifest.engine.file, manifest.recipe, entry)
        for entry, manifest in Cache(folder).entries()
    )
    for file, recipe, entry in cached:
        state = "refused" if not (entry / file).exists() else "kept"
        yield f"cache: {file} ({recipe}): {state}"


def prune(
    folder: Path, machine: Machine, *, tell: Callable[[str], None]
) -> Iterator[tuple[Path, int]]:
    """Remove cached engines that are not an engine of the folder fit for a machine.

    Refusals are forgotten too: the next build tries those recipes again.

    Returns:
        Each removed entry with the bytes that this freed.
    """
    cache = Cache(folder)
    manifests = (_read(engine) for engine in folder.glob("*.engine"))
    keep = frozenset(
        manifest.engine.sha256
        for manifest in manifests
        if manifest is not None and manifest.machine == machine
    )
    with locked(cache.lock, tell=tell):
        yield from cache.prune(keep=keep)


def _state(engine: Path, machine: Machine) -> str:
    manifest = _read(engine)
    if manifest is None:
        return "no readable manifest; build it again with `ropewatch engine build`"
    what = f"{manifest.recipe}, {engine.stat().st_size / 1e6:.1f} MB"
    if manifest.machine != machine:
        other = manifest.machine
        return (
            f"{what}, for TensorRT {other.tensorrt} on {other.gpu}, want TensorRT "
            f"{machine.tensorrt} on {machine.gpu}; build it again with `ropewatch engine build`"
        )
    try:
        require_passing(engine)
    except ModelError as error:
        return f"{what}, may not run: {error}"
    return f"{what}, passed"


def _read(engine: Path) -> EngineManifest | None:
    try:
        return EngineManifest.load(engine_manifest_of(engine))
    except ModelError:
        return None
