"""Run somebody else's DeepStream script, unmodified, on the stand-ins."""

import logging
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plugins.standin.activate import activate, stand_in_names
from plugins.standin.cuda_stand_in import activate_cuda
from plugins.standin.gst import GLib, Gst
from ropewatch.errors import BackendError

log = logging.getLogger("ropewatch.standin")

# Elements of DeepStream without a stand-in, and what one would take.
MISSING = {
    "nvinferserver": "Triton's configuration and protocol; with an ONNX model use nvinfer",
    "nvdspreprocess": "tensors prepared outside nvinfer, and its regions",
    "nvdsanalytics": "its regions, lines and directions, and what it counts there",
    "nvmsgconv": "the payloads of its schemas, in JSON and protobuf",
    "nvmsgbroker": "the protocol adapters' libraries",
    "nvsegvisual": "segmentation networks in nvinfer, and their colours",
    "nvof": "optical flow, which is hardware on the device",
    "nvofvisual": "optical flow, which is hardware on the device",
    "nvdslogger": "counting frames a second; leave the element out",
    "nvvidconv": "a second name for nvvideoconvert, which takes its flip-method; use that",
    "nvjpegdec": "decoding JPEG; use jpegdec and nvvideoconvert",
    "nvjpegenc": "encoding JPEG; use nvvideoconvert and jpegenc",
    "nvarguscamerasrc": "a CSI camera; use v4l2src or a file, and nvvideoconvert",
    "nvv4l2camerasrc": "a camera of the device; use v4l2src and nvvideoconvert",
    "nvdrmvideosink": "a display without a desktop; use nv3dsink",
    "nvoverlaysink": "a display without a desktop; use nv3dsink",
    "nvdewarper": "its projections and their configuration",
    "nvdspostprocess": "its libraries of parsers; use nvinfer's",
    "nvdsvideotemplate": "custom libraries that work on device memory",
    "nvdsmetamux": "merging metadata by source and time",
    "nvmultiurisrcbin": "its REST server; use nvurisrcbin and nvstreammux",
}


def run_script(path: Path, arguments: Sequence[str]) -> int:
    """Run a script as `python path arguments...` would, with elements, pyds and cuda stood in.

    Returns:
        What the script gave to sys.exit(), 0 when it came to its end.

    Raises:
        BackendError: the script is not there, the stand-ins cannot be used on this machine, or
            the script makes an element that has none.
    """
    if not path.is_file():
        raise BackendError(f"{path}: no such file, want a Python script; correct the path")
    activate()
    activate_cuda()
    make, parse_launch = Gst.ElementFactory.make, Gst.parse_launch
    before = sys.argv, sys.path.copy()
    Gst.ElementFactory.make = _explaining(make)
    Gst.parse_launch = _explaining_parse(parse_launch)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return _exit_code(end.code)
    finally:
        Gst.ElementFactory.make, Gst.parse_launch = make, parse_launch
        sys.argv, sys.path[:] = before
    return 0


def _explaining(make: Any) -> Any:
    """Wrap ElementFactory.make: a None for an element of NVIDIA's becomes an error with its name.

    Scripts check for None, print that they are unable to, and go on to fail somewhere else.
    """

    def inner(factory: str, name: str | None = None) -> Any:
        made = make(factory, name)
        if made is None:
            _refuse(factory)
        return made

    return inner


def _explaining_parse(parse: Any) -> Any:
    """Wrap parse_launch likewise: its error names the element and no way out."""

    def inner(*description: Any) -> Any:
        try:
            return parse(*description)
        except GLib.Error as error:
            missing = re.search(r'"(.+)"', error.message)
            if missing and error.matches(Gst.ParseError.quark(), Gst.ParseError.NO_SUCH_ELEMENT):
                _refuse(missing[1])
            raise

    return inner


def _refuse(factory: str) -> None:
    """Raise BackendError with what a stand-in would take, for an element of NVIDIA's."""
    if factory.startswith("nv") and factory not in stand_in_names():
        wants = MISSING.get(factory, "a description of what it does; ask for it")
        raise BackendError(
            f"{factory}: no CPU stand-in, it would take: {wants}; run the script on a device, "
            f"or without this element"
        )


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    # As Python does with a text.
    print(code, file=sys.stderr)
    return 1
