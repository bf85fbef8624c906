"""The one reader and writer of pyds structures; sentinels become None here and go no further.

Everything handed out is a plain number or a view that is only valid inside the probe:
a pyds cast is a pointer into the buffer's metadata (deepstream_python_apps, pyds 1.2.0).
"""

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ropewatch.errors import BackendError
from ropewatch.observations import BoxLtwh

UNTRACKED_OBJECT_ID: Final = 2**64 - 1
NO_TIME: Final = 2**64 - 1
# No nvinfer may have this id (nvinfer's gie-unique-id is above 0).
PARKED_ID: Final = 0
MAX_TEXT_CHARS: Final = 127
GPU_ID: Final = 0

Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FrameMeta:
    """One frame of a batch.

    Attributes:
        pad_index: the muxer's sink pad, hence the position in the site's list of sources.
        frame_num: counts from 0 for each pad.
        pts_ns: stream time of the source's buffer; None where it had none.
        ntp_ns: Unix time; None where unknown.
        detector_ran: False on frames that the detector skipped.
        buffer: address of the batched buffer, valid inside the probe only.
        view: the pyds object, valid inside the probe only.
    """

    pad_index: int
    frame_num: int
    pts_ns: int | None
    ntp_ns: int | None
    detector_ran: bool
    buffer: int
    view: Any

    @property
    def key(self) -> tuple[int, int]:
        """Name the frame among those in flight."""
        return self.pad_index, self.frame_num


class MetaDoor:
    """Reads and writes the metadata of batched buffers through one pyds module.

    Args:
        pyds: NVIDIA's bindings or the stand-in.
        person_class_id: the detector's class of a person.
        pgie_id: unique id of the detector.
        sgie_id: unique id of the classifier.
    """

    def __init__(self, pyds: Any, *, person_class_id: int, pgie_id: int, sgie_id: int) -> None:
        self._pyds = pyds
        self._person_class_id = person_class_id
        self._pgie_id = pgie_id
        self._sgie_id = sgie_id
        self._of_persons = frozenset({pgie_id, PARKED_ID})
        self._tensor_meta_type = pyds.NvDsMetaType.NVDSINFER_TENSOR_OUTPUT_META
        kinds = pyds.NvDsInferDataType
        self._dtypes: dict[int, np.dtype[Any]] = {
            int(kinds.FLOAT): np.dtype(np.float32),
            int(kinds.HALF): np.dtype(np.float16),
        }

    def frames(self, buffer: Any) -> Iterator[FrameMeta]:
        """Walk the frames of a batched buffer, in batch order."""
        # hash() of a PyGObject boxed buffer is its C address, which pyds takes.
        address = hash(buffer)
        batch = self._pyds.gst_buffer_get_nvds_batch_meta(address)
        if batch is None:
            raise LookupError("buffer has no batch metadata, want one made by nvstreammux")
        # bInferDone says "the detector ran" only upstream of the SGIE, which also sets it;
        # the expand stage, upstream, is the one that records it.
        for data in _items(batch.frame_meta_list):
            frame = self._pyds.NvDsFrameMeta.cast(data)
            pts_ns, ntp_ns = frame.buf_pts, frame.ntp_timestamp
            yield FrameMeta(
                pad_index=frame.pad_index,
                frame_num=frame.frame_num,
                pts_ns=None if pts_ns == NO_TIME else pts_ns,
                ntp_ns=ntp_ns if 0 < ntp_ns < NO_TIME else None,
                detector_ran=bool(frame.bInferDone),
                buffer=address,
                view=frame,
            )

    def persons(self, frame: FrameMeta) -> Iterator[Any]:
        """Walk the persons of a frame, in metadata order."""
        for data in _items(frame.view.obj_meta_list):
            person = self._pyds.NvDsObjectMeta.cast(data)
            if (
                person.unique_component_id in self._of_persons
                and person.class_id == self._person_class_id
            ):
                yield person

    def park(self, person: Any) -> None:
        """Make the classifier pass a person over; `unpark` undoes it.

        nvinfer compares operate-on-gie-id with the object's component before all else, and an
        object that it rejects keeps its history (should_infer_object and
        gst_nvinfer_process_objects in gstnvinfer.cpp, DeepStream 9.1): a cached label may be
        attached, tensor metadata is not. A class id outside operate-on-class-ids would do too,
        but a negative one makes nvinfer read out of bounds.
        """
        person.unique_component_id = PARKED_ID

    def unpark(self, person: Any) -> None:
        """Give a person back to the detector."""
        if person.unique_component_id == PARKED_ID:
            person.unique_component_id = self._pgie_id

    def box(self, person: Any) -> BoxLtwh:
        """Return the working box, left, top, width, height in muxer-output pixels."""
        rect = person.rect_params
        return rect.left, rect.top, rect.width, rect.height

    def set_box(self, person: Any, box_ltwh_px: BoxLtwh) -> None:
        """Overwrite the working box; the classifier crops it, the OSD draws it."""
        rect = person.rect_params
        rect.left, rect.top, rect.width, rect.height = box_ltwh_px

    def object_id(self, person: Any) -> int | None:
        """Return the tracker's id; None when untracked."""
        object_id = int(person.object_id)
        return None if object_id == UNTRACKED_OBJECT_ID else object_id

    def confidence(self, person: Any) -> float | None:
        """Return the detector's confidence; None for a box that only the tracker kept alive."""
        # The tracker marks a box without a detection by -0.1.
        confidence = float(person.confidence)
        return confidence if confidence >= 0 else None

    def probabilities(self, person: Any) -> npt.NDArray[np.float32] | None:
        """Return the classifier's output for this person on this very frame.

        Returns:
            (C,) float32, a copy, read-only; None when the classifier did not run: tensor
            metadata is attached only to objects that were inferred.
        """
        output = self._output(person.obj_user_meta_list)
        return None if output is None else output.ravel()

    def token_map(self, frame: FrameMeta) -> npt.NDArray[np.float32] | None:
        """Return the classifier's output for this whole frame, in frame mode.

        Returns:
            (C, rows, columns) float32, a copy, read-only; None when the classifier skipped the
            frame.
        """
        return self._output(frame.view.frame_user_meta_list)

    def _output(self, user_metas: Any) -> npt.NDArray[np.float32] | None:
        for data in _items(user_metas):
            user_meta = self._pyds.NvDsUserMeta.cast(data)
            if user_meta.base_meta.meta_type != self._tensor_meta_type:
                continue
            tensors = self._pyds.NvDsInferTensorMeta.cast(user_meta.user_meta_data)
            if tensors.unique_id == self._sgie_id:
                return self._layer(tensors, 0)
        return None

    def _layer(self, tensors: Any, index: int) -> npt.NDArray[np.float32]:
        layer = self._pyds.get_nvds_LayerInfo(tensors, index)
        dims = layer.inferDims
        # pyds makes a new array each time that it is asked for `d`.
        shape = tuple(map(int, dims.d[: dims.numDims]))
        dtype = self._dtypes.get(int(layer.dataType))
        if dtype is not None:
            size_bytes = math.prod(shape) * dtype.itemsize
            copied = ctypes.string_at(self._pyds.get_ptr(layer.buffer), size_bytes)
            values: npt.NDArray[Any] = np.frombuffer(copied, dtype).reshape(shape)
            return values.astype(np.float32, copy=False)
        raise TypeError(f"layer {layer.layerName}: data type {layer.dataType}, want FLOAT or HALF")

    def draw(self, person: Any, *, text: str, colour: Colour) -> None:
        """Set what the OSD shows for a person: a frame and a line of text in one colour."""
        rect = person.rect_params
        rect.border_width = 3
        rect.border_color.set(*colour)
        label = person.text_params
        label.display_text = text[:MAX_TEXT_CHARS]
        # The offsets are unsigned: a negative value wraps to a huge one on x86.
        label.x_offset = max(0, int(rect.left))
        label.y_offset = max(0, int(rect.top) - 24)
        label.font_params.font_name = "Serif"
        label.font_params.font_size = 11
        label.font_params.font_color.set(1.0, 1.0, 1.0, 1.0)
        label.set_bg_clr = 1
        label.text_bg_clr.set(*colour[:3], 0.7)


class FrameEncoder:
    """JPEGs of whole frames by DeepStream's object encoder, on the device where there is one.

    Args:
        pyds: NVIDIA's bindings or the stand-in.
        quality: of the JPEG, 1 to 100.

    Raises:
        BackendError: the encoder does not start.
    """

    def __init__(self, pyds: Any, *, quality: int) -> None:
        self._pyds, self._quality = pyds, quality
        self._context = pyds.nvds_obj_enc_create_context(GPU_ID)
        if not self._context:
            raise BackendError(
                "snapshots: DeepStream's object encoder does not start, want one; set "
                "snapshots.enabled to false to watch without pictures"
            )

    def jpeg(self, frame: FrameMeta) -> bytes:
        """Encode a frame as it is; waits for the encoder.

        Raises:
            RuntimeError: the encoder gave nothing.
        """
        pyds = self._pyds
        args = pyds.NvDsObjEncUsrArgs()
        args.isFrame, args.attachUsrMeta, args.quality = True, True, self._quality
        begun = pyds.nvds_obj_enc_process(self._context, args, frame.buffer, None, frame.view)
        pyds.nvds_obj_enc_finish(self._context)
        found = None
        for data in _items(frame.view.frame_user_meta_list) if begun else ():
            user_meta = pyds.NvDsUserMeta.cast(data)
            if user_meta.base_meta.meta_type == pyds.NvDsMetaType.NVDS_CROP_IMAGE_META:
                found = pyds.NvDsObjEncOutParams.cast(user_meta.user_meta_data)
        if found is None:
            raise RuntimeError(f"frame {frame.key}: the object encoder gave no JPEG")
        # A copy: the encoder's memory goes with the buffer.
        return bytes(found.outBuffer().tobytes())

    def close(self) -> None:
        """Let go of the encoder; the pipeline has stopped."""
        self._pyds.nvds_obj_enc_destroy_context(self._context)
        self._context = 0


def _items(node: Any) -> Iterator[Any]:
    """Walk a GList; the next node is read before the item is handed out."""
    while node is not None:
        # pyds before 1.1.8 raised StopIteration at the end of a list instead of giving None.
        try:
            data, node = node.data, node.next
        except StopIteration:
            return
        yield data
