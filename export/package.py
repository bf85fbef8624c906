"""What an export leaves behind: ONNX, golden outputs, manifest, report; all whole or none new."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from export.macs import gmacs
from export.report import render, report_of
from export.tensorrt_operators import check_operators
from export.to_onnx import OPSET, library_versions, operators_of, tensors_of
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import Golden, golden_of
from ropewatch.manifest import (
    FileFact,
    Manifest,
    PaddingCost,
    ParityFact,
    Polarity,
    Preprocessing,
    manifest_of,
)
from ropewatch.rope_head import RopeHead, head_of

# Called with a line of text as each stage begins.
OnStage = Callable[[str], None]


def silent(_stage: str) -> None:
    """An OnStage for callers that show nothing."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the graph itself does not say; the manifest explains each field."""

    name: str
    kind: Literal["detector", "classifier"]
    weights: Path
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    library: str
    licence_note: str
    parity: tuple[ParityFact, ...] = ()
    mode: Literal["crop", "frame", "backbone"] | None = None
    architecture: dict[str, Any] | None = None
    architecture_origins: Mapping[str, str] | None = None
    # The comparison with the training's own code, where there was one.
    verified: ParityFact | None = None
    attention: Literal["explicit"] | None = None
    head: RopeHead | None = None
    polarity: Polarity | None = None
    padding_cost: PaddingCost | None = None


# The graph, what it does not say itself, and what the original gives.
Made = tuple[onnx.ModelProto, Description, Golden]


def require_file(path: Path, *, wanted: str) -> None:
    """Raise a ModelError unless the file exists and holds something."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file, want {wanted}; fix the path")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: empty, want {wanted}; copy it again")


def publish(
    graph: onnx.ModelProto, description: Description, golden: Golden, *, output_dir: Path
) -> Path:
    """Write the ONNX and what lies beside it, each under a temporary name first.

    If the power fails between them, the digests in the old manifest no longer fit and every
    reader refuses what lies there.

    Args:
        graph: checked and compared.
        description: of the graph.
        golden: what the original gives.
        output_dir: made when missing.

    Returns:
        The path of the ONNX.

    Raises:
        ModelError: an operator that TensorRT does not take, or a folder that cannot be written.
    """
    check_operators(graph)
    content: bytes = graph.SerializeToString()
    onnx_path = output_dir / f"{description.name}.onnx"
    contents = {onnx_path: content, golden_of(onnx_path): golden.to_bytes()}
    if description.head is not None:
        contents[head_of(onnx_path)] = description.head.to_bytes()
    manifest = _manifest(
        graph, description, *(file_fact(path.name, held) for path, held in contents.items())
    )
    text = manifest.model_dump_json(indent=1) + "\n"
    contents[manifest_of(onnx_path)] = text.encode()
    contents[report_of(onnx_path)] = render(manifest).encode()
    write_together(contents)
    return onnx_path


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files of one folder, each under a temporary name first, then rename them in order.

    Raises:
        ModelError: the folder cannot be made or written; it is then as it was.
    """
    folder = next(iter(contents)).parent
    staged = {final: final.with_name(f".{final.name}.{os.getpid()}.tmp") for final in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for final, temporary in staged.items():
            _write_through(temporary, contents[final])
        for final, temporary in staged.items():
            temporary.replace(final)
    except OSError as error:
        raise ModelError(
            f"{folder}: {error.strerror or error}, want a folder that can be written; "
            f"give another --output"
        ) from error
    finally:
        for temporary in staged.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def file_fact(name: str, content: bytes) -> FileFact:
    """A file that is about to be written."""
    return FileFact(file=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _status(description: Description) -> Literal["verified", "unverified"] | None:
    """Only numbers from the training's own code tell what leaves no tensor."""
    if description.architecture is None:
        return None
    return "unverified" if description.verified is None else "verified"


def _manifest(
    graph: onnx.ModelProto,
    description: Description,
    content: FileFact,
    golden: FileFact,
    head: FileFact | None = None,
) -> Manifest:
    weights = description.weights
    return Manifest(
        format="ropewatch-model-1",
        kind=description.kind,
        mode=description.mode,
        onnx=content,
        golden=golden,
        head=head,
        weights=FileFact(
            file=weights.name, sha256=sha256_of(weights), size_bytes=weights.stat().st_size
        ),
        opset=OPSET,
        inputs=tensors_of(graph.graph.input),
        outputs=tensors_of(graph.graph.output),
        preprocessing=description.preprocessing,
        labels=description.labels,
        architecture=description.architecture,
        architecture_origins=description.architecture_origins,
        architecture_status=_status(description),
        attention=description.attention,
        operators=operators_of(graph),
        gmacs=gmacs(graph),
        padding_cost=description.padding_cost,
        polarity=description.polarity,
        parity=(*description.parity, *([description.verified] if description.verified else [])),
        versions=library_versions(description.library),
        licence_notes=(description.licence_note,),
    )


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
