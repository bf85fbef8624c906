"""A whole site in a folder, made in a second: clips, two tiny networks, configs, settings.

The detector sees one person at a fixed place in every frame; the classifier's score for
`unroped` is the brightness of the crop. A clip that is black, then white, then black is a
person who is safe, then unsafe, then safe.
"""

import subprocess
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ropewatch.settings import SiteSettings
from tests.sites import site

FPS = 10
LUMA = {"black": 16, "white": 235}
PLUGIN = Path(__file__).parents[2] / "plugins/nvdsinfer_ropewatch/libnvdsinfer_ropewatch.so"
NETWORK_WH = (128, 72)
CROP_WH = (32, 64)
# In network pixels; the muxer's 640x360 is five times as large, so 40 x 80 px at (300, 120).
PERSON_XYXY = (60.0, 24.0, 68.0, 40.0)
PERSON_LTWH_PX = (300.0, 120.0, 40.0, 80.0)


def make_clip(
    path: Path,
    shades: list[tuple[str, int]],
    *,
    wh: tuple[int, int] = (320, 180),
    codec: str = "h264",
    audio: bool = False,
) -> Path:
    """Encode solid pictures, one shade after another.

    Args:
        path: an .mp4 or .mkv file.
        shades: black or white, and the number of frames, at 10 frames a second.
        wh: size of the picture.
        codec: h264 or h265.
        audio: with a sound track.
    """
    width, height = wh
    luma_bytes, chroma_bytes = _plane_bytes(width, height)
    pictures = b"".join(
        bytes([LUMA[shade]]) * luma_bytes + bytes([128]) * chroma_bytes
        for shade, count in shades
        for _ in range(count)
    )
    return encode(path, pictures, wh=wh, codec=codec, audio=audio)


def _plane_bytes(width: int, height: int) -> tuple[int, int]:
    # GStreamer's I420 layout: lines begin at multiples of four bytes.
    return (width + 3) // 4 * 4 * height, 2 * ((width // 2 + 3) // 4 * 4) * (height // 2)


def encode(
    path: Path, pictures: bytes, *, wh: tuple[int, int], codec: str = "h264", audio: bool = False
) -> Path:
    """Encode I420 pictures, in GStreamer's layout; the rest is as for `make_clip`."""
    width, height = wh
    luma_bytes, chroma_bytes = _plane_bytes(width, height)
    # Without B-frames the first picture's time is zero, as a camera's is.
    encoder = {
        "h264": "x264enc bframes=0 ! h264parse",
        "h265": "x265enc option-string=bframes=0 ! h265parse",
    }[codec]
    muxer = "matroskamux" if path.suffix == ".mkv" else "mp4mux"
    line = (
        f"fdsrc fd=0 blocksize={luma_bytes + chroma_bytes} ! rawvideoparse format=i420 "
        f"width={width} height={height} framerate={FPS}/1 ! {encoder} ! {muxer} name=m "
        f"! filesink location={path}"
    )
    if audio:
        line += " audiotestsrc num-buffers=40 ! audioconvert ! avenc_aac ! aacparse ! m."
    subprocess.run(["gst-launch-1.0", "-q", *line.split()], input=pictures, check=True, timeout=60)
    return path


def write_models(folder: Path, people: int = 1) -> None:
    """Write the two networks, their labels and their nvinfer configs.

    Args:
        folder: is made.
        people: whom the detector sees, side by side; at most 25.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_detector(folder / "person.onnx", people)
    _write_classifier(folder / "rope.onnx")
    (folder / "person_labels.txt").write_text("person\n")
    (folder / "rope_labels.txt").write_text("roped;unroped\n")
    (folder / "pgie.txt").write_text(
        f"""[property]
gie-unique-id=1
process-mode=1
network-type=0
onnx-file=person.onnx
infer-dims=3;{NETWORK_WH[1]};{NETWORK_WH[0]}
net-scale-factor=0.00392156862745098
batch-size=4
num-detected-classes=1
labelfile-path=person_labels.txt
cluster-mode=2
custom-lib-path={PLUGIN}
parse-bbox-func-name=NvDsInferParseCustomRopewatch
crop-objects-to-roi-boundary=1
scaling-filter=1
[class-attrs-all]
pre-cluster-threshold=0.35
nms-iou-threshold=0.5
"""
    )
    (folder / "sgie.txt").write_text(
        f"""[property]
gie-unique-id=2
process-mode=2
network-type=1
onnx-file=rope.onnx
infer-dims=3;{CROP_WH[1]};{CROP_WH[0]}
net-scale-factor=0.00392156862745098
batch-size=8
operate-on-gie-id=1
operate-on-class-ids=0
classifier-threshold=0
classifier-async-mode=0
secondary-reinfer-interval=0
output-tensor-meta=1
labelfile-path=rope_labels.txt
scaling-filter=1
"""
    )
    (folder / "iou.yml").write_text(
        """%YAML:1.0
BaseConfig:
  minDetectorConfidence: 0
TargetManagement:
  maxTargetsPerStream: 50
  probationAge: 0
  maxShadowTrackingAge: 10
  earlyTerminationAge: 1
TrajectoryManagement:
  useUniqueID: 0
DataAssociator:
  dataAssociatorType: 0
  associationMatcherType: 0
  checkClassMatch: 1
  minMatchingScore4Overall: 0.0
  minMatchingScore4Iou: 0.1
"""
    )


def tiny_site(folder: Path, uris: dict[str, str], **sections: object) -> SiteSettings:
    """Return the settings of a site whose models lie in `folder`."""
    defaults: dict[str, object] = {
        "muxer": {"width_px": 640, "height_px": 360, "fps": FPS},
        "detector": {"config_file": folder / "pgie.txt"},
        "tracker": {"ll_config_file": folder / "iou.yml"},
        "classifier": {
            "config_file": folder / "sgie.txt",
            "score_label": "unroped",
            "alert_when": "at_or_above",
        },
    }
    sources = [{"id": name, "uri": uri} for name, uri in uris.items()]
    return site(sources, **{**defaults, **sections})


def _write_detector(path: Path, people: int) -> None:
    left, top, right, bottom = PERSON_XYXY
    places = [(left + 12 * n, top, right + 12 * n, bottom) for n in range(min(people, 5))]
    # The others in a row above and one below.
    for n in range(people - len(places)):
        x, y = 4 + 12 * (n % 10), 2 + 44 * (n // 10)
        places.append((x, y, x + right - left, y + bottom - top))
    row = np.array([[[*place, 0.9, 0.0] for place in places]], np.float32)
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "ones"], ["tiles"], axis=0),
        helper.make_node("Tile", ["row", "tiles"], ["detections"]),
    ]
    constants = [
        numpy_helper.from_array(row, "row"),
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([1, 1], np.int64), "ones"),
    ]
    width, height = NETWORK_WH
    _save(path, nodes, constants, ["B", 3, height, width], ("detections", ["B", people, 6]))


def _write_classifier(path: Path) -> None:
    """Write the network whose score is the brightness of the crop."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["unroped"]),
        helper.make_node("Sub", ["one", "unroped"], ["roped"]),
        helper.make_node("Concat", ["roped", "unroped"], ["probabilities"], axis=1),
    ]
    constants = [
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array(1, np.float32), "one"),
    ]
    width, height = CROP_WH
    _save(path, nodes, constants, ["B", 3, height, width], ("probabilities", ["B", 2]))


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    image_shape: list[int | str],
    output: tuple[str, list[int | str]],
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, image_shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
