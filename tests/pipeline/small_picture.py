"""The structure in a cover's noise: `python -m tests.pipeline.small_picture SIGMA`.

It makes one grey picture small with the elements that the graph does it with.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from deepstream.backend import BackendChoice, load_backend
from deepstream.graph import link_in_order, make_element
from deepstream.gst import Gst
from deepstream.plan import make_plan
from ropewatch.reference import HEIGHT_PX, WIDTH_PX
from ropewatch.view import structure
from tests.pipeline.tiny_site import tiny_site

CAPS = "video/x-raw, format=NV12, width=1280, height=720, framerate=1/1"


def main(sigma: float) -> None:
    """Print the share of cells with an edge."""
    load_backend(BackendChoice.CPU)
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(tiny_site(Path(folder), {"cam": "rtsp://127.0.0.1/cam"}))
    elements = [make_element(spec) for spec in plan.views[0].elements]
    pipeline = Gst.Pipeline.new(None)
    for element in elements:
        pipeline.add(element)
    link_in_order(elements)
    elements[0].set_property("caps", Gst.Caps.from_string(CAPS))
    noise = np.random.default_rng(1).normal(110, sigma, 1280 * 720).clip(0, 255).astype(np.uint8)
    pipeline.set_state(Gst.State.PLAYING)
    chroma = bytes([128]) * (1280 * 360)
    elements[0].emit("push-buffer", Gst.Buffer.new_wrapped(noise.tobytes() + chroma))
    elements[0].emit("end-of-stream")
    buffer = elements[-1].emit("pull-sample").get_buffer()
    luma = np.frombuffer(buffer.extract_dup(0, WIDTH_PX * HEIGHT_PX), np.uint8)
    print(structure(luma.reshape(HEIGHT_PX, WIDTH_PX)))
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main(float(sys.argv[1]))
