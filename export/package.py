"""What an export leaves behind: the ONNX and its manifest, both whole or neither new."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import onnx

from ropewatch.errors import ModelError
from ropewatch.manifest import FileFact, Manifest, manifest_of, sha256_of

# Called with a line of text as each stage begins.
OnStage = Callable[[str], None]


def silent(_stage: str) -> None:
    """An OnStage for callers that show nothing."""


def file_fact(path: Path) -> FileFact:
    """Name, digest and size of a file on disk."""
    return FileFact(file=path.name, sha256=sha256_of(path), size_bytes=path.stat().st_size)


def bytes_fact(name: str, content: bytes) -> FileFact:
    """Name, digest and size of a file yet to be written."""
    digest = hashlib.sha256(content).hexdigest()
    return FileFact(file=name, sha256=digest, size_bytes=len(content))


def require_file(path: Path, *, wanted: str) -> None:
    """Raise a ModelError unless the file exists and holds something."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file, want {wanted}; fix the path")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: empty, want {wanted}; copy it again")


def publish(content: bytes, manifest: Manifest, *, output_dir: Path) -> Path:
    """Write the ONNX, then its manifest, each under a temporary name first.

    If the power fails between the two, the digest in the old manifest no longer fits and every
    reader refuses the pair.

    Args:
        content: the serialised graph that `manifest.onnx` describes.
        manifest: complete.
        output_dir: made when missing.

    Returns:
        The path of the ONNX.
    """
    onnx_path = output_dir / manifest.onnx.file
    text = manifest.model_dump_json(indent=1) + "\n"
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        staged = [
            _staged(onnx_path, content),
            _staged(manifest_of(onnx_path), text.encode()),
        ]
        for temporary, final in staged:
            temporary.replace(final)
    except OSError as error:
        raise ModelError(
            f"{output_dir}: {error.strerror or error}, want a folder that can be written; "
            f"give another --output"
        ) from error
    return onnx_path


def serialise(graph: onnx.ModelProto) -> bytes:
    """The graph as the bytes of a .onnx file."""
    content: bytes = graph.SerializeToString()
    return content


def _staged(final: Path, content: bytes) -> tuple[Path, Path]:
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary, final
