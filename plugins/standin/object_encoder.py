"""pyds's object encoder: JPEGs of frames and objects, nvds_obj_enc_* of nvds_obj_encode.h.

Encoding happens on a thread of each context; `nvds_obj_enc_finish` waits for it and attaches the
results, so nothing is there before. Sizes follow the README of deepstream-image-meta-test for
Jetson: odd sides grow by one, and nothing is scaled up more than 16 times. What the device leaves
undefined is refused.
"""

import itertools
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin import buffer_meta
from plugins.standin.metadata import NvDsFrameMeta, NvDsMetaType, NvDsObjectMeta, NvDsUserMeta
from plugins.standin.structs import Bool, CharArray, Field, Int, Struct
from plugins.standin.surface import Surface

__all__ = [
    "NvDsObjEncOutParams",
    "NvDsObjEncUsrArgs",
    "nvds_obj_enc_create_context",
    "nvds_obj_enc_destroy_context",
    "nvds_obj_enc_finish",
    "nvds_obj_enc_process",
]

Bytes = npt.NDArray[np.uint8]
MAX_UPSCALE: Final = 16


class NvDsObjEncUsrArgs(Struct):
    """What is to be encoded, and what becomes of it."""

    __slots__ = ()
    saveImg = Bool()  # noqa: N815  NVIDIA's name
    attachUsrMeta = Bool()  # noqa: N815  NVIDIA's name
    scaleImg = Bool()  # noqa: N815  NVIDIA's name
    scaledWidth = Int()  # noqa: N815  NVIDIA's name
    scaledHeight = Int()  # noqa: N815  NVIDIA's name
    fileNameImg = CharArray(1024)  # noqa: N815  NVIDIA's name
    objNum = Int()  # noqa: N815  NVIDIA's name
    quality = Int()
    isFrame = Bool()  # noqa: N815  NVIDIA's name
    calcEncodeTime = Bool()  # noqa: N815  NVIDIA's name


class NvDsObjEncOutParams(Struct):
    """The data of a user meta of type NVDS_CROP_IMAGE_META."""

    __slots__ = ()
    jpeg: Field[bytes] = Field(b"")

    def outBuffer(self) -> Bytes:  # noqa: N802  NVIDIA's name
        """View the JPEG, (bytes,) uint8; on the device the view dies with the meta."""
        return np.frombuffer(self.jpeg, np.uint8)


@dataclass(frozen=True, slots=True)
class _Job:
    """One picture on its way; `owner` gets it as a user meta, None if nobody does."""

    jpeg: "Future[bytes]"
    owner: NvDsFrameMeta | NvDsObjectMeta | None


@dataclass(slots=True)
class _Context:
    pool: ThreadPoolExecutor
    jobs: list[_Job] = field(default_factory=list)


_contexts: dict[int, _Context] = {}
_handles = itertools.count(1)
_lock = threading.Lock()


def nvds_obj_enc_create_context(gpu_id: int) -> int:
    """Start an encoder and return its handle."""
    if not isinstance(gpu_id, int):
        raise TypeError(f"nvds_obj_enc_create_context: {gpu_id!r}, want the number of a GPU")
    with _lock:
        handle = next(_handles)
        _contexts[handle] = _Context(ThreadPoolExecutor(1, f"nvds-obj-enc-{handle}"))
    return handle


def nvds_obj_enc_process(
    ctx: int,
    args: NvDsObjEncUsrArgs,
    gst_buffer: int,
    obj_meta: NvDsObjectMeta | None,
    frame_meta: NvDsFrameMeta,
) -> bool:
    """Begin to encode a frame (isFrame), or an object where its rect_params are.

    Returns:
        False when nothing is encoded: no context, no buffer, or scaled up too far.

    Raises:
        ValueError: what is undefined on the device; the message says which.
    """
    if not ctx or not gst_buffer:
        print(f"buffer: {gst_buffer} handle: {ctx}")
        return False
    context = _context(ctx, "nvds_obj_enc_process")
    surface = _surface(gst_buffer, frame_meta)
    ltwh = _rectangle(surface, args, obj_meta)
    size = _size(surface, args, ltwh)
    if size is None:
        return False
    if not 1 <= args.quality <= 100:
        raise ValueError(f"NvDsObjEncUsrArgs.quality: {args.quality}, want 1 to 100; set it")
    left, top, width, height = ltwh
    # Copied now: what is painted on the frame afterwards is not in the picture.
    pixels = surface.rgb()[top : top + height, left : left + width].copy()
    file = Path(args.fileNameImg or _file_name(args, obj_meta, frame_meta, size))
    jpeg = context.pool.submit(
        _encode,
        pixels,
        size,
        args.quality,
        file=file if args.saveImg else None,
        timed=args.calcEncodeTime,
    )
    owner = frame_meta if args.isFrame else obj_meta
    context.jobs.append(_Job(jpeg, owner if args.attachUsrMeta else None))
    return True


def nvds_obj_enc_finish(ctx: int) -> None:
    """Wait for what is being encoded, and attach it as user metas."""
    if not ctx:
        return
    context = _context(ctx, "nvds_obj_enc_finish")
    jobs, context.jobs = context.jobs, []
    for job in jobs:
        jpeg = job.jpeg.result()
        if job.owner is not None:
            coded = NvDsObjEncOutParams()
            coded.jpeg = jpeg
            meta = NvDsUserMeta.of(NvDsMetaType.NVDS_CROP_IMAGE_META, coded)
            job.owner.user_metas.append(meta)


def nvds_obj_enc_destroy_context(ctx: int) -> None:
    """End an encoder; what was not finished is lost."""
    if ctx:
        context = _context(ctx, "nvds_obj_enc_destroy_context")
        del _contexts[ctx]
        context.pool.shutdown()


def _context(handle: int, caller: str) -> _Context:
    try:
        return _contexts[handle]
    except KeyError:
        raise ValueError(
            f"{caller}: {handle} is no context, want one of nvds_obj_enc_create_context that is "
            "not destroyed; on the device this reads freed memory"
        ) from None


def _surface(gst_buffer: int, frame_meta: NvDsFrameMeta) -> Surface:
    batch = buffer_meta.get(gst_buffer)
    surfaces = batch.surfaces if batch is not None else []
    if not 0 <= frame_meta.batch_id < len(surfaces):
        raise ValueError(
            f"nvds_obj_enc_process: no frame {frame_meta.batch_id} in the buffer, want one of its "
            f"{len(surfaces)}; give the buffer that frame_meta is from"
        )
    surface: Surface = surfaces[frame_meta.batch_id]
    return surface


def _rectangle(
    surface: Surface, args: NvDsObjEncUsrArgs, obj_meta: NvDsObjectMeta | None
) -> tuple[int, int, int, int]:
    """Return what is encoded, left, top, width, height, within the frame and of even sides."""
    if args.isFrame:
        return 0, 0, surface.width, surface.height
    if obj_meta is None:
        raise ValueError("nvds_obj_enc_process: no obj_meta, want one, or isFrame set")
    rect = obj_meta.rect_params
    spans = []
    for start, length, limit in (
        (rect.left, rect.width, surface.width),
        (rect.top, rect.height, surface.height),
    ):
        low = max(int(start), 0)
        high = min(int(start + length), limit)
        high += (high - low) % 2
        # At the edge of the frame there is room on the other side only.
        shift = min(max(high - limit, 0), low)
        spans.append((low - shift, min(high, limit) - low + shift))
    (left, width), (top, height) = spans
    if width <= 0 or height <= 0:
        raise ValueError(
            f"nvds_obj_enc_process: the object at {rect.left:g}, {rect.top:g} of {rect.width:g} x "
            f"{rect.height:g} is outside the frame, want one inside {surface.width} x "
            f"{surface.height}; skip it"
        )
    return left, top, width, height


def _size(
    surface: Surface, args: NvDsObjEncUsrArgs, ltwh: tuple[int, int, int, int]
) -> tuple[int, int] | None:
    """Return width and height of the JPEG, None when it is not made."""
    width, height = ltwh[2:]
    if not args.scaleImg:
        return width, height
    wanted = args.scaledWidth, args.scaledHeight
    if not (0 < wanted[0] <= surface.width and 0 < wanted[1] <= surface.height):
        raise ValueError(
            f"NvDsObjEncUsrArgs: scaledWidth x scaledHeight is {wanted[0]} x {wanted[1]}, want at "
            f"most the frame's {surface.width} x {surface.height}; set both, or scaleImg to False"
        )
    if wanted[0] > MAX_UPSCALE * width or wanted[1] > MAX_UPSCALE * height:
        return None
    return wanted[0] + wanted[0] % 2, wanted[1] + wanted[1] % 2


def _file_name(
    args: NvDsObjEncUsrArgs,
    obj_meta: NvDsObjectMeta | None,
    frame_meta: NvDsFrameMeta,
    size: tuple[int, int],
) -> str:
    what = "frame" if obj_meta is None or args.isFrame else obj_meta.obj_label
    return (
        f"{frame_meta.frame_num}_{frame_meta.pad_index}_{args.objNum}_{what}_{size[0]}x{size[1]}"
        ".jpg"
    )


def _encode(
    rgb: Bytes, size: tuple[int, int], quality: int, *, file: Path | None, timed: bool
) -> bytes:
    started_s = time.perf_counter()
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if (bgr.shape[1], bgr.shape[0]) != size:
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR)
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"nvds_obj_enc_process: {size[0]} x {size[1]} cannot be encoded")
    jpeg = encoded.tobytes()
    if timed:
        took_ms = 1e3 * (time.perf_counter() - started_s)
        print(f"encode time of {size[0]}x{size[1]}: {took_ms:.2f} ms")
    if file is not None:
        try:
            file.write_bytes(jpeg)
        except OSError as error:
            print(f"NvDsObjEncUsrArgs.fileNameImg: {error}, want a file that can be written")
    return jpeg
