"""Properties of NVIDIA's elements that not every release has.

From the elements' published sources, as for `nvinfer_keys`: 6.3 and 8.0 in public copies of
NVIDIA's packages, 9.1 in NVIDIA/DeepStream. Whatever is not named here is in 6.3 and in 9.1, or
belongs to an element whose source is closed. nvurisrcbin's is public from 8.0 only; what 6.3's
nvmultiurisrcbin passes on to it counts as its own.
"""

from collections.abc import Mapping

from ropewatch.nvinfer_keys import Since

_MAYBE, _NEW = Since.MAYBE_7_1, Since.NEW

# Element factory and property.
PROPERTIES_SINCE: Mapping[tuple[str, str], Since] = {
    ("nvinfer", "dynamic-properties"): _NEW,
    ("nvinfer", "strongly-typed"): _NEW,
    ("nvtracker", "operate-on-class-ids"): _NEW,
    ("nvtracker", "sub-batch-err-recovery-trial-cnt"): _MAYBE,
    ("nvtracker", "sub-batches"): _MAYBE,
    ("nvdsosd", "blur-bbox"): _MAYBE,
    ("nvdsosd", "blur-on-gie-class-ids"): _MAYBE,
    ("nvurisrcbin", "disable-audio"): _MAYBE,
    ("nvurisrcbin", "init-rtsp-reconnect-interval"): _MAYBE,
    ("nvurisrcbin", "low-latency-mode"): _MAYBE,
    ("nvurisrcbin", "rtsp-reconnect-attempts"): _MAYBE,
    ("nvurisrcbin", "simulate-fps-interval-ms"): _NEW,
}


def since(element: str, name: str) -> Since:
    """Say which releases have a property of an element."""
    return PROPERTIES_SINCE.get((element, name), Since.BOTH)
