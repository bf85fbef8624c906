"""The manifest beside an engine: what it was built from, how, with what and for which machine."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import Self

from ropewatch.errors import ModelError
from ropewatch.manifest import SUFFIX, FileFact, Sha256

Precision = Literal["fp32", "fp16", "int8"]


class _Part(BaseModel):
    """Base of the manifest and its parts: read-only, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShapeRange(_Part):
    """What an engine takes at one input: NCHW or other, batch first."""

    min: tuple[int, ...] = Field(min_length=1)
    opt: tuple[int, ...] = Field(min_length=1, description="What the engine was made fast for.")
    max: tuple[int, ...] = Field(min_length=1)


class Machine(_Part):
    """One GPU and the software above it; an engine loads nowhere else."""

    tensorrt: str = Field(pattern=r"^\d+\.\d+", description="Release, such as 10.3.0.")
    cuda: str = Field(min_length=1, description="Highest CUDA release that the driver serves.")
    gpu: str = Field(min_length=1, description="Name that the driver gives.")
    compute_capability: str = Field(pattern=r"^\d+\.\d+$", description="8.7 is Orin.")
    l4t: str | None = Field(None, description="Jetson Linux release; none elsewhere.")

    @property
    def tensorrt_release(self) -> tuple[int, int]:
        """Major and minor number."""
        major, minor = self.tensorrt.split(".")[:2]
        return int(major), int(minor)


class RungFact(_Part):
    """How one recipe of the ladder ended."""

    recipe: str = Field(min_length=1)
    outcome: Literal["passed", "refused", "failed", "skipped"] = Field(
        description="Refused by the parity gate; failed to build; skipped: not possible here."
    )
    reason: str = Field(description="Why not passed; empty where it did.")


class TimingCacheFact(_Part):
    """TensorRT's measurements of kernels, kept from build to build."""

    file: str = Field(min_length=1)
    warm: bool = Field(description="It held measurements before this build.")


class EngineManifest(_Part):
    """What `ropewatch engine build` knows about one engine."""

    format: Literal["ropewatch-engine-1"]
    onnx: str = Field(
        min_length=1,
        description="Path of the ONNX relative to this file: the one whose golden outputs count.",
    )
    onnx_sha256: Sha256
    built_from: FileFact = Field(description="What the builder really read: that ONNX or a typed.")
    engine: FileFact
    machine: Machine
    precision: Precision
    recipe: str = Field(min_length=1, description="Rung of the ladder.")
    road: Literal["python", "trtexec"]
    profile: dict[str, ShapeRange] = Field(
        description="By input; min, opt and max are equal where the batch is fixed."
    )
    flags: tuple[str, ...] = Field(description="Builder flags, or trtexec's options.")
    workspace_bytes: int = Field(ge=1)
    timing_cache: TimingCacheFact | None
    cache_key: Sha256 = Field(description="Digest of all that decides about the engine.")
    ladder: tuple[RungFact, ...] = Field(description="Recipes that were tried before this one.")
    built_at: str = Field(min_length=1, description="RFC 3339, UTC.")
    build_s: float = Field(ge=0)
    ropewatch: str = Field(min_length=1, description="Version that built it.")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a manifest file.

        Raises:
            ModelError: the file is missing or unreadable, or says something that it must not.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror}, want the manifest that `ropewatch engine build` "
                f"writes beside an engine; build the engine again"
            ) from error
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, fault["loc"])) or "manifest"
            raise ModelError(
                f"{path}: {key}: {fault['msg']}, want an engine's manifest; build the engine again"
            ) from error


def engine_manifest_of(engine: Path) -> Path:
    """Where the manifest of an engine is."""
    return engine.with_name(engine.name + SUFFIX)
