"""Run one script on the stand-ins and write down what went through: `COUNTS.json APP.py ARGS...`.

Scripts print frames and objects or do not; what is counted here are the batches that leave the
muxer and the objects that the first network attached, by the muxer's pad.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def main() -> int:
    """Run the script; returns its exit code."""
    # A shell's background jobs, and so their children, begin with SIGINT ignored; PyGObject looks
    # at it when it is imported.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from plugins.standin import buffer_meta  # noqa: PLC0415 (needs gi)
    from plugins.standin.gst import Gst  # noqa: PLC0415
    from plugins.standin.script import run_script  # noqa: PLC0415

    frames: Counter[int] = Counter()
    objects: Counter[int] = Counter()
    make, watched = Gst.ElementFactory.make, set()

    def count_frames(_pad: Any, info: Any) -> Any:
        batch = buffer_meta.get(info.get_buffer())
        frames.update(frame.pad_index for frame in (batch.frames if batch else ()))
        return Gst.PadProbeReturn.OK

    def count_objects(_pad: Any, info: Any) -> Any:
        batch = buffer_meta.get(info.get_buffer())
        for frame in batch.frames if batch else ():
            objects[frame.pad_index] += frame.num_obj_meta
        return Gst.PadProbeReturn.OK

    probes = {"nvstreammux": count_frames, "nvinfer": count_objects}

    def watching(factory: str, name: str | None = None) -> Any:
        made = make(factory, name)
        if made is not None and factory in probes and factory not in watched:
            watched.add(factory)
            made.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, probes[factory])
        return made

    Gst.ElementFactory.make = watching
    try:
        return run_script(Path(sys.argv[2]), sys.argv[3:])
    finally:
        counts = {"frames": dict(frames), "objects": dict(objects)}
        Path(sys.argv[1]).write_text(json.dumps(counts))


if __name__ == "__main__":
    sys.exit(main())
