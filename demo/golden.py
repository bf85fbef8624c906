"""Golden outputs of the committed demo models: `python -m demo.golden [--models FOLDER]`.

Training the models writes PyTorch's. These are ONNX Runtime's, for models whose checkpoints are
gone: the golden file says so, and an engine is then compared with the ONNX alone.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from onnx import load as load_onnx

from demo import seeds
from demo.render.scene import make_scene
from demo.train.dataset import scene_samples
from export.engine.onnx_runner import OnnxRunner
from export.golden_pictures import CROPS, DETECTOR_PICTURES, golden_pictures
from export.macs import gmacs
from ropewatch.files import replace_file
from ropewatch.golden import ONNX_RUNTIME, Golden, golden_of
from ropewatch.manifest import FileFact, load_verified, manifest_of

MODELS = Path(__file__).parent / "models"


def frames(folder: Path) -> Path:
    """Write frames with people, as the muxer gives them, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.VALIDATION[:DETECTOR_PICTURES]):
        image = make_scene(seed).render(5.0).image
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def crops(folder: Path) -> Path:
    """Write expanded crops, as many with a rope as without, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [0, 0]
    for seed in seeds.VALIDATION:
        samples = scene_samples(seed, 1, 0.0)
        for crop, unroped in zip(samples.crops, samples.unroped.tolist(), strict=True):
            if written[unroped] < CROPS // 2:
                name = f"{written[unroped]}-{('roped', 'unroped')[unroped]}.png"
                cv2.imwrite(str(folder / name), np.ascontiguousarray(crop[..., ::-1]))
                written[unroped] += 1
        if written == [CROPS // 2] * 2:
            break
    return folder


def write_golden(onnx: Path, pictures: Path, *, count: int) -> Path:
    """Ask ONNX Runtime, write the golden file; its digest and the GMACs go into the manifest.

    Raises:
        ModelError: the ONNX or its manifest cannot be used.
    """
    manifest = load_verified(onnx)
    pixels = golden_pictures(
        pictures,
        count=count,
        size_wh=manifest.network_wh_px,
        preprocessing=manifest.preprocessing,
    )
    origin = {"reference": ONNX_RUNTIME, "onnxruntime": onnxruntime.__version__}
    name = manifest.outputs[0].name
    # Only the pictures count until the outputs are known.
    asked = Golden(pixels, {}, {name: np.zeros(1, np.float32)}, origin)
    outputs = OnnxRunner(onnx).run(asked.feeds(manifest))
    content = Golden(pixels, {}, outputs, origin).to_bytes()
    path = golden_of(onnx)
    digest = hashlib.sha256(content).hexdigest()
    fact = FileFact(file=path.name, sha256=digest, size_bytes=len(content))
    facts = json.loads(manifest_of(onnx).read_text("utf-8"))
    facts["golden"] = fact.model_dump()
    facts["gmacs"] = gmacs(load_onnx(onnx))
    replace_file(path, content)
    replace_file(manifest_of(onnx), (json.dumps(facts, indent=1) + "\n").encode())
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Write both golden files."""
    parser = argparse.ArgumentParser(prog="python -m demo.golden", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="default: demo/models")
    models = parser.parse_args(argv).models
    with tempfile.TemporaryDirectory() as folder:
        for name, pictures, count in (
            ("person.onnx", frames(Path(folder) / "frames"), DETECTOR_PICTURES),
            ("rope.onnx", crops(Path(folder) / "crops"), CROPS),
        ):
            print(f"wrote {write_golden(models / name, pictures, count=count)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
