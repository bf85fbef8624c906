"""The little of NVIDIA's `cuda` package that asks which machine this is: the answer is a Jetson.

`activate_cuda()` puts it under that name where the real package is absent. Scripts use it to
choose between a Jetson's elements and a graphics card's; the stand-ins play a Jetson.
"""

import enum
import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import NoReturn


class CUresult(enum.IntEnum):
    """Results of the driver's calls."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_DEVICE = 101


# The runtime's results have names that are no Python names of this house.
cudaError_t = enum.IntEnum(  # noqa: N816
    "cudaError_t", {"cudaSuccess": 0, "cudaErrorInvalidDevice": 101}
)


def activate_cuda() -> None:
    """Make `from cuda import cuda, cudart` work; does nothing where the package exists."""
    try:
        importlib.import_module("cuda.cudart")
    except ImportError:
        # A folder of other packages may be named cuda too, so the module itself is tried.
        sys.modules.pop("cuda", None)
    else:
        return
    driver, runtime = _Module("cuda.cuda"), _Module("cuda.cudart")
    vars(driver).update(CUresult=CUresult, cuInit=_init, cuDeviceGetCount=_device_count)
    vars(runtime).update(
        cudaError_t=cudaError_t,
        cudaGetDeviceCount=lambda: (cudaError_t.cudaSuccess, 1),
        cudaGetDeviceProperties=_device_properties,
    )
    package = _Module("cuda")
    vars(package).update(cuda=driver, cudart=runtime, __path__=[])
    sys.modules.update({"cuda": package, "cuda.cuda": driver, "cuda.cudart": runtime})


class _Module(ModuleType):
    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{self.__name__}.{name} has no stand-in on the CPU; it needs a CUDA device"
        )


def _init(_flags: int) -> tuple[CUresult]:
    return (CUresult.CUDA_SUCCESS,)


def _device_count() -> tuple[CUresult, int]:
    return CUresult.CUDA_SUCCESS, 1


def _device_properties(device: int) -> tuple[cudaError_t, SimpleNamespace | None]:
    if device != 0:
        return cudaError_t.cudaErrorInvalidDevice, None
    return cudaError_t.cudaSuccess, SimpleNamespace(name=b"CPU stand-in", integrated=1)
