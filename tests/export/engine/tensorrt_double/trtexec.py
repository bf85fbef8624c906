"""A trtexec that knows the options of one release, and builds with the double of that release.

    python trtexec.py RELEASE --onnx=... --saveEngine=...

FAIL in the environment makes it fail as the program does; HELD says how many layers of those that
--layerPrecisions names it finds (default: all).
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from tests.export.engine.tensorrt_double.building import BUILDING
from tests.export.engine.tensorrt_double.double import RELEASES, make_tensorrt


def main() -> int:
    """Build as the options say."""
    release, *arguments = sys.argv[1:]
    known = json.loads((Path(__file__).parent / "trtexec-options.json").read_text("utf-8"))
    given = {}
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name not in known[release]:
            print(f"[E] Unknown option: {argument}")
            return 1
        given[name] = value
    print(f"[I] TensorRT version: {RELEASES[release]}")
    if "FAIL" in os.environ:
        print("[E] Error[2]: out of memory")
        return 1
    content = Path(given["onnx"]).read_bytes()
    if "layerPrecisions" in given:
        for place in range(int(os.environ.get("HELD", content.count(b"Softmax")))):
            print(f"[I] Set layer /{place}/Softmax to precision fp32")
    Path(given["saveEngine"]).write_bytes(build(release, content, given))
    Path(given["timingCacheFile"]).write_bytes(b"timings")
    return 0


def build(release: str, content: bytes, given: "dict[str, str]") -> bytes:
    """An engine of the double with the shapes that were given."""
    trt = make_tensorrt(release, BUILDING)
    builder = trt.Builder(trt.ILogger())
    network = builder.create_network(0)
    trt.OnnxParser(network, trt.ILogger()).parse(content)
    config = builder.create_builder_config()
    if "minShapes" in given:
        profile = builder.create_optimization_profile()
        parts = [given[key] for key in ("minShapes", "optShapes", "maxShapes")]
        for ends in zip(*(part.split(",") for part in parts), strict=True):
            name = ends[0].partition(":")[0]
            shapes = [list(map(int, end.partition(":")[2].split("x"))) for end in ends]
            profile.set_shape(name, *shapes)
        config.add_optimization_profile(profile)
    return bytes(builder.build_serialized_network(network, config))


if __name__ == "__main__":
    sys.exit(main())
