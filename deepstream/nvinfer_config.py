"""What the graph must know of an nvinfer config, and what it refuses before anything starts.

nvinfer reads the file itself; this looks at the few keys on which the graph's own stages
depend, with nvinfer's own ini reader (GLib's key file).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from deepstream.gst import GLib
from ropewatch.errors import ModelError

YAML_SUFFIXES: Final = (".yml", ".yaml")
# nvinfer's own default: a tracked person is classified again only when the box grew by 20 %.
LATCHED_REINFER_INTERVAL: Final = 2**31 - 1


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

    def integers(self, key: str) -> list[int]:
        """Return a key as a list of integers; empty where it is absent.

        Raises:
            ModelError: the value is no such list.
        """
        text = self.values.get(key, "")
        try:
            return [int(part) for part in text.split(";") if part.strip()]
        except ValueError:
            raise ModelError(
                f"{self.file}: {key}: {text!r}, want integers between semicolons; correct it"
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
    values = _read_yaml(file) if file.suffix in YAML_SUFFIXES else _read_ini(file)
    return NvinferProperties(file, values)


def check_classifier(
    config: NvinferProperties, *, sgie_id: int, pgie_id: int, person_class_id: int
) -> None:
    """Refuse what would make the decision blind or latched.

    Raises:
        ModelError: names the key, the reason and the way out.
    """
    _want(config, "process-mode", 1, 2, "the classifier looks at persons, not at frames")
    _want(config, "network-type", 0, 1, "a classifier")
    _want(config, "output-tensor-meta", 0, 1, "freshness of a verdict is known by it")
    _want(config, "disable-output-host-copy", 0, 0, "the probe reads the scores on the host")
    _want(
        config,
        "classifier-async-mode",
        0,
        0,
        "async mode attaches no tensors, no verdict is fresh",
    )
    _want(
        config,
        "secondary-reinfer-interval",
        LATCHED_REINFER_INTERVAL,
        0,
        "every person is judged on every frame; with nvinfer's default somebody who unclips "
        "later would never be noticed",
    )
    _want(config, "gie-unique-id", sgie_id, sgie_id, "the probes look for this id")
    _want(config, "operate-on-gie-id", -1, pgie_id, "the detector's id")
    classes = config.integers("operate-on-class-ids")
    if classes and person_class_id not in classes:
        raise ModelError(
            f"{config.file}: operate-on-class-ids: {classes}, want {person_class_id} among them: "
            "nobody would be judged; correct it or detector.person_class_id in the site file"
        )


def check_detector(config: NvinferProperties, *, pgie_id: int, person_class_id: int) -> None:
    """Refuse a detector config that the graph's stages cannot work with.

    Raises:
        ModelError: names the key, the reason and the way out.
    """
    _want(config, "process-mode", 1, 1, "the detector looks at frames")
    _want(config, "network-type", 0, 0, "a detector")
    _want(
        config, "gie-unique-id", pgie_id, pgie_id, "the classifier and the probes look for this id"
    )
    if person_class_id in config.integers("filter-out-class-ids"):
        raise ModelError(
            f"{config.file}: filter-out-class-ids: holds {person_class_id}, the class of persons: "
            "nobody would be seen; take it out"
        )


def _want(config: NvinferProperties, key: str, default: int, want: int, reason: str) -> None:
    value = config.integer(key, default)
    if value != want:
        raise ModelError(f"{config.file}: {key}: {value}, want {want}: {reason}; set {key}={want}")


def _read_ini(file: Path) -> dict[str, str]:
    keyfile = GLib.KeyFile.new()
    try:
        keyfile.load_from_file(str(file), GLib.KeyFileFlags.NONE)
        keys, _count = keyfile.get_keys("property")
        return {key: keyfile.get_value("property", key).strip() for key in keys}
    except GLib.Error as error:
        raise ModelError(
            f"{file}: {error.message}, want an nvinfer config with a [property] group; "
            "see configs/nvinfer for examples"
        ) from None


def _read_yaml(file: Path) -> dict[str, str]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in document["property"].items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{file}: {error}, want YAML with a property: mapping; "
            "nvinfer reads a file as YAML by its suffix"
        ) from None
