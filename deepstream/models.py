"""Which models run: engines that passed the parity gate, or the ONNX of the stand-ins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepstream.nvinfer_config import NvinferProperties
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.manifest import load_verified, onnx_of_engine
from ropewatch.receipt import require_passing
from ropewatch.rope_head import RopeHead, load_head


@dataclass(frozen=True, slots=True)
class Backbone:
    """What the host needs of a classifier in frame mode.

    Attributes:
        head: its second part.
        head_file: where that was read.
        head_version: by its digest, for the box's status and the incidents' evidence. One
            backbone may have had several heads.
    """

    head: RopeHead
    head_file: Path
    head_version: str


def read_backbone(config: NvinferProperties) -> Backbone:
    """Read the head that belongs to the ONNX which a config leads to.

    Raises:
        ModelError: the ONNX, its manifest or its head are missing, or do not belong together.
    """
    values = config.values
    if "onnx-file" in values:
        onnx = config.path("onnx-file")
    elif "model-engine-file" in values:
        onnx = onnx_of_engine((config.file.parent / values["model-engine-file"]).resolve())
    else:
        raise ModelError(
            f"{config.file}: no model-engine-file, want the backbone's engine; name it"
        )
    manifest = load_verified(onnx)
    head = load_head(onnx, manifest)
    assert manifest.head is not None, "load_head refuses a manifest without one"
    fact = manifest.head
    return Backbone(head, onnx.with_name(fact.file), f"npz {fact.sha256[:12]}")


def model_versions(configs: Mapping[str, NvinferProperties], *, on_device: bool) -> dict[str, str]:
    """What the box's status says of each model.

    Args:
        configs: by the model's name in the status.
        on_device: nvinfer runs engines; the stand-ins run the ONNX that an engine's name or
            manifest leads to, for which there is no receipt.

    Raises:
        ModelError: on a device: an engine is absent or has no receipt that passed and is about
            these very files, or nvinfer might build another one by itself.
    """
    versions = {}
    for name, config in configs.items():
        if on_device:
            versions[name] = _engine(config)
        else:
            onnx = _onnx(config)
            if onnx is not None:
                versions[name] = f"onnx {sha256_of(onnx)[:12]}"
    return versions


def _engine(config: NvinferProperties) -> str:
    if "onnx-file" in config.values:
        raise ModelError(
            f"{config.file}: onnx-file: {config.values['onnx-file']}, want no such key: nvinfer "
            f"answers an engine that it cannot load by building another, past the parity gate; "
            f"take it out"
        )
    receipt = require_passing(config.path("model-engine-file"))
    return (
        f"engine {receipt.engine.sha256[:12]} {receipt.precision}, TensorRT {receipt.tensorrt}, "
        f"parity {receipt.verdict} {receipt.made_at}, onnx {receipt.onnx.sha256[:12]}"
    )


def _onnx(config: NvinferProperties) -> Path | None:
    """The ONNX, or None: the stand-in itself says best what is missing."""
    folder, values = config.file.parent, config.values
    try:
        if "onnx-file" in values:
            onnx = folder / values["onnx-file"]
        else:
            onnx = onnx_of_engine(folder / values.get("model-engine-file", ""))
    except ModelError:
        return None
    return onnx if onnx.is_file() else None
