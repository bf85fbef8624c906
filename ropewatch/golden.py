"""Golden outputs: inputs of a model with the outputs that its original gives for them.

`<name>.onnx.golden.npz` lies beside an ONNX. Export writes it, and the parity gate asks an engine
for the same outputs on a box that has neither PyTorch nor ONNX Runtime. The module needs numpy
alone, so that `ropewatch export golden` also runs beside a training's own environment.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ropewatch.errors import ModelError
from ropewatch.files import replace_file, sha256_of

if TYPE_CHECKING:
    from ropewatch.manifest import Manifest, Preprocessing

SUFFIX: Final = ".golden.npz"
# Whose outputs they are, the value of "reference" in an origin.
PYTORCH, ONNX_RUNTIME, TRAINING = "pytorch", "onnxruntime", "training"
_AGAIN: Final = "export the model again"
# What numpy, zipfile and JSON raise for a file that is damaged or of another kind.
_DAMAGED: Final = (
    *(OSError, ValueError, KeyError, EOFError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Inputs and what they give.

    Attributes:
        pixels: (B, 3, H, W) uint8, B at least 1, channels in the network's order.
        inputs: the inputs beside the image by name, such as rois and image_index; may be empty.
        outputs: by name, float32, all finite.
        origin: whose outputs they are ("reference") and what is known of it, as text.
    """

    pixels: npt.NDArray[np.uint8]
    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, Floats]
    origin: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[1] != 3:
            raise ValueError(
                f"pixels: {self.pixels.dtype} {self.pixels.shape}, want uint8 (B, 3, H, W)"
            )
        if not len(self.pixels) or not self.outputs:
            raise ValueError(
                f"{len(self.pixels)} pictures and {len(self.outputs)} outputs, want 1"
            )
        for name, value in self.inputs.items():
            if value.dtype.kind not in "fi":
                raise ValueError(f"inputs/{name}: {value.dtype}, want numbers")
        for name, output in self.outputs.items():
            if output.dtype != np.float32 or not np.isfinite(output).all():
                raise ValueError(f"outputs/{name}: {output.dtype}, want finite float32 numbers")
        if self.origin.get("reference") not in (PYTORCH, ONNX_RUNTIME, TRAINING):
            raise ValueError(f"origin: {dict(self.origin)}, want a reference that is known")

    def feeds(self, manifest: "Manifest") -> dict[str, npt.NDArray[Any]]:
        """Every input of the model by name, the image as nvinfer prepares it."""
        image = as_nvinfer(self.pixels, manifest.preprocessing)
        return {manifest.inputs[0].name: image, **self.inputs}

    def to_bytes(self) -> bytes:
        """The content of the file."""
        stream = io.BytesIO()
        held: dict[str, Any] = {
            "pixels": self.pixels,
            "origin": np.array(json.dumps(dict(self.origin), sort_keys=True)),
            **{f"inputs/{name}": value for name, value in self.inputs.items()},
            **{f"outputs/{name}": value for name, value in self.outputs.items()},
        }
        np.savez_compressed(stream, **held)
        return stream.getvalue()

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            ModelError: it cannot be written.
        """
        try:
            replace_file(path, self.to_bytes())
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror or error}, want a folder that can be written; give "
                f"another path"
            ) from error

    @classmethod
    def load(cls, path: Path) -> "Golden":
        """Read and check a file.

        Raises:
            ModelError: it is missing, damaged, or holds something else.
        """
        if not path.is_file():
            raise ModelError(f"{path}: no such file, want golden outputs; {_AGAIN}, or copy it")
        try:
            with np.load(path, allow_pickle=False) as archive:
                held = {name: archive[name] for name in archive.files}
            return cls(
                pixels=held["pixels"],
                inputs=_under("inputs/", held),
                outputs=_under("outputs/", held),
                origin={key: str(value) for key, value in json.loads(str(held["origin"])).items()},
            )
        except _DAMAGED as error:
            raise ModelError(
                f"{path}: {error}; want a whole golden file; copy it again, or {_AGAIN}"
            ) from error


def golden_of(onnx: Path) -> Path:
    """Where the golden outputs of an ONNX file are."""
    return onnx.with_name(onnx.name + SUFFIX)


def load_golden(onnx: Path) -> tuple["Manifest", Golden]:
    """An ONNX's manifest and golden outputs, after all three were found to belong together.

    Raises:
        ModelError: one is missing, was changed, or does not fit the others.
    """
    from ropewatch.manifest import load_verified, manifest_of  # noqa: PLC0415 (see the module)

    manifest = load_verified(onnx)
    path = golden_of(onnx)
    if manifest.golden is None:
        raise ModelError(
            f"{manifest_of(onnx)}: golden: missing, want the digest of {path.name}, without which "
            f"no engine can be judged; {_AGAIN}"
        )
    golden = Golden.load(path)
    digest = sha256_of(path)
    if digest != manifest.golden.sha256:
        raise ModelError(
            f"{path}: sha256 {digest[:12]}..., want {manifest.golden.sha256[:12]}... as in the "
            f"manifest: it is of another export; copy both again, or {_AGAIN}"
        )
    width, height = manifest.network_wh_px
    wanted = {tensor.name for tensor in manifest.inputs[1:]}
    outputs = {tensor.name for tensor in manifest.outputs}
    found = (golden.pixels.shape[2:], set(golden.inputs), set(golden.outputs))
    if found != ((height, width), wanted, outputs):
        raise ModelError(
            f"{path}: pictures {found[0]}, inputs {sorted(found[1])}, outputs {sorted(found[2])}, "
            f"want {height, width}, {sorted(wanted)} and {sorted(outputs)} as the model; {_AGAIN}"
        )
    return manifest, golden


def as_nvinfer(pixels: npt.NDArray[np.uint8], preprocessing: "Preprocessing") -> Floats:
    """What nvinfer makes of 8-bit pixels: scale * (x - offset), (B, 3, H, W) float32."""
    offsets = np.array(preprocessing.offsets, np.float32).reshape(1, 3, 1, 1)
    scaled: Floats = np.float32(preprocessing.net_scale_factor) * (pixels - offsets)
    return scaled


def _under(prefix: str, held: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {
        name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)
    }
