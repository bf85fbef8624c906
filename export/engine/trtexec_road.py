"""trtexec as the other road: NVIDIA's own program, with the options that say the same.

For a box whose Python bindings cannot build, and to see a fault without ropewatch in between. Its
options were read in NVIDIA/TensorRT, samples/common/sampleOptions.cpp at v10.3.0, v10.16, v11.1.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from export.engine.recipes import Rung, is_always_typed
from export.engine.roads import BuildError, Order
from ropewatch.engine_manifest import Machine
from ropewatch.errors import BackendError

# NVIDIA's packages put it here, outside of PATH.
USUAL: Final = Path("/usr/src/tensorrt/bin/trtexec")
# ONNX operators, which end the names that PyTorch gives their nodes, hence the layers.
_KEPT_FP32: Final = ("LayerNormalization", "Softmax")
_HELD = re.compile(r"Set layer .* to precision fp32")
_VERSION = re.compile(r"TensorRT version: (\d+\.\d+)")


class TrtexecRoad:
    """Builds in a process of its own.

    Args:
        program: trtexec.
        machine: where it runs.
        tell: gets each line that it prints.
    """

    name: Final = "trtexec"

    def __init__(self, program: Path, machine: Machine, *, tell: Callable[[str], None]) -> None:
        self._program = program
        self._machine = machine
        self._tell = tell

    def flags(self, rung: Rung) -> tuple[str, ...]:
        """Return the options of a rung."""
        options = ["--noTF32"] if rung.precision == "fp32" else []
        if rung.typed or is_always_typed(self._machine.tensorrt_release):
            options.append("--stronglyTyped")
        if rung.fp16:
            held = ",".join(f"*{kind}:fp32" for kind in _KEPT_FP32)
            options += ["--fp16", "--precisionConstraints=obey"]
            options += [f"--layerPrecisions={held}", f"--layerOutputTypes={held}"]
        return tuple(options)

    def command(self, order: Order, *, engine: Path) -> list[str]:
        """Return the whole command line."""
        command = [
            str(self._program),
            f"--onnx={order.source.path}",
            f"--saveEngine={engine}",
            f"--memPoolSize=workspace:{order.workspace_bytes / (1 << 20):g}M",
            f"--timingCacheFile={order.timing_cache}",
            "--skipInference",
            *self.flags(order.rung),
        ]
        # A fixed batch takes no profile.
        inputs = order.source.manifest.inputs
        names = [tensor.name for tensor in inputs if isinstance(tensor.shape[0], str)]
        for option, end in (
            ("--minShapes", "min"),
            ("--optShapes", "opt"),
            ("--maxShapes", "max"),
        ):
            sizes = [
                f"{name}:{'x'.join(map(str, getattr(order.shapes[name], end)))}" for name in names
            ]
            if sizes:
                command.append(f"{option}={','.join(sizes)}")
        return command

    def build(self, order: Order) -> None:
        """Write the engine; see Road.

        Raises:
            BuildError: trtexec failed, or did not do what its options say.
        """
        staged = order.engine.with_name(f".{order.engine.name}.tmp")
        with subprocess.Popen(
            self.command(order, engine=staged),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            lines = list(self._told(process.stdout))
        errors = [line for line in lines if "[E]" in line]
        if process.returncode or not staged.is_file():
            said = " | ".join(errors[-3:] or lines[-3:]) or "nothing"
            raise BuildError(
                f"{order.source.path}: trtexec ended with {process.returncode} at "
                f"{order.rung.name}, want an engine; it says: {said}"
            )
        self._require_release(lines)
        if order.rung.fp16:
            self._require_held(lines, order)
        with staged.open("rb") as stream:
            os.fsync(stream.fileno())
        staged.replace(order.engine)

    def _told(self, lines: Iterable[str]) -> Iterable[str]:
        for line in lines:
            self._tell(line.rstrip())
            yield line.rstrip()

    def _require_release(self, lines: list[str]) -> None:
        own = "{}.{}".format(*self._machine.tensorrt_release)
        for line in lines:
            match = _VERSION.search(line)
            if match is not None and match[1] != own:
                raise BuildError(
                    f"{self._program}: TensorRT {match[1]}, want {own} as the Python package; an "
                    f"engine of one does not load in the other, give --road python"
                )

    def _require_held(self, lines: list[str], order: Order) -> None:
        """Trtexec passes over a pattern that fits no layer without a word."""
        operators = order.source.manifest.operators
        wanted = sum(operators.get(kind, 0) for kind in _KEPT_FP32)
        held = sum(1 for line in lines if _HELD.search(line))
        if held < wanted:
            raise BuildError(
                f"{order.source.path}: trtexec held {held} layers in fp32, want {wanted} "
                f"({' and '.join(_KEPT_FP32)}); give --road python, which goes by the layers' kind"
            )


def find_trtexec(usual: Path = USUAL) -> Path:
    """Where trtexec is.

    Raises:
        BackendError: nowhere.
    """
    found = shutil.which("trtexec")
    if found is None and not usual.is_file():
        raise BackendError(
            f"trtexec: not in PATH and not at {usual}, want it for --road trtexec; install "
            f"NVIDIA's package libnvinfer-bin, or give --road python"
        )
    return Path(found) if found is not None else usual
