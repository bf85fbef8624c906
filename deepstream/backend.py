"""Which elements the graph runs on: NVIDIA's, or the CPU stand-ins of the same names."""

import importlib
import logging
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ropewatch.errors import BackendError

log = logging.getLogger("ropewatch.backend")

# One factory for each NVIDIA library that the graph cannot do without.
NVIDIA_FACTORIES = ("nvstreammux", "nvinfer", "nvtracker", "nvurisrcbin")


class BackendChoice(str, Enum):
    """What the operator asked for."""

    AUTO = "auto"
    DEEPSTREAM = "deepstream"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Backend:
    """The elements in use, and the module that reads their metadata.

    Attributes:
        name: `deepstream` or `cpu`; part of the box's status message.
        pyds: NVIDIA's bindings, or the stand-in of the same surface.
        version: for people to read.
    """

    name: str
    pyds: Any
    version: str


def load_backend(choice: BackendChoice) -> Backend:
    """Make NVIDIA's elements or the stand-ins ready for use.

    Raises:
        BackendError: the choice cannot be had on this machine.
    """
    from deepstream import gst  # noqa: PLC0415 - `graph` and `--help` run without gi

    gst.init()
    missing = [name for name in NVIDIA_FACTORIES if not gst.has_factory(name)]
    if choice is BackendChoice.AUTO:
        partly = missing and len(missing) < len(NVIDIA_FACTORIES)
        if partly and not _stand_ins_active():
            raise BackendError(
                f"backend auto: DeepStream is here without {', '.join(missing)}, want all of "
                f"{', '.join(NVIDIA_FACTORIES)}; repair the installation (delete "
                "~/.cache/gstreamer-1.0, then gst-inspect-1.0 nvinfer says what is wrong)"
            )
        cpu = len(missing) == len(NVIDIA_FACTORIES) or _stand_ins_active()
        choice = BackendChoice.CPU if cpu else BackendChoice.DEEPSTREAM
    return _load_cpu() if choice is BackendChoice.CPU else _load_deepstream(missing)


def _stand_ins_active() -> bool:
    """Tell whether this process has already registered the stand-ins."""
    import sys  # noqa: PLC0415 - one look-up

    module = sys.modules.get("plugins.standin.activate")
    return bool(module is not None and module.is_active())


def _load_cpu() -> Backend:
    try:
        activation = importlib.import_module("plugins.standin.activate")
    except ImportError as error:
        raise BackendError(
            f"backend cpu: {error}, want the extra 'standin'; run scripts/setup"
        ) from error
    activation.activate()
    return Backend("cpu", importlib.import_module("pyds"), "CPU stand-ins")


def _load_deepstream(missing: list[str]) -> Backend:
    if missing or _stand_ins_active():
        names = ", ".join(missing) or "NVIDIA's elements (the stand-ins are active)"
        raise BackendError(
            f"backend deepstream: no element {names}, want DeepStream's plugins; "
            "install DeepStream, or use --backend cpu on a machine without it"
        )
    try:
        pyds = importlib.import_module("pyds")
    except ImportError as error:
        raise BackendError(
            f"backend deepstream: import pyds: {error}, want the bindings built for the "
            "installed DeepStream; see docs/jetson.md"
        ) from error
    return Backend("deepstream", pyds, f"pyds {getattr(pyds, '__version__', 'unknown')}")
