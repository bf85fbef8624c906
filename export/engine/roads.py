"""What both roads to an engine are given and give back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from export.engine.recipes import Rung, Source
from ropewatch.engine_manifest import ShapeRange
from ropewatch.errors import ModelError


class BuildError(ModelError):
    """TensorRT could not make an engine by one recipe; the next may still work."""


@dataclass(frozen=True, slots=True)
class Order:
    """One engine to build.

    Attributes:
        rung: the recipe.
        source: the ONNX to read.
        shapes: by input; they become the one optimisation profile.
        workspace_bytes: most that a kernel may use beside weights and activations.
        timing_cache: read if it is there, and written.
        engine: where to write it.
    """

    rung: Rung
    source: Source
    shapes: Mapping[str, ShapeRange]
    workspace_bytes: int
    timing_cache: Path
    engine: Path


class Road(Protocol):
    """A way to have TensorRT build."""

    @property
    def name(self) -> Literal["python", "trtexec"]:
        """As the manifest calls it."""

    def flags(self, rung: Rung) -> tuple[str, ...]:
        """What a rung sets on this road: part of the engine's digest and manifest."""

    def build(self, order: Order) -> None:
        """Write the engine.

        Raises:
            BuildError: TensorRT did not make one; the text says what it logged.
        """
