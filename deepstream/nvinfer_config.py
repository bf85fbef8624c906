"""What the graph must know of an nvinfer config, and the refusal of what `ropewatch check` finds.

nvinfer reads the file itself; the graph's own stages depend on a few keys.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ropewatch.errors import ModelError
from ropewatch.lint.check import check_configs, site_configs
from ropewatch.lint.findings import Severity
from ropewatch.lint.source import read_config
from ropewatch.nvinfer_keys import PROPERTY_GROUP
from ropewatch.settings import SiteSettings

log = logging.getLogger("ropewatch.nvinfer_config")

# Receipts of engines: `models.py` refuses these, and digests besides.
RECEIPT_CODES: Final = frozenset(("RW221", "RW222", "RW223"))
# What is wrong with an engine is nothing to the stand-ins, which run the ONNX.
ENGINE_CODES: Final = RECEIPT_CODES | {"RW207", "RW208", "RW209", "RW210", "RW308"}


@dataclass(frozen=True, slots=True)
class NvinferProperties:
    """The [property] group of one config file, as text."""

    file: Path
    values: dict[str, str]

    def integer(self, key: str, default: int) -> int:
        """Return a key as an integer.

        Raises:
            ModelError: the value is not one.
        """
        text = self.values.get(key)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise ModelError(
                f"{self.file}: {key}: {text!r}, want an integer; correct the value"
            ) from None

    def path(self, key: str) -> Path:
        """Return a key that names a file, relative to the config's folder as nvinfer reads it.

        Raises:
            ModelError: the key is absent, or names no file.
        """
        text = self.values.get(key)
        if text is None:
            raise ModelError(f"{self.file}: {key}: missing, want a path; add {key}=...")
        path = (self.file.parent / text).resolve()
        if not path.is_file():
            raise ModelError(f"{self.file}: {key}: {path}: no such file; correct the path")
        return path

    @property
    def network_wh_px(self) -> tuple[int, int]:
        """The network's input size from infer-dims, which is channels;height;width."""
        text = self.values.get("infer-dims", "")
        parts = [part for part in text.split(";") if part.strip()]
        try:
            _channels, height, width = (int(part) for part in parts)
        except ValueError:
            raise ModelError(
                f"{self.file}: infer-dims: {text!r}, want channels;height;width; the crop "
                "geometry needs the network's size, for example infer-dims=3;384;192"
            ) from None
        return width, height


def read_properties(file: Path) -> NvinferProperties:
    """Read the [property] group of an nvinfer config, ini or YAML by its suffix.

    Raises:
        ModelError: the file is missing or is not what its suffix says.
    """
    if not file.is_file():
        raise ModelError(f"{file}: no such nvinfer config; correct config_file in the site file")
    config = read_config(file)
    if PROPERTY_GROUP not in (name for name, _line in config.groups):
        raise ModelError(
            f"{file}: no [property] group, want an nvinfer config; nvinfer reads a file as YAML "
            "by its suffix; see configs/nvinfer for examples"
        )
    own = (entry for entry in config.entries if entry.group == PROPERTY_GROUP)
    return NvinferProperties(file, {e.name: e.text.strip() for e in own if e.text is not None})


def refuse_faults(site: SiteSettings, *, on_device: bool) -> None:
    """Refuse a site whose configs `ropewatch check` calls wrong; log what it warns of.

    Raises:
        ModelError: every error that was found, one a line.
    """
    skipped = RECEIPT_CODES if on_device else ENGINE_CODES
    found = [one for one in check_configs(site_configs(site)) if one.code not in skipped]
    errors = [
        f"{one.file}:{one.line}: {one.code}: {one.what}: {one.reason}; {one.fix}"
        for one in found
        if one.severity is Severity.ERROR
    ]
    if errors:
        raise ModelError("\n".join(errors))
    for one in found:
        if one.severity is Severity.WARNING:
            log.warning(
                "config file=%s line=%d code=%s what=%s", one.file, one.line, one.code, one.what
            )
