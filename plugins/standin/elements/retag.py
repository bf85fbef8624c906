"""Rename memory:NVMM to system memory and back; before the muxer a frame is a plain buffer."""

from typing import Any

from plugins.standin import buffer_meta
from plugins.standin import element as base
from plugins.standin.gst import Gst, GstBase, GstVideo, structure_of
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.pixels import bare, system_buffer, video_info

FRAME_CAPS = "video/x-raw(memory:NVMM); video/x-raw"


class _Retag(GstBase.BaseTransform):
    """Pass buffers untouched and change the caps' memory feature; no Python per buffer."""

    __gstmetadata__ = ("Retag", "Filter/Video", "Renames NVMM memory", "ropewatch")
    __gsttemplates__ = base.in_place_templates(FRAME_CAPS)
    to_nvmm = False

    def __init__(self) -> None:
        super().__init__()
        self.set_passthrough(True)
        self.set_qos_enabled(False)
        base.cure_floating(self)

    @base.guarded(None)
    def do_transform_caps(self, direction: Any, caps: Gst.Caps, wanted: Any) -> Gst.Caps:
        """Give each side its memory feature; the system side may come from either."""
        toward_src = direction == Gst.PadDirection.SINK
        nvmm_only = self.to_nvmm == toward_src
        changed = Gst.Caps.new_empty()
        features = ["memory:NVMM"] if nvmm_only else ["memory:SystemMemory"]
        if not toward_src:
            # The sink side takes both kinds: NVIDIA's elements hand over NVMM, others do not.
            features = ["memory:SystemMemory", "memory:NVMM"]
        for feature in features:
            for index in range(caps.get_size()):
                changed.append_structure_full(
                    structure_of(caps, index), Gst.CapsFeatures.from_string(feature)
                )
        changed = changed.simplify()
        return changed.intersect(wanted) if wanted is not None else changed


class ToSystem(_Retag):
    """Frames of any memory in, system memory out."""

    __gtype_name__ = "RopewatchToSystem"
    __gstmetadata__ = ("To system", "Filter/Video", "Renames NVMM memory", "ropewatch")


class ToFrames(ToSystem):
    """The same for a muxer's sink pad, which a demuxer may feed: a batch of one becomes its frame.

    The frame's buffer goes on carrying the metadata, without surfaces. Caps tell of batches, so
    that frames which were never in one cost nothing here.
    """

    __gtype_name__ = "RopewatchToFrames"
    __gstmetadata__ = ("To frames", "Filter/Video", "Takes frames out of batches", "ropewatch")

    def __init__(self) -> None:
        super().__init__()
        self.info: GstVideo.VideoInfo | None = None

    @base.guarded(False)
    def do_set_caps(self, in_caps: Gst.Caps, _out_caps: Gst.Caps) -> bool:
        """Look at the buffers if they come from batches."""
        self.info = video_info(in_caps)
        self.set_passthrough(not structure_of(in_caps, 0).has_field("batch-size"))
        return True

    def do_prepare_output_buffer(self, buffer: Gst.Buffer) -> Any:
        """Make the frame's buffer; see nvvideoconvert for what passes untouched."""
        if self.is_passthrough():
            return GstBase.BaseTransform.do_prepare_output_buffer(self, buffer)
        return self._frame(buffer)

    @base.guarded((Gst.FlowReturn.ERROR, None))
    def _frame(self, buffer: Gst.Buffer) -> tuple[Gst.FlowReturn, Any]:
        batch = buffer_meta.get(buffer)
        pixels = buffer
        if batch is not None and batch.surfaces:
            pixels = self._pixels(batch)
        result = bare(pixels)
        base.set_times(hash(result), pts_ns=buffer.pts, duration_ns=buffer.duration)
        if batch is not None:
            carried = batch.copy()
            carried.surfaces = []
            buffer_meta.attach(result, carried)
        return Gst.FlowReturn.OK, result

    def _pixels(self, batch: NvDsBatchMeta) -> Gst.Buffer:
        if len(batch.surfaces) != 1:
            raise ValueError(
                f"a batch of {len(batch.surfaces)} frames comes to the muxer, want one frame a "
                f"buffer; put nvstreamdemux before it"
            )
        assert self.info is not None
        return system_buffer(batch.surfaces[0], self.info)

    def do_transform(self, _in_buffer: Any, _out_buffer: Any) -> Gst.FlowReturn:
        """Do nothing more."""
        return Gst.FlowReturn.OK


class ToNvmm(_Retag):
    """Frames of any memory in, NVMM out."""

    __gtype_name__ = "RopewatchToNvmm"
    __gstmetadata__ = ("To NVMM", "Filter/Video", "Renames system memory", "ropewatch")
    to_nvmm = True
