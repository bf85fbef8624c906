"""What decisions are made by, as SHA-256: the two models and the settings."""

import hashlib
from pathlib import Path

from deepstream.nvinfer_config import NvinferProperties
from ropewatch.files import sha256_of
from ropewatch.manifest import onnx_of_engine
from ropewatch.settings import SiteSettings


def digests_of(
    site: SiteSettings, *, detector: NvinferProperties, classifier: NvinferProperties
) -> dict[str, str]:
    """Return name and digest of detector, classifier and config.

    The digest of a model is that of the file that is run: the engine, or the ONNX where the
    stand-ins have no engine.

    Raises:
        ModelError: a configuration names no model that there is.
    """
    return {
        "detector": sha256_of(_model_file(detector)),
        "classifier": sha256_of(_model_file(classifier)),
        "config": settings_digest(site),
    }


def settings_digest(site: SiteSettings) -> str:
    """Digest of the settings as they apply, defaults included.

    Camera addresses are left out: they may hold passwords, and a digest of a short secret can
    be guessed at leisure by everybody who reads incidents.
    """
    text = site.model_dump_json(exclude={"sources": {"__all__": {"uri"}}})
    return hashlib.sha256(text.encode()).hexdigest()


def _model_file(config: NvinferProperties) -> Path:
    engine = config.values.get("model-engine-file")
    if engine is None:
        return config.path("onnx-file")
    file = (config.file.parent / engine).resolve()
    if file.is_file():
        return file
    return config.path("onnx-file") if "onnx-file" in config.values else onnx_of_engine(file)
