"""Engines by the digest of all that decides about them, and the way to the name nvinfer reads.

The cache lies in the folder of the engines, so that a hard link leads from one to the other and a
container that mounts the folder keeps it. An entry is a folder named after the digest, with the
engine, its manifest and its receipt; of a refused engine the last two stay, so that nobody builds
it again.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ropewatch.engine_manifest import EngineManifest, engine_manifest_of
from ropewatch.errors import ModelError
from ropewatch.files import replace_file
from ropewatch.manifest import SUFFIX
from ropewatch.receipt import receipt_of

FOLDER: Final = ".engine-cache"
_STAGING: Final = "staging-"


class Cache:
    """The cache of one folder of engines. Whoever changes it holds `lock`."""

    def __init__(self, engines: Path) -> None:
        self._engines = engines
        self._root = engines / FOLDER

    @property
    def lock(self) -> Path:
        """The file that a builder locks."""
        return self._root / "lock"

    def timing_cache(self, *, tensorrt: str, compute_capability: str) -> Path:
        """Where TensorRT's kernel timings are kept; they hold for one release and GPU kind."""
        return self._root / f"timing-{tensorrt}-sm{compute_capability}.bin"

    def entry(self, key: str) -> Path:
        """Folder of an entry, there or not."""
        return self._root / key

    def entries(self) -> Iterator[tuple[Path, EngineManifest]]:
        """Folder and manifest of each entry that has a readable one."""
        for path in sorted(self._root.glob(f"*/*.engine{SUFFIX}")):
            with contextlib.suppress(ModelError):
                yield path.parent, EngineManifest.load(path)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder to make an entry in; what `commit` has not taken is removed."""
        folder = self._root / f"{_STAGING}{os.getpid()}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, staged: Path, key: str) -> Path:
        """Make a staged folder the entry; one rename, so that an entry is whole or absent."""
        goal = self.entry(key)
        shutil.rmtree(goal, ignore_errors=True)
        staged.rename(goal)
        _sync_folder(self._root)
        return goal

    def clear_leftovers(self) -> None:
        """Remove what killed builds left; the lock says that nobody is at work."""
        for folder in self._root.glob(f"{_STAGING}*"):
            shutil.rmtree(folder, ignore_errors=True)
        for staged in (*self._engines.glob(".*.engine*.tmp"), *self._root.glob(".*.tmp")):
            staged.unlink(missing_ok=True)

    def prune(self, *, keep: frozenset[str]) -> Iterator[tuple[Path, int]]:
        """Remove entries that are not kept, and say their folder and the bytes that were freed.

        Args:
            keep: digests of the engines whose entries stay.
        """
        self.clear_leftovers()
        for folder, manifest in list(self.entries()):
            if manifest.engine.sha256 in keep:
                continue
            # A linked engine goes on under its other name, and frees nothing.
            files = [path.stat() for path in folder.iterdir()]
            shutil.rmtree(folder, ignore_errors=True)
            yield folder, sum(found.st_size for found in files if found.st_nlink == 1)


def key_of(inputs: Mapping[str, Any]) -> str:
    """Digest of what decides about an engine, 64 hex digits."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def publish(cached: Path, target: Path, *, onnx: Path) -> None:
    """Put an engine of the cache, its manifest and its receipt under the name that is read.

    Engine, manifest, receipt, each by one rename and through to the disk. Between two of them the
    receipt that is there is about another engine, so that every reader refuses the half; the same
    call again completes it.

    Raises:
        ModelError: the folder cannot be written.
    """
    manifest = EngineManifest.load(engine_manifest_of(cached))
    named = manifest.model_copy(
        update={
            "onnx": os.path.relpath(onnx, target.parent),
            "engine": manifest.engine.model_copy(update={"file": target.name}),
        }
    )
    staged = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(cached, staged)
        # Newer than its ONNX, wherever that was copied from: `ropewatch check` compares the two.
        os.utime(staged)
        staged.replace(target)
        _sync_folder(target.parent)
        replace_file(engine_manifest_of(target), (named.model_dump_json(indent=1) + "\n").encode())
        _sync_folder(target.parent)
        replace_file(receipt_of(target), receipt_of(cached).read_bytes())
        _sync_folder(target.parent)
    except OSError as error:
        raise ModelError(
            f"{target}: {error.strerror or error}, want a folder that can be written; give "
            f"another --output"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def withdraw(target: Path) -> None:
    """Remove an engine with what lies beside it, the receipt first: nobody takes a half for good.

    Raises:
        ModelError: a file cannot be removed.
    """
    try:
        for path in (receipt_of(target), engine_manifest_of(target), target):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{target}: {error.strerror}, want to remove an engine that nothing speaks for; "
            f"remove it"
        ) from error


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        # A file system without links, such as exFAT: a copy, as safe and twice as large.
        replace_file(target, source.read_bytes())


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
