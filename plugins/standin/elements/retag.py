"""Rename memory:NVMM to system memory and back; before the muxer a frame is a plain buffer."""

from typing import Any

from plugins.standin import element as base
from plugins.standin.gst import Gst, GstBase, structure_of

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


class ToNvmm(_Retag):
    """Frames of any memory in, NVMM out."""

    __gtype_name__ = "RopewatchToNvmm"
    __gstmetadata__ = ("To NVMM", "Filter/Video", "Renames system memory", "ropewatch")
    to_nvmm = True
