"""Register the stand-ins under NVIDIA's names in this process, and `import pyds` with them."""

import importlib
import logging
import sys
from types import ModuleType
from typing import Any

from plugins.standin.gst import Gst, init
from ropewatch.errors import BackendError

log = logging.getLogger("ropewatch.standin")

_ABOVE_PRIMARY = 256 + 64
_ELEMENTS = "plugins.standin.elements"
# Factory name: module, class (or function that returns one), rank. Modules that define elements
# are imported after Gst.init, since their pad templates need it.
_TABLE: dict[str, tuple[str, str, int]] = {
    "nvstreammux": (f"{_ELEMENTS}.nvstreammux", "muxer_class", 0),
    "nvstreamdemux": (f"{_ELEMENTS}.nvstreamdemux", "NvStreamDemux", 0),
    "nvurisrcbin": (f"{_ELEMENTS}.nvurisrcbin", "NvUriSrcBin", 0),
    "nvv4l2decoder": (f"{_ELEMENTS}.nvv4l2decoder", "NvV4l2Decoder", _ABOVE_PRIMARY),
    "nvvideoconvert": (f"{_ELEMENTS}.nvvideoconvert", "NvVideoConvert", 0),
    "nvmultistreamtiler": (f"{_ELEMENTS}.nvmultistreamtiler", "NvMultiStreamTiler", 0),
    "nvdsosd": (f"{_ELEMENTS}.nvdsosd", "NvDsOsd", 0),
    "nvv4l2h264enc": (f"{_ELEMENTS}.encoders", "NvV4l2H264Enc", 0),
    "nvv4l2h265enc": (f"{_ELEMENTS}.encoders", "NvV4l2H265Enc", 0),
    "nvegltransform": (f"{_ELEMENTS}.sinks", "NvEglTransform", 0),
    "nveglglessink": (f"{_ELEMENTS}.sinks", "NvEglGlesSink", 0),
    "nv3dsink": (f"{_ELEMENTS}.sinks", "Nv3dSink", 0),
    "nvinfer": ("plugins.standin.nvinfer.element", "NvInfer", 0),
    "nvtracker": ("plugins.standin.nvtracker.element", "NvTracker", 0),
}
# Elements of DeepStream that have no stand-in; their presence tells of an installed SDK as well.
_WITHOUT_STAND_IN = ("nvinferserver", "nvdspreprocess", "nvdsanalytics")
_SAME_NAMED = ("nvmsgconv", "nvmsgbroker", "nvmultiurisrcbin")


class _State:
    """Whether this process has the stand-ins."""

    active = False


def is_active() -> bool:
    """Tell whether activate() has been done in this process."""
    return _State.active


def stand_in_names() -> tuple[str, ...]:
    """Return the factory names that activate() registers."""
    return tuple(_TABLE)


def activate() -> None:
    """Make the stand-ins available; a second call does nothing.

    Raises:
        BackendError: the machine has NVIDIA's elements or bindings, which registering would
            replace without a word, or a stand-in cannot be registered.
    """
    if _State.active:
        return
    init()
    refuse_beside_nvidia()
    for name, (module, attribute, rank) in _TABLE.items():
        if not Gst.Element.register(None, name, rank, _element_class(module, attribute)):
            raise BackendError(f"stand-in {name}: GStreamer refused it, want it registered")
    sys.modules["pyds"] = importlib.import_module("plugins.standin.pyds_stand_in")
    _State.active = True
    log.info("stand-ins active elements=%s", ",".join(_TABLE))


def loadable(name: str) -> tuple[str, int, Any]:
    """Return name, rank and class of a stand-in, as GStreamer's Python loader wants them."""
    init()
    module, attribute, rank = _TABLE[name]
    return name, rank, _element_class(module, attribute)


def refuse_beside_nvidia() -> None:
    """Raise BackendError where NVIDIA's elements, or the real pyds, are present."""
    names = (*_TABLE, *_WITHOUT_STAND_IN, *_SAME_NAMED)
    found_here = {name: Gst.ElementFactory.find(name) for name in names}
    # A shell with `ropewatch standin env` finds ours.
    present = [
        name
        for name, factory in found_here.items()
        if factory is not None and factory.get_metadata("author") != "ropewatch"
    ]
    if present:
        raise BackendError(
            f"stand-ins: this machine has NVIDIA's {', '.join(present)}, want none of them; "
            "use the deepstream backend here"
        )
    # Of a process with the stand-ins it is ours.
    found = None if _State.active else sys.modules.get("pyds")
    if found is not None:
        raise BackendError(
            f"stand-ins: pyds is imported from {_origin(found)}, want it not imported before; "
            "use the deepstream backend where pyds is installed"
        )


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "memory"


def _element_class(module: str, attribute: str) -> Any:
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendError(
            f"stand-in {module}: {error}, want the extra 'standin'; run scripts/setup"
        ) from error
    return found if isinstance(found, type) else found()
