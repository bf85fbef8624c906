"""What elements ask the muxer upstream at their start: how many frames a batch may have.

As in gst-nvquery.h, though the answer goes by an address and not in the query's structure, which
PyGObject hands out as a copy.
"""

import ctypes

from plugins.standin.gst import Gst, structure_of

_NAME = "ropewatch-standin-batch-size"


def ask_batch_size(sink: Gst.Pad) -> int | None:
    """Return what the muxer before a pad answers; None where nobody does."""
    answer = ctypes.c_uint32()
    structure = Gst.Structure.new_empty(_NAME)
    structure.set_value("answer-at", str(ctypes.addressof(answer)))
    query = Gst.Query.new_custom(Gst.QueryType.CUSTOM, structure)
    return answer.value if sink.peer_query(query) else None


def answer_batch_size(query: Gst.Query, batch_size: int) -> bool:
    """Answer the question; False of any other query."""
    structure = structure_of(query) if query.type == Gst.QueryType.CUSTOM else None
    if structure is None or structure.get_name() != _NAME:
        return False
    ctypes.c_uint32.from_address(int(structure.get_string("answer-at"))).value = batch_size
    return True
