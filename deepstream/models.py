"""Which models run: engines that passed the parity gate, or the ONNX of the stand-ins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.lint.config import Config
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


def read_backbone(config: Config) -> Backbone:
    """Read the head that belongs to the ONNX which a config leads to.

    Raises:
        ModelError: the ONNX, its manifest or its head are missing, or do not belong together.
    """
    engine = config.path("model-engine-file")
    if config.given("onnx-file"):
        onnx = config.file("onnx-file")
    elif engine is not None:
        onnx = onnx_of_engine(engine.resolve())
    else:
        raise ModelError(
            f"{config.text.path}: no model-engine-file, want the backbone's engine; name it"
        )
    manifest = load_verified(onnx)
    head = load_head(onnx, manifest)
    assert manifest.head is not None, "load_head refuses a manifest without one"
    fact = manifest.head
    return Backbone(head, onnx.with_name(fact.file), f"npz {fact.sha256[:12]}")


def model_versions(configs: Mapping[str, Config], *, on_device: bool) -> dict[str, str]:
    """What the box's status says of each model.

    Args:
        configs: by the model's name in the status.
        on_device: nvinfer runs engines; the stand-ins run the ONNX that an engine's name or
            manifest leads to, for which there is no receipt.

    Raises:
        ModelError: on a device: an engine is absent or has no receipt that passed and is about
            these very files.
    """
    versions = {}
    for name, config in configs.items():
        if on_device:
            versions[name] = _engine(config)
        else:
            onnx = config.onnx()
            # The stand-in itself says best what is missing.
            if onnx is not None and onnx.is_file():
                versions[name] = f"onnx {sha256_of(onnx)[:12]}"
    return versions


def _engine(config: Config) -> str:
    receipt = require_passing(config.file("model-engine-file"))
    return (
        f"engine {receipt.engine.sha256[:12]} {receipt.precision}, TensorRT {receipt.tensorrt}, "
        f"parity {receipt.verdict} {receipt.made_at}, onnx {receipt.onnx.sha256[:12]}"
    )
