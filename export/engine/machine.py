"""What an engine belongs to: TensorRT, CUDA, the GPU, and on a Jetson its Linux."""

import importlib
import re
from pathlib import Path
from typing import Any, Final

from ropewatch.engine_manifest import Machine
from ropewatch.errors import BackendError

# Jetson Linux writes here what it is, such as "# R36 (release), REVISION: 4.3, GCID: ...".
L4T_FILE: Final = Path("/etc/nv_tegra_release")
OLDEST: Final = (10, 3)
# The last that ropewatch's calls were read against (NVIDIA/TensorRT, tag v11.1).
NEWEST_MAJOR: Final = 11
_WAY_OUT: Final = "run this on the box, in the image of Dockerfile.jetson (docs/engines.md)"


def import_tensorrt() -> Any:
    """Return the module `tensorrt`.

    Raises:
        BackendError: it is not installed, does not load, or is older or newer than what we know.
    """
    trt = _import("tensorrt", what="NVIDIA's Python package, which JetPack brings")
    match = re.match(r"(\d+)\.(\d+)", trt.__version__)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    if release < OLDEST or release[0] > NEWEST_MAJOR:
        raise BackendError(
            f"tensorrt: {trt.__version__}, want 10.3 to {NEWEST_MAJOR}.x; {_WAY_OUT}"
        )
    return trt


def import_pycuda() -> Any:
    """Return the module `pycuda.driver`, not yet initialised.

    Raises:
        BackendError: it is not installed, or there is no driver.
    """
    return _import("pycuda.driver", what="pycuda, which asks the driver about the GPU")


def this_machine(*, l4t_file: Path = L4T_FILE) -> Machine:
    """Read what this machine has; GPU 0, a Jetson's only one.

    Raises:
        BackendError: TensorRT, pycuda or the GPU is missing, in one line.
    """
    trt = import_tensorrt()
    cuda = import_pycuda()
    try:
        cuda.init()
        gpu = cuda.Device(0)
        major, minor = gpu.compute_capability()
        driver = cuda.get_driver_version()
    except cuda.Error as error:
        raise BackendError(
            f"cuda: {' '.join(str(error).split())}, want a GPU that the driver shows here; run "
            f"the container with `--runtime nvidia`, and see docs/engines.md"
        ) from error
    return Machine(
        tensorrt=trt.__version__,
        cuda=f"{driver // 1000}.{driver % 1000 // 10}",
        gpu=gpu.name(),
        compute_capability=f"{major}.{minor}",
        l4t=_l4t(l4t_file),
    )


def _import(name: str, *, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        # libcuda.so.1 and the like are missing where the module is there but no driver.
        raise BackendError(f"{name}: {error}, want {what}; {_WAY_OUT}") from error


def _l4t(path: Path) -> str | None:
    try:
        line = path.read_text("utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return None
    match = re.search(r"R(\d+) .*REVISION: ([\d.]+)", line)
    return f"{match[1]}.{match[2]}" if match else None
