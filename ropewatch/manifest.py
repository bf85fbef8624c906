"""The manifest beside an ONNX model, and the way from an engine's name to its ONNX.

`<name>.onnx.manifest.json` says what the model is, how its input is prepared and where it comes
from. Export writes it, everyone else reads it. An engine is named after its ONNX, so that a
machine without TensorRT finds the ONNX through the engine that an nvinfer config names.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from ropewatch.engine_names import ENGINE_NAME
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of

SUFFIX = ".manifest.json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """Base of the manifest and its parts: read-only, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileFact(_Part):
    """A file as it was when the manifest was written."""

    file: str = Field(min_length=1, description="File name without folders.")
    sha256: Sha256
    size_bytes: int = Field(ge=1)


class TensorFact(_Part):
    """An input or output; a dynamic dimension is its name, such as batch."""

    name: str = Field(min_length=1)
    dtype: Literal["float32", "float16", "int64", "int32"]
    shape: tuple[int | str, ...] = Field(min_length=1)


class Preprocessing(_Part):
    """How nvinfer must prepare the input, in the words of its configuration keys.

    y = net_scale_factor * (x - offsets[channel]), x an 8-bit value, channels in network order.
    Padding is zero bytes before that; nvinfer knows no other.
    """

    net_scale_factor: float = Field(gt=0)
    offsets: tuple[float, float, float]
    model_color_format: Literal["RGB", "BGR"]
    maintain_aspect_ratio: bool
    symmetric_padding: bool
    scaling_filter: int = Field(ge=0, le=6, description="1 is bilinear.")


class ParityFact(_Part):
    """One comparison of the ONNX in ONNX Runtime with the model in PyTorch."""

    quantity: str = Field(min_length=1, description="What was compared, with its unit.")
    batch: int = Field(ge=1)
    max_abs_difference: float = Field(ge=0)
    tolerance: float = Field(gt=0)


class PaddingCost(_Part):
    """Detections with nvinfer's padding of zero bytes, against the training's grey of 114."""

    images: int = Field(ge=1)
    score_min: float = Field(ge=0, le=1, description="Detections below it were left out.")
    nms_iou: float = Field(gt=0, le=1)
    grey: int = Field(ge=0, description="Detections with the training's padding.")
    matched: int = Field(ge=0, description="Of those found with zero bytes, IoU 0.5 or more.")
    missed: int = Field(ge=0, description="Found with grey alone.")
    extra: int = Field(ge=0, description="Found with zero bytes alone.")
    mean_iou: float | None = Field(None, ge=0, le=1, description="Of the matched; none: null.")
    mean_score_change: float | None = Field(None, description="Zero bytes minus grey.")
    max_score_change: float | None = Field(None, ge=0, description="Largest, without its sign.")


class Polarity(_Part):
    """What a score is about, as the model's author says; the site decides with the same words."""

    score_label: str = Field(min_length=1)
    alert_when: Literal["at_or_above", "below"]


class DerivedFrom(_Part):
    """The fp32 ONNX that a typed one was made from, and what the conversion did to it."""

    onnx: FileFact
    tool: str = Field(min_length=1, description="What converted it, with its version.")
    precision: Literal["fp16"]
    fp16_operators: dict[str, int] = Field(description="Computed in half precision, how often.")
    fp32_operators: dict[str, int] = Field(description="Left as they were, how often.")
    largest_weights: int = Field(
        ge=0, description="Weights at the largest number of half precision, 65504, or beyond."
    )
    smallest_weights: int = Field(
        ge=0, description="Weights at its smallest, 6e-8; nearer to zero are raised to it."
    )
    max_abs_difference: dict[str, float] = Field(
        description="From the golden outputs, by quantity with its unit."
    )


class Manifest(_Part):
    """What export knows about one ONNX model."""

    format: Literal["ropewatch-model-1"]
    kind: Literal["detector", "classifier"]
    mode: Literal["crop", "frame", "backbone"] | None = Field(
        None,
        description="Classifier: an image is a person's crop, or a frame with boxes beside it, or "
        "a frame alone that becomes a token map for the head. Detector: none.",
    )
    onnx: FileFact
    weights: FileFact
    opset: int = Field(ge=17, description="Below 17 LayerNorm is not one operator.")
    inputs: tuple[TensorFact, ...] = Field(min_length=1)
    outputs: tuple[TensorFact, ...] = Field(min_length=1)
    preprocessing: Preprocessing
    labels: tuple[str, ...] = Field(min_length=1, description="In class order.")
    architecture: dict[str, Any] | None = Field(
        None, description="Classifier: the fields of export.classifier_model.Architecture."
    )
    architecture_origins: dict[str, str] | None = Field(
        None, description="Where each field of the architecture came from."
    )
    architecture_status: Literal["unverified", "verified"] | None = Field(
        None,
        description="Verified: compared with outputs of the training code itself. Unverified: "
        "what leaves no tensor, such as pooling and activation, was not.",
    )
    golden: FileFact | None = Field(
        None, description="Inputs with the outputs that PyTorch gives, see ropewatch.golden."
    )
    head: FileFact | None = Field(
        None, description="Backbone: the host's part of it, see ropewatch.rope_head."
    )
    derived_from: DerivedFrom | None = Field(
        None, description="Typed ONNX: its fp32 parent; parity is then with the golden outputs."
    )
    attention: Literal["explicit"] | None = Field(
        None,
        description="Explicit: as products and softmax, the queries scaled before. Null: none, or "
        "not known.",
    )
    operators: dict[str, int] = Field(description="ONNX operators and how often each occurs.")
    gmacs: float | None = Field(
        None,
        gt=0,
        description="Multiplications, in thousands of millions, of convolutions and matrix "
        "products, attention included, for one image (and one box).",
    )
    padding_cost: PaddingCost | None = Field(
        None, description="Detector: measured on pictures that the export was given; else null."
    )
    polarity: Polarity | None = Field(
        None, description="Classifier: as given to the export; null leaves it to the site alone."
    )
    parity: tuple[ParityFact, ...] = Field(min_length=1)
    versions: dict[str, str] = Field(description="The libraries that made the file.")
    licence_notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.kind == "classifier") != (self.mode is not None):
            raise ValueError(f"mode: {self.mode} with kind {self.kind}, want one for a classifier")
        if (self.mode == "backbone") != (self.head is not None):
            raise ValueError(f"head: {self.head} with mode {self.mode}, want one for a backbone")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels: {list(self.labels)}, want each label once")
        if self.polarity is not None and self.polarity.score_label not in self.labels:
            raise ValueError(
                f"polarity: score_label {self.polarity.score_label}, want one of "
                f"{list(self.labels)}"
            )
        return self

    @property
    def network_wh_px(self) -> tuple[int, int]:
        """Width and height of the image input, which is NCHW."""
        height, width = self.inputs[0].shape[-2:]
        if isinstance(height, str) or isinstance(width, str):
            raise ModelError(
                f"{self.onnx.file}: input {self.inputs[0].name} is {width} x {height}, want fixed "
                f"numbers; export it again"
            )
        return width, height

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a manifest file.

        Raises:
            ModelError: the file is missing, is not JSON, or says something that it must not.
        """
        try:
            return cls.model_validate(_json_object(path))
        except ValidationError as error:
            complaints = []
            for fault in error.errors():
                key = ".".join(map(str, fault["loc"])) or "manifest"
                complaints.append(f"{path}: {key}: {fault['msg'].removeprefix('Value error, ')}")
            raise ModelError("\n".join(complaints)) from error


def manifest_of(onnx: Path) -> Path:
    """Where the manifest of an ONNX file is."""
    return onnx.with_name(onnx.name + SUFFIX)


def load_verified(onnx: Path) -> Manifest:
    """The manifest of an ONNX file, after its digest was compared with the file's.

    Raises:
        ModelError: the ONNX or its manifest is missing or unreadable, or they do not belong
            together.
    """
    if not onnx.is_file():
        raise ModelError(f"{onnx}: no such file, want an ONNX model; export it or fix the path")
    manifest = Manifest.load(manifest_of(onnx))
    digest = sha256_of(onnx)
    if digest != manifest.onnx.sha256:
        raise ModelError(
            f"{onnx}: sha256 {digest[:12]}..., want {manifest.onnx.sha256[:12]}... as in "
            f"{manifest_of(onnx).name}: the file was changed after its export; export it again"
        )
    return manifest


def onnx_of_engine(engine: Path) -> Path:
    """The ONNX that an engine was, or will be, built from; the engine itself may be absent.

    An engine's own manifest (`<engine>.manifest.json`, key `onnx`, a path relative to it)
    decides; without one the engine must have the name that nvinfer gives.

    Raises:
        ModelError: neither leads to an ONNX whose manifest carries its digest, or the engine's
            manifest has the digest of another ONNX.
    """
    own = engine.with_name(engine.name + SUFFIX)
    wanted = None
    if own.exists():
        facts = _json_object(own)
        # Written by hand, as for a stand-in, it may hold the path alone.
        named, wanted = facts.get("onnx"), facts.get("onnx_sha256")
        if not isinstance(named, str) or not named:
            raise ModelError(
                f"{own}: onnx: {named!r}, want the path of the ONNX relative to this file; "
                f"write it, or remove this file to go by the engine's name"
            )
        onnx = own.parent / named
    else:
        match = ENGINE_NAME.fullmatch(engine.name)
        if match is None or not match["onnx"].endswith(".onnx"):
            raise ModelError(
                f"{engine}: the name does not say its ONNX, want NAME.onnx_b1_gpu0_fp16.engine "
                f"or the like, as nvinfer names engines; rename it, or write {own.name} with the "
                f"key onnx"
            )
        onnx = engine.with_name(match["onnx"])
    digest = load_verified(onnx).onnx.sha256
    if wanted is not None and wanted != digest:
        raise ModelError(
            f"{engine}: built from an {onnx.name} of sha256 {str(wanted)[:12]}..., want "
            f"{digest[:12]}... as the file is now; build the engine again"
        )
    return onnx


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file, want the manifest that `ropewatch export` writes beside a "
            f"model; export the model again"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}, want a readable JSON file; write it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: {type(value).__name__}, want a JSON object; write it again")
    return value
